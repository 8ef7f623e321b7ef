"""Learning the trust in a slice from annotated patients, and telling honestly how good it is.

Two kinds of patients may take part. Those that the networks were trained on can only teach what a poor slice looks like, since the networks
do better on them than on others. Held-out patients teach too, but above all they set the probability, the threshold and every figure that
is told; each of them is judged by a forest that has not seen it, at a threshold that the others set. Patients with identical images count
as one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import rankdata

from shortaxis.errors import InputError
from shortaxis.labels import FOREGROUND
from shortaxis.metrics.overlap import dsc_of_confusion, slice_confusion
from shortaxis.quality.features import FEATURES
from shortaxis.quality.forest import grow_forest
from shortaxis.quality.trust import POOR_DSC, TrustModel, logit_of_share

if TYPE_CHECKING:
    from numpy.typing import NDArray

VERY_POOR_DSC: Final = 0.7
FLAGGED_GOOD: Final = 0.2
"""Share of the good end slices that may be flagged."""
MOST_FOLDS: Final = 20
"""Held-out patients are left out one at a time, or in as many groups."""


@dataclass(frozen=True, eq=False)
class SliceTable:
    """All slices of the patients.

    Attributes:
        signs: float64 (S, F), in the order of `FEATURES`.
        dsc: float64 (S,), mean DSC of the structures that either side shows; 1 where neither shows any.
        end: bool (S,), whether the slice is among the first two or last two.
        patient: (S,) names; patients with identical images share one.
        held_out: bool (S,), whether the networks have not seen the patient.
    """

    signs: NDArray[np.float64]
    dsc: NDArray[np.float64]
    end: NDArray[np.bool_]
    patient: NDArray[np.str_]
    held_out: NDArray[np.bool_]


def slice_dsc(truth: NDArray[np.uint8], prediction: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Mean DSC of each slice over the structures that either side shows, float64 (D,); 1 where neither shows any."""
    scores = dsc_of_confusion(slice_confusion(truth, prediction))[:, list(FOREGROUND)]
    shown = ~np.isnan(scores)
    mean = np.where(shown, scores, 0).sum(axis=1) / np.maximum(shown.sum(axis=1), 1)
    return np.where(shown.any(axis=1), mean, 1.0)


def fit_trust(table: SliceTable, provenance: dict[str, Any]) -> TrustModel:
    """Learn from the end slices of all patients; threshold and figures come from the held-out ones.

    The threshold flags the share `FLAGGED_GOOD` of the good end slices.

    Args:
        table: The slices.
        provenance: What is known of them already; the figures are added.

    Raises:
        InputError: There are fewer than three held-out patients, or none of their end slices is poor, or none good.
    """
    poor, judged = table.dsc < POOR_DSC, table.end & table.held_out
    patients = np.unique(table.patient[judged])
    good = judged & ~poor
    if len(patients) < 3 or not good.any() or not (judged & poor).any():
        msg = (
            "calibration needs three held-out patients or more with good and with poor end slices, "
            f"not {len(patients)} with {int(good.sum())} good and {int((judged & poor).sum())} poor ones"
        )
        raise InputError(msg)
    unseen, flagged = np.full(len(poor), np.nan), np.zeros(len(poor), bool)
    folds = [np.isin(table.patient, patients[fold :: min(MOST_FOLDS, len(patients))]) for fold in range(min(MOST_FOLDS, len(patients)))]
    for out in folds:
        taught = table.end & ~out
        unseen[out] = grow_forest(table.signs[taught], poor[taught]).share_poor(table.signs[out])
    logit, probability = logit_of_share(unseen), np.full(len(poor), np.nan)
    for out in folds:
        flagged[out] = logit[out] > _threshold(logit[good & ~out])
        others = judged & ~out
        slope, intercept = _platt(logit[others], poor[others])
        probability[out] = expit(slope * logit[out] + intercept)
    slope, intercept = _platt(logit[judged], poor[judged])
    every = table.held_out
    figures = {
        "slices": int(every.sum()),
        "end_slices": int(judged.sum()),
        "poor_end_slices": int((judged & poor).sum()),
        "very_poor_end_slices": int((judged & (table.dsc < VERY_POOR_DSC)).sum()),
        "taught_by_end_slices": int(table.end.sum()),
        "auroc_all_slices": auroc(unseen[every], poor[every]),
        "auroc_end_slices": auroc(unseen[judged], poor[judged]),
        "brier_end_slices": float(((probability - poor)[judged] ** 2).mean()),
        "brier_of_the_share_alone": float(poor[judged].mean() * (1 - poor[judged].mean())),
        "caught_dsc_below_0.7": _share(flagged[judged & (table.dsc < VERY_POOR_DSC)]),
        "caught_dsc_below_0.8": _share(flagged[judged & poor]),
        "flagged_good": _share(flagged[good]),
        "precision": _share(poor[judged & flagged]),
    }
    return TrustModel(
        features=FEATURES,
        forest=grow_forest(table.signs[table.end], poor[table.end]),
        slope=slope,
        intercept=intercept,
        threshold=float(expit(slope * _threshold(logit[good]) + intercept)),
        typical=tuple(np.median(table.signs[good], axis=0).tolist()),
        provenance=provenance | figures,
    )


def auroc(score: NDArray[np.float64], positive: NDArray[np.bool_]) -> float | None:
    """Area under the ROC curve: the probability that a positive scores above a negative (Mann and Whitney); None without one of each."""
    n, m = int(positive.sum()), int((~positive).sum())
    if not n or not m:
        return None
    return float((rankdata(score)[positive].sum() - n * (n + 1) / 2) / (n * m))


def _threshold(good: NDArray[np.float64]) -> float:
    """Value above which the share `FLAGGED_GOOD` of good end slices lies; infinity where there is none."""
    return float(np.quantile(good, 1 - FLAGGED_GOOD)) if good.size else np.inf


def _platt(x: NDArray[np.float64], poor: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope, at least 0, and intercept of the logistic curve of `poor` on x (Platt, 1999); a weak prior draws the slope to 1."""

    def objective(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = weights[0] * x + weights[1]
        error = expit(z) - poor
        value = np.logaddexp(0, z).sum() - z[poor].sum() + (weights[0] - 1) ** 2 / 2
        return float(value), np.array([(error * x).sum() + weights[0] - 1, error.sum()])

    result = minimize(objective, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(1e-3, None), (None, None)])
    return float(result.x[0]), float(result.x[1])


def _share(flags: NDArray[np.bool_]) -> float | None:
    return float(flags.mean()) if flags.size else None
