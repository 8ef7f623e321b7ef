"""What belongs to one model file and is learnt after its training: when an end slice is to be checked, how wide the intervals must be."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shortaxis.datasets.splits import fingerprint
from shortaxis.ensemble.model_file import file_sha256, read_spec
from shortaxis.errors import InputError
from shortaxis.indices import structure_volumes
from shortaxis.indices.volumes import indices_of_volumes
from shortaxis.inference import load_model
from shortaxis.inference.device import choose_device
from shortaxis.io.atomic import atomic_path
from shortaxis.io.limits import read_text
from shortaxis.metrics.end_coefficient import end_slices
from shortaxis.metrics.protocols import INDICES
from shortaxis.quality.conformal import conformal_half_width
from shortaxis.quality.features import FEATURES, slice_features
from shortaxis.quality.forest import Forest
from shortaxis.quality.trust import TrustModel
from shortaxis.quality.trust_fitting import SliceTable, fit_trust, slice_dsc

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from shortaxis.datasets.dataset import Dataset
    from shortaxis.inference import Model
    from shortaxis.study import Frame

LEVEL: Final = 0.9
_FORMAT: Final = 2


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
        text = json.dumps({"format": _FORMAT, **asdict(self)}, indent=2)
        with atomic_path(path) as temporary:  # a list on one line: the trees have thousands of nodes
            temporary.write_text(re.sub(r"\[[^\[\]{}]*\]", lambda match: " ".join(match[0].split()), text) + "\n", encoding="utf-8")


def load_calibration(path: Path) -> Calibration:
    """Read a calibration.

    Raises:
        InputError: The file is missing or damaged.
    """
    try:
        content = json.loads(read_text(path))
        version = content.pop("format")
        if version == _FORMAT:
            trust = _tuples(content.pop("trust"))
            trust["forest"] = Forest(**_tuples(trust["forest"]))
            calibration = Calibration(trust=TrustModel(**trust), **content)
    except InputError:
        raise
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        msg = f"{path}: not a calibration, or damaged ({error}); make it again with `shortaxis calibrate`"
        raise InputError(msg) from error
    if version != _FORMAT:
        msg = f"{path}: this calibration is of another format; make it again with `shortaxis calibrate`"
        raise InputError(msg)
    return calibration


def calibration_path(model: Path) -> Path:
    """Where the calibration of a model file lies: beside it, as `NAME.calibration.json`."""
    return model.with_suffix(".calibration.json")


def calibrate_file(path: Path, dataset: Dataset, device: str = "auto", *, sibling: Path | None = None) -> Calibration:
    """Make the calibration of a model file.

    Args:
        path: The model file.
        dataset: Patients with labels; see `calibrate`.
        device: See `choose_device`.
        sibling: Give the calibration to this model instead, of which no patient is left to learn from: the same recipe trained on all
            patients, or this model trained further on them.

    Raises:
        InputError: The model was trained on all of the patients, the sibling is of another architecture, or neither of this recipe nor
            trained on from here, or as `calibrate`.
    """
    if sibling is not None:
        _refuse_strangers(path, sibling)
    model = load_model(path, choose_device(device))
    if set(dataset.patients) <= set(model.spec.card.get("train_patients", ())):
        msg = f"{path} was trained on {dataset.patients[0]} and on every other patient of {dataset.name}; give held-out patients too"
        raise InputError(msg)
    calibration = calibrate(model, dataset, file_sha256(path))
    if sibling is None:
        return calibration
    trust = replace(calibration.trust, provenance=calibration.trust.provenance | {"learnt_from": calibration.model_sha256})
    return replace(calibration, model_sha256=file_sha256(sibling), trust=trust)


def _refuse_strangers(model: Path, path: Path) -> None:
    """Refuse to hand a calibration to a model that was neither made in the same way nor trained further from there."""
    mine, other = read_spec(model), read_spec(path)
    for name in ("members", "pooling", "grid", "augmenting"):
        if getattr(mine, name) != getattr(other, name):
            msg = f"{path}: differs in its {name}, so a calibration cannot be handed to it; give a model of the same recipe"
            raise InputError(msg)
    start = other.card.get("start_from") or {}
    if mine.card.get("recipe") != other.card.get("recipe") and start.get("sha256") != file_sha256(model):
        msg = f"{path}: was trained by another recipe and not on from {model.name}; give one of the same recipe, or that started there"
        raise InputError(msg)


def calibrate(model: Model, dataset: Dataset, model_sha256: str) -> Calibration:
    """Make a calibration.

    Args:
        model: The model. Patients that its card names as trained on only teach what a poor slice looks like.
        dataset: Patients with labels; held-out ones among them, or nothing else.
        model_sha256: Of the model's file.

    Raises:
        InputError: There are too few held-out patients, or none of their end slices is poor, or all are.
    """
    seen = set(model.spec.card.get("train_patients", ()))
    gathered = _Gathered(dataset, model, seen)
    true, predicted_indices = _index_pairs(gathered.volumes_of(held_out=True))
    half_widths = {name: conformal_half_width(true[name], predicted_indices[name], LEVEL) for name in INDICES}
    known_true, known_predicted = _index_pairs(gathered.volumes_of(held_out=False))
    known: dict[str, Any] = {
        "patients": [patient for patient in dataset.patients if not gathered.is_seen(patient)],
        "taught_by_patients": len(dataset.patients),
        "data": dataset.name,
        "trained_patients_inside_interval": {
            name: _share_inside(known_true[name], known_predicted[name], half_width) for name, half_width in half_widths.items()
        },
    }
    return Calibration(model_sha256, fit_trust(gathered.table(), known), half_widths)


class _Gathered:
    """Signs, scores and volumes of all frames of a data set, which is read once."""

    def __init__(self, dataset: Dataset, model: Model, seen: set[str]) -> None:
        self.rows: list[tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_], str]] = []
        self.volumes: dict[str, dict[str, _Volumes]] = {}
        self.owners: dict[str, str] = {}
        self.one_of: dict[str, str] = {}
        for frame in dataset.whole():
            self._add(frame, model)
        self.seen_hearts = {self.one_of.get(patient, patient) for patient in seen}

    def _add(self, frame: Frame, model: Model) -> None:
        plane = (frame.spacing[1], frame.spacing[2])
        predicted = model.segment_frame(frame.image, plane)
        signs = slice_features(*predicted.on_grid, model.grid.pixel_mm((frame.image.shape[1], frame.image.shape[2]), plane))
        ends = np.zeros(len(frame.labels), bool)
        ends[list(end_slices(len(ends)))] = True
        table = np.stack([signs[name] for name in FEATURES], axis=1)
        self.rows.append((table, slice_dsc(frame.labels, predicted.labels), ends, frame.patient))
        if frame.phase is not None:
            pair = (structure_volumes(frame.labels, frame.spacing), structure_volumes(predicted.labels, frame.spacing))
            self.volumes.setdefault(frame.patient, {})[frame.phase] = pair
        owner = self.owners.setdefault(fingerprint(frame), frame.patient)
        if owner != frame.patient:
            self.one_of[frame.patient] = self.one_of.get(owner, owner)

    def is_seen(self, patient: str) -> bool:
        """Whether the networks were trained on the patient, or on one with identical images."""
        return self.one_of.get(patient, patient) in self.seen_hearts

    def volumes_of(self, *, held_out: bool) -> list[dict[str, _Volumes]]:
        """Volumes by phase of each held-out, or of each seen patient; of patients with identical images the first only."""
        return [phases for patient, phases in self.volumes.items() if patient not in self.one_of and self.is_seen(patient) != held_out]

    def table(self) -> SliceTable:
        """All slices."""
        depths = [len(row[1]) for row in self.rows]
        signs, dsc, end = (np.concatenate([row[place] for row in self.rows]) for place in range(3))
        patients = np.repeat([self.one_of.get(row[3], row[3]) for row in self.rows], depths)
        held_out = np.repeat([not self.is_seen(row[3]) for row in self.rows], depths)
        return SliceTable(signs, dsc, end, patients, held_out)


_Volumes = tuple["NDArray[np.float64]", "NDArray[np.float64]"]
"""True and predicted volumes (C,) of a frame in ml."""


def _tuples(content: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in content.items()}


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


def _share_inside(true: list[float], predicted: list[float], half_width: float) -> float | None:
    errors = np.abs(np.array(true) - np.array(predicted))
    errors = errors[np.isfinite(errors)]
    return float((errors <= half_width).mean()) if errors.size else None


def _value(value: float | None) -> float:
    return np.nan if value is None else value
