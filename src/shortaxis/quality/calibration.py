"""Making the trust model and the intervals from held-out patients, and telling honestly how good they are.

Everything that is reported is cross-validated by patient (patients with identical images count as one): no slice is judged by a model or a
threshold that saw its patient.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import rankdata

from shortaxis.datasets.splits import fingerprint
from shortaxis.ensemble.model_file import file_sha256, read_spec
from shortaxis.errors import InputError
from shortaxis.indices import structure_volumes
from shortaxis.indices.volumes import indices_of_volumes
from shortaxis.inference import load_model
from shortaxis.inference.device import choose_device
from shortaxis.io.atomic import write_json
from shortaxis.labels import FOREGROUND
from shortaxis.metrics.end_coefficient import end_slices
from shortaxis.metrics.overlap import dsc_of_confusion, slice_confusion
from shortaxis.metrics.protocols import INDICES
from shortaxis.quality.conformal import conformal_half_width, leave_one_out_coverage
from shortaxis.quality.features import FEATURES, slice_features
from shortaxis.quality.trust import POOR_DSC, TrustModel

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from shortaxis.datasets.dataset import Dataset
    from shortaxis.ensemble.model_file import ModelSpec
    from shortaxis.inference import Model

VERY_POOR_DSC: Final = 0.7
FLAGGED_GOOD: Final = 0.22
"""Share of the good end slices that may be flagged."""
LEVEL: Final = 0.9
_RIDGE: Final = 1.0
_FORMAT: Final = 1


@dataclass(frozen=True)
class Calibration:
    """What belongs to one model file.

    Attributes:
        model_sha256: Of the model file that it was made for.
        trust: The trust model.
        half_widths: Half-width of the 90 % interval of each index, in the index's own unit.
        level: Coverage of the intervals.
    """

    model_sha256: str
    trust: TrustModel
    half_widths: dict[str, float]
    level: float = LEVEL

    def save(self, path: Path) -> None:
        """Write as JSON, whole or not at all."""
        write_json(path, {"format": _FORMAT, **asdict(self)})


def load_calibration(path: Path) -> Calibration:
    """Read a calibration.

    Raises:
        InputError: The file is missing or damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content.pop("format")
        trust: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in content.pop("trust").items()}
        calibration = Calibration(trust=TrustModel(**trust), **content)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        msg = f"{path}: not a calibration, or damaged ({error}); make it again with `shortaxis calibrate`"
        raise InputError(msg) from error
    if version != _FORMAT:
        msg = f"{path}: this calibration is of another format; make it again with `shortaxis calibrate`"
        raise InputError(msg)
    return calibration


@dataclass(frozen=True, eq=False)
class SliceTable:
    """All slices of the held-out patients.

    Attributes:
        signs: float64 (S, F), in the order of `FEATURES`.
        dsc: float64 (S,), mean DSC of the structures that either side shows; 1 where neither shows any.
        end: bool (S,), whether the slice is among the first two or last two.
        patient: (S,) names; patients with identical images share one.
    """

    signs: NDArray[np.float64]
    dsc: NDArray[np.float64]
    end: NDArray[np.bool_]
    patient: NDArray[np.str_]


def calibration_path(model: Path) -> Path:
    """Where the calibration of a model file lies: beside it, as `NAME.calibration.json`."""
    return model.with_suffix(".calibration.json")


def calibrate_file(path: Path, dataset: Dataset, device: str = "auto", *, sibling: Path | None = None) -> Calibration:
    """Make the calibration of a model file.

    Args:
        path: The model file.
        dataset: Held-out patients with labels.
        device: See `choose_device`.
        sibling: Give the calibration to this model instead: the same recipe, trained on all patients, so that none is left to learn from.

    Raises:
        InputError: The model was trained on one of the patients, the sibling is of another architecture or recipe, or as `calibrate`.
    """
    if sibling is not None:
        _refuse_strangers(read_spec(path), read_spec(sibling), sibling)
    model = load_model(path, choose_device(device))
    known = sorted(set(model.spec.card.get("train_patients", ())) & set(dataset.patients))
    if known:
        msg = (
            f"{path} was trained on {known[0]} ({len(known)} such patients in all); give held-out patients only, for instance with --split"
        )
        raise InputError(msg)
    calibration = calibrate(model, dataset, file_sha256(path))
    if sibling is None:
        return calibration
    trust = replace(calibration.trust, provenance=calibration.trust.provenance | {"learnt_from": calibration.model_sha256})
    return replace(calibration, model_sha256=file_sha256(sibling), trust=trust)


