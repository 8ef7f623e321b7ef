"""Learning the trust in a slice from annotated patients that the networks have not seen, and saying honestly how good it is.

Every figure comes from slices that were judged by a forest which knew nothing of their patient, at a threshold that the other patients set.
Patients with identical images count as one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import rankdata

from shortaxis.errors import InputError
from shortaxis.labels import FOREGROUND, UNKNOWN
from shortaxis.metrics.overlap import dsc_of_confusion, slice_confusion
from shortaxis.quality.evidence import SIGNS
from shortaxis.quality.forest import grow_forest
from shortaxis.quality.trust import POOR_DSC, TrustModel, logit_of_share

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from shortaxis.labels import Structure

VERY_POOR_DSC: Final = 0.7
FLAGGED_GOOD: Final = 0.2
"""Share of the good end slices that may be flagged. Networks of folds, trained shortly, are less sure than the model that the calibration
is for, which is then flagged less: about two thirds of that."""
MOST_FOLDS: Final = 20
"""Patients are left out one at a time, or in as many groups."""
FIRST_MODEL: Final = "as they are, first model"
"""What is called the part of the home data that the first of the models judged."""
BINS: Final = 5
"""Groups of equal size in a reliability diagram."""


@dataclass(frozen=True, eq=False)
class SliceTable:
    """All slices of the patients that lie on the heart or next to it.

    Attributes:
        signs: float64 (S, F), in the order of `SIGNS`.
        dsc: float64 (S,), mean DSC of the structures that either side shows; 1 where neither shows any.
        end: bool (S,), whether it is an end slice of the heart, by the prediction or by the annotation.
        patient: (S,) names; patients with identical images share one.
        source: (S,) data set, and whether the frames were shifted.
        home: bool (S,), whether the slice is of the scans, as they are, that the threshold is set on.
        first: bool (S,), whether the first of the models judged it, which is the nearest to the one that the calibration is for.
        teaches: bool (S,), whether the forest learns from it; false where the annotation knows one structure only.
    """

    signs: NDArray[np.float64]
    dsc: NDArray[np.float64]
    end: NDArray[np.bool_]
    patient: NDArray[np.str_]
    source: NDArray[np.str_]
    home: NDArray[np.bool_]
    first: NDArray[np.bool_]
    teaches: NDArray[np.bool_]


def slice_dsc(truth: NDArray[np.uint8], prediction: NDArray[np.uint8], parts: Sequence[Structure] = FOREGROUND) -> NDArray[np.float64]:
    """Mean DSC of each slice over those of the `parts` that either side shows, float64 (D,); 1 where neither shows any.

    What is predicted where the truth is `UNKNOWN` does not count.
    """
    known, predicted = (np.where(np.isin(labels, parts), labels, 0).astype(np.uint8) for labels in (truth, prediction))
    predicted[truth == UNKNOWN] = 0
    scores = dsc_of_confusion(slice_confusion(known, predicted))[:, list(parts)]
    shown = ~np.isnan(scores)
    mean = np.where(shown, scores, 0).sum(axis=1) / np.maximum(shown.sum(axis=1), 1)
    return np.where(shown.any(axis=1), mean, 1.0)


def fit_trust(table: SliceTable, provenance: dict[str, Any]) -> tuple[TrustModel, NDArray[np.float64]]:
    """Learn from all slices; threshold and probability are set on the end slices of the home data.

    The threshold flags the share `FLAGGED_GOOD` of the good end slices.

    Args:
        table: The slices.
        provenance: What is known of them already; the figures of each source are added.

    Returns:
        The trust model, and for each row of the table the probability by a forest that has not seen its patient, float64 (S,).

    Raises:
        InputError: There are fewer than three patients, or none of their end slices is poor, or none good.
    """
    poor, judged = table.dsc < POOR_DSC, table.end & table.home
    patients = np.unique(table.patient)
    good = judged & ~poor
    if len(np.unique(table.patient[judged])) < 3 or not good.any() or not (judged & poor).any():
        msg = (
            "calibration needs three patients or more that the networks have not seen, with good and with poor end slices, "
            f"not {len(np.unique(table.patient[judged]))} with {int(good.sum())} good and {int((judged & poor).sum())} poor ones"
        )
        raise InputError(msg)
    share, probability, flagged = np.full(len(poor), np.nan), np.full(len(poor), np.nan), np.zeros(len(poor), bool)
    folds = [np.isin(table.patient, group) for group in _groups(patients)]
    for out in folds:
        taught = table.teaches & ~out
        share[out] = grow_forest(table.signs[taught], poor[taught]).share_poor(table.signs[out])
    logit = logit_of_share(share)
    for out in folds:
        others = judged & ~out
        slope, intercept = _platt(logit[others], poor[others])
        probability[out] = expit(slope * logit[out] + intercept)
        flagged[out] = logit[out] > _threshold(logit[good & ~out])
    slope, intercept = _platt(logit[judged], poor[judged])
    rows_of = {str(source): table.end & (table.source == source) for source in dict.fromkeys(table.source)}
    if not table.first[judged].all():
        rows_of[FIRST_MODEL] = judged & table.first
    sources = {source: _figures(table.dsc[rows], probability[rows], flagged[rows]) for source, rows in rows_of.items() if rows.any()}
    trust = TrustModel(
        features=SIGNS,
        forest=grow_forest(table.signs[table.teaches], poor[table.teaches]),
        slope=slope,
        intercept=intercept,
        threshold=float(expit(slope * _threshold(logit[good]) + intercept)),
        typical=tuple(np.median(table.signs[good], axis=0).round(4).tolist()),
        provenance=provenance | {"taught_by_slices": int(table.teaches.sum()), "end_slices": sources},
    )
    return trust, probability


def _groups(patients: NDArray[np.str_]) -> Iterator[NDArray[np.str_]]:
    count = min(MOST_FOLDS, len(patients))
    return (patients[fold::count] for fold in range(count))


def _figures(dsc: NDArray[np.float64], probability: NDArray[np.float64], flagged: NDArray[np.bool_]) -> dict[str, Any]:
    """How well the end slices of one source are judged."""
    poor = dsc < POOR_DSC
    order = np.argsort(probability, kind="stable")
    return {
        "slices": len(dsc),
        "poor": int(poor.sum()),
        "very_poor": int((dsc < VERY_POOR_DSC).sum()),
        "auroc": auroc(probability, poor),
        "brier": float(((probability - poor) ** 2).mean()),
        "brier_of_the_share_alone": float(poor.mean() * (1 - poor.mean())),
        "caught_dsc_below_0.7": _share(flagged[dsc < VERY_POOR_DSC]),
        "caught_dsc_below_0.8": _share(flagged[poor]),
        "flagged_good": _share(flagged[~poor]),
        "precision": _share(poor[flagged]),
        "reliability": [
            {"slices": len(part), "mean_probability": float(probability[part].mean()), "share_poor": float(poor[part].mean())}
            for part in np.array_split(order, BINS)
            if len(part)
        ],
    }


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