def _refuse_strangers(mine: ModelSpec, other: ModelSpec, path: Path) -> None:
    """Refuse to hand a calibration to a model that was not made in the same way."""
    for name in ("members", "pooling", "grid"):
        if getattr(mine, name) != getattr(other, name):
            msg = f"{path}: differs in its {name}, so a calibration cannot be handed to it; give a model of the same recipe"
            raise InputError(msg)
    if mine.card.get("recipe") != other.card.get("recipe"):
        msg = f"{path}: was trained by another recipe, so a calibration cannot be handed to it; give a model of the same recipe"
        raise InputError(msg)


def calibrate(model: Model, dataset: Dataset, model_sha256: str) -> Calibration:
    """Make a calibration from patients that the model was not trained on.

    Args:
        model: The model.
        dataset: Held-out patients with labels.
        model_sha256: Of the model's file.

    Raises:
        InputError: There are too few patients, or no slice is poor, or all are.
    """
    rows: list[tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_], str]] = []
    volumes: dict[str, dict[str, _Volumes]] = {}
    owners: dict[str, str] = {}
    one_of: dict[str, str] = {}
    for frame in dataset:
        plane = (frame.spacing[1], frame.spacing[2])
        predicted = model.segment_frame(frame.image, plane)
        signs = slice_features(*predicted.on_grid, model.grid.pixel_mm((frame.image.shape[1], frame.image.shape[2]), plane))
        ends = np.zeros(len(frame.labels), bool)
        ends[list(end_slices(len(ends)))] = True
        rows.append((np.stack([signs[name] for name in FEATURES], axis=1), slice_dsc(frame.labels, predicted.labels), ends, frame.patient))
        if frame.phase is not None:
            pair = (structure_volumes(frame.labels, frame.spacing), structure_volumes(predicted.labels, frame.spacing))
            volumes.setdefault(frame.patient, {})[frame.phase] = pair
        owner = owners.setdefault(fingerprint(frame), frame.patient)
        if owner != frame.patient:
            one_of[frame.patient] = one_of.get(owner, owner)
    table = SliceTable(
        np.concatenate([row[0] for row in rows]),
        np.concatenate([row[1] for row in rows]),
        np.concatenate([row[2] for row in rows]),
        np.repeat([one_of.get(row[3], row[3]) for row in rows], [len(row[1]) for row in rows]),
    )
    true, predicted_indices = _index_pairs([phases for patient, phases in volumes.items() if patient not in one_of])
    half_widths = {name: conformal_half_width(true[name], predicted_indices[name], LEVEL) for name in INDICES}
    coverage = {name: leave_one_out_coverage(true[name], predicted_indices[name], LEVEL) for name in INDICES}
    trust = fit_trust(table, {"patients": list(dataset.patients), "data": dataset.name, "interval_coverage": coverage})
    return Calibration(model_sha256, trust, half_widths)


def slice_dsc(truth: NDArray[np.uint8], prediction: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Mean DSC of each slice over the structures that either side shows, float64 (D,); 1 where neither shows any."""
    scores = dsc_of_confusion(slice_confusion(truth, prediction))[:, list(FOREGROUND)]
    shown = ~np.isnan(scores)
    mean = np.where(shown, scores, 0).sum(axis=1) / np.maximum(shown.sum(axis=1), 1)
    return np.where(shown.any(axis=1), mean, 1.0)


def fit_trust(table: SliceTable, provenance: dict[str, Any]) -> TrustModel:
    """Fit the trust model on all slices; the threshold and the figures in its provenance come from leaving one patient out.

    The threshold flags the share `FLAGGED_GOOD` of the good end slices.

    Raises:
        InputError: There are fewer than three patients, or no slice is poor, or no end slice is good.
    """
    poor = table.dsc < POOR_DSC
    patients = np.unique(table.patient)
    ends = table.end
    if len(patients) < 3 or not poor.any() or not (ends & ~poor).any():
        msg = (
            "calibration needs three patients or more with good and with poor end slices, "
            f"not {len(patients)} with {int((ends & ~poor).sum())} good and {int(poor.sum())} poor ones"
        )
        raise InputError(msg)
    unseen = np.empty(len(poor))
    for patient in patients:
        out = table.patient == patient
        unseen[out] = _predict(_fit(table.signs[~out], poor[~out]), table.signs[out])
    threshold = _threshold(unseen[ends & ~poor])
    mean, scale, weights = _fit(table.signs, poor)
    flagged = np.empty(len(poor), bool)
    for patient in patients:
        out = table.patient == patient
        flagged[out] = unseen[out] >= _threshold(unseen[ends & ~poor & ~out])
    figures = {
        "slices": len(poor),
        "end_slices": int(ends.sum()),
        "poor_end_slices": int((ends & poor).sum()),
        "auroc_all_slices": auroc(unseen, poor),
        "auroc_end_slices": auroc(unseen[ends], poor[ends]),
        "caught_dsc_below_0.7": _share(flagged[ends & (table.dsc < VERY_POOR_DSC)]),
        "caught_dsc_below_0.8": _share(flagged[ends & poor]),
        "flagged_good": _share(flagged[ends & ~poor]),
        "precision": _share(poor[ends & flagged]),
    }
    return TrustModel(
        features=tuple(FEATURES),
        mean=tuple(mean.tolist()),
        scale=tuple(scale.tolist()),
        coefficients=tuple(weights[:-1].tolist()),
        intercept=float(weights[-1]),
        threshold=threshold,
        usual=tuple(np.quantile(table.signs[~poor], 0.95, axis=0).tolist()),
        provenance=provenance | figures,
    )


def _threshold(good: NDArray[np.float64]) -> float:
    """Probability above which the share `FLAGGED_GOOD` of good end slices lies; 1 where there is none."""
    return float(np.quantile(good, 1 - FLAGGED_GOOD)) if good.size else 1.0


def auroc(score: NDArray[np.float64], positive: NDArray[np.bool_]) -> float | None:
    """Area under the ROC curve: the probability that a positive scores above a negative (Mann and Whitney); None without one of each."""
    n, m = int(positive.sum()), int((~positive).sum())
    if not n or not m:
        return None
    return float((rankdata(score)[positive].sum() - n * (n + 1) / 2) / (n * m))


_Volumes = tuple["NDArray[np.float64]", "NDArray[np.float64]"]
"""True and predicted volumes (C,) of a frame in ml."""
_Fitted = tuple["NDArray[np.float64]", "NDArray[np.float64]", "NDArray[np.float64]"]


def _fit(signs: NDArray[np.float64], poor: NDArray[np.bool_]) -> _Fitted:
    """Logistic regression with a ridge penalty on the standardised signs; the intercept, last of the weights, is not penalised."""
    mean, scale = signs.mean(axis=0), signs.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    x = np.column_stack([(signs - mean) / scale, np.ones(len(signs))])
    penalty = np.append(np.full(signs.shape[1], _RIDGE), 0.0)

    def objective(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = x @ weights
        value = np.logaddexp(0, z).sum() - z[poor].sum() + (penalty * weights**2).sum() / 2
        return float(value), x.T @ (expit(z) - poor) + penalty * weights

    result = minimize(objective, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B")
    return mean, scale, np.asarray(result.x, np.float64)


def _predict(fitted: _Fitted, signs: NDArray[np.float64]) -> NDArray[np.float64]:
    mean, scale, weights = fitted
    return np.asarray(expit((signs - mean) / scale @ weights[:-1] + weights[-1]), np.float64)


def _share(flags: NDArray[np.bool_]) -> float | None:
    return float(flags.mean()) if flags.size else None


def _index_pairs(patients: list[dict[str, _Volumes]]) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """True and predicted value of every index for every patient with ED and ES."""
    true: dict[str, list[float]] = {name: [] for name in INDICES}
    predicted: dict[str, list[float]] = {name: [] for name in INDICES}
    for phases in patients:
        if not {"ED", "ES"} <= phases.keys():
            continue
        for side, values in enumerate((true, predicted)):
            found = indices_of_volumes(phases["ED"][side], phases["ES"][side])
            for name in INDICES:
                values[name].append(_value(found[name].value))
    return true, predicted


def _value(value: float | None) -> float:
    return np.nan if value is None else value
