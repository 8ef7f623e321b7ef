"""Who computes what: the three protocols under which this package states figures. A number without the name of its protocol means nothing.

| Protocol | DSC | EC |
|---|---|---|
| `reference` | one confusion matrix pooled over all frames, on a stretched 224×224 grid | all frames, four classes: `reference_end_score` |
| `paper` | one confusion matrix pooled over all frames, native grid | fully annotated end slices, three classes: `paper_end_score` |
| `clinical` | per frame in 3D on the native grid, mean over frames | as `paper` |

`clinical` adds HD95 and ASSD in mm, the agreement of volumes, ejection fraction and mass, and, where the quality control has looked, the
share of slices that it trusts.

DSC and EC are in per cent. "Average" is the mean of the figures of RV, MYO and LV. Every figure comes with a percentile interval from a
bootstrap over patients, with the number n of frames (indices: patients) behind it and with the number of those that could not enter:

* DSC of a structure: pooled, undefined only when no frame has it on either side. Per case (`clinical`, and the rows of all three), a frame
  that has it on neither side is undefined, and one that has it on one side only scores 0.
* HD95 and ASSD: undefined when the structure is empty on one side or both. They are blind to such misses; read them with `undefined`.
* EC: `reference` counts every frame; `paper` and `clinical` cannot count a frame without a fully annotated end slice.
* Indices: undefined for a patient whose ED or ES frame is missing or not known as such, and EF also where a side has EDV = 0.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from shortaxis.errors import InputError
from shortaxis.indices.volumes import indices_of_volumes, structure_volumes
from shortaxis.labels import FOREGROUND
from shortaxis.metrics.agreement import AGREEMENT_STATISTICS, agreement_moments
from shortaxis.metrics.bootstrap import Estimate, Figure, PatientBootstrap, Resampling, mean_of_ratios, number
from shortaxis.metrics.case import Case, CaseScore
from shortaxis.metrics.end_coefficient import end_coefficient, paper_end_score, reference_end_score
from shortaxis.metrics.overlap import dsc_counts, dsc_of_confusion, dsc_of_counts, slice_confusion
from shortaxis.metrics.surface import surface_distance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

STRETCHED: Final = 224
"""Rows and columns of the grid on which the authors' code scores."""

INDICES: Final = {"lv_edv": "ml", "lv_esv": "ml", "lv_ef": "%", "lv_mass": "g", "rv_edv": "ml", "rv_esv": "ml", "rv_ef": "%"}
"""The indices whose agreement `clinical` states, and their units."""


class Protocol(ABC):
    """Scores cases one by one, then sums up; keeps nothing of the images."""

    name: ClassVar[str]
    description: ClassVar[str]

    @abstractmethod
    def score(self, case: Case) -> CaseScore:
        """Score one case."""

    @abstractmethod
    def figures(self, scores: Sequence[CaseScore]) -> dict[str, Figure]:
        """The overall figures by name, each as a function of sums over cases, from at least one score."""

    def summarise(self, scores: Sequence[CaseScore], resampling: Resampling) -> dict[str, Estimate]:
        """The overall figures by name with their intervals, from at least one score."""
        figures = self.figures(scores)
        bootstraps = {patients: PatientBootstrap(patients, resampling) for patients in {figure.patients for figure in figures.values()}}
        return {name: bootstraps[figure.patients].of(figure) for name, figure in figures.items()}

    def patient_rows(self, scores: Sequence[CaseScore]) -> list[dict[str, Any]]:  # noqa: ARG002
        """JSON-able figures that exist per patient, not per frame; none by default."""
        return []


class _Pooled(Protocol):
    """DSC of one confusion matrix over all frames."""

    def figures(self, scores: Sequence[CaseScore]) -> dict[str, Figure]:
        overlap, sizes = dsc_counts(np.stack([score.confusion for score in scores]))
        figures = {}
        for name, classes in _dsc_columns().items():
            moments = np.concatenate([100.0 * overlap[:, classes], sizes[:, classes]], axis=1)
            figures[name] = Figure(_patients(scores), moments, _pooled_dsc, "%", len(scores))
        return figures | {"ec": _end_coefficient(scores)}


class Reference(_Pooled):
    """What the authors' published code computes."""

    name = "reference"
    description = "pooled DSC on the stretched 224×224 grid; EC over four classes and all frames, as the authors' code"

    def score(self, case: Case) -> CaseScore:
        """Score one case on the stretched grid."""
        confusion = slice_confusion(stretch(case.truth), stretch(case.prediction))
        return CaseScore.of(case, confusion.sum(0), _dsc_values(confusion.sum(0)) | _end_values(reference_end_score(confusion)))


class Paper(_Pooled):
    """What the text of the paper says."""

    name = "paper"
    description = "pooled DSC on the native grid; EC over fully annotated end slices, as the paper's text"

    def score(self, case: Case) -> CaseScore:
        """Score one case on its native grid."""
        confusion = slice_confusion(case.truth, case.prediction)
        return CaseScore.of(case, confusion.sum(0), _dsc_values(confusion.sum(0)) | _end_values(paper_end_score(confusion)))


class Clinical(Protocol):
    """What a clinician asks: each patient counts the same, distances in mm, indices in their units."""

    name = "clinical"
    description = "DSC per frame in 3D, mean over frames; HD95 and ASSD in mm; agreement of indices; EC as in `paper`"

    def score(self, case: Case) -> CaseScore:
        """Score one case on its native grid."""
        confusion = slice_confusion(case.truth, case.prediction)
        values = _dsc_values(confusion.sum(0)) | _end_values(paper_end_score(confusion))
        for structure in FOREGROUND:
            distance = surface_distance(case.truth == structure, case.prediction == structure, case.spacing)
            values |= {f"hd95_{structure.name.lower()}": distance.hd95, f"assd_{structure.name.lower()}": distance.assd}
        for side, labels in (("truth", case.truth), ("prediction", case.prediction)):
            volumes = structure_volumes(labels, case.spacing)
            values |= {f"{structure.name.lower()}_ml_{side}": float(volumes[structure]) for structure in FOREGROUND}
        if case.trusted is not None:
            values |= {"slices": float(len(case.trusted)), "trusted_slices": float(case.trusted.sum())}
        return CaseScore.of(case, confusion.sum(0), values)

    def figures(self, scores: Sequence[CaseScore]) -> dict[str, Figure]:
        """Means over frames, EC, and the agreement of the indices over patients."""
        patients = _patients(scores)
        figures = {}
        for quantity, unit in (("dsc", "%"), ("hd95", "mm"), ("assd", "mm")):
            columns = np.stack([_column(scores, f"{quantity}_{structure.name.lower()}") for structure in FOREGROUND], axis=1)
            figures[f"{quantity}_average"] = Figure.mean(patients, columns, unit=unit)
            for column, structure in zip(columns.T, FOREGROUND, strict=True):
                figures[f"{quantity}_{structure.name.lower()}"] = Figure.mean(patients, column, unit=unit)
        figures["ec"] = _end_coefficient(scores)
        looked = [score for score in scores if "slices" in score.values]
        if looked:
            shares = np.stack([100 * _column(scores, "trusted_slices"), _column(scores, "slices")], axis=1)
            unseen = len(scores) - len(looked)
            figures["trusted_slices"] = Figure(patients, np.nan_to_num(shares), mean_of_ratios, "%", len(looked), unseen)
        return figures | self._agreement(scores)

    def patient_rows(self, scores: Sequence[CaseScore]) -> list[dict[str, Any]]:
        """The indices of each patient from truth and prediction; None where a phase is missing."""
        groups = {score.patient: score.group for score in scores}
        return [
            {"patient": patient, "group": groups[patient]} | {name: number(value) for name, value in values.items()}
            for patient, values in _patient_indices(scores).items()
        ]

    def _agreement(self, scores: Sequence[CaseScore]) -> dict[str, Figure]:
        by_patient = _patient_indices(scores)
        figures = {}
        for name, unit in INDICES.items():
            truth, prediction = ([values[f"{name}_{side}"] for values in by_patient.values()] for side in ("truth", "prediction"))
            moments = agreement_moments(truth, prediction)
            n = int(moments[:, 0].sum())
            for statistic, compute in AGREEMENT_STATISTICS.items():
                figures[f"{name}_{statistic}"] = Figure(
                    tuple(by_patient), moments, compute, "" if statistic == "r" else unit, n, len(by_patient) - n
                )
        return figures


PROTOCOLS: Final[dict[str, Protocol]] = {protocol.name: protocol for protocol in (Reference(), Paper(), Clinical())}


def protocols_named(names: Sequence[str] | str) -> tuple[Protocol, ...]:
    """Look protocols up by name; `all` stands for every one.

    Args:
        names: One name or several.

    Returns:
        The protocols, each once, in the order asked for.

    Raises:
        InputError: No protocol has this name, or none was named.
    """
    asked = [names] if isinstance(names, str) else list(names)
    expanded = [name for entry in asked for name in (PROTOCOLS if entry == "all" else [entry])]
    unknown = [name for name in expanded if name not in PROTOCOLS]
    if unknown or not expanded:
        msg = f"no protocol is called '{unknown[0] if unknown else ''}'; known are {', '.join(PROTOCOLS)} and all"
        raise InputError(msg)
    return tuple(PROTOCOLS[name] for name in dict.fromkeys(expanded))


def stretch(labels: NDArray[np.uint8], size: int = STRETCHED) -> NDArray[np.uint8]:
    """Resize every slice to `size` × `size` by nearest neighbour, whatever its shape and spacing.

    Pixel i of the result takes the source pixel that its centre falls into, ⌊(i + ½)·n/size⌋ (what Pillow's NEAREST and torch's
    `nearest-exact` do); in whole numbers, so that no rounding moves a pixel.

    Args:
        labels: uint8 (D, H, W).
        size: Rows and columns of the result.

    Returns:
        uint8 (D, size, size).
    """
    rows, columns = ((2 * np.arange(size) + 1) * n // (2 * size) for n in labels.shape[1:])
    return labels[:, rows[:, None], columns]


def _dsc_columns() -> dict[str, list[int]]:
    """The classes behind each DSC figure."""
    return {"dsc_average": [int(structure) for structure in FOREGROUND]} | {
        f"dsc_{structure.name.lower()}": [int(structure)] for structure in FOREGROUND
    }


def _dsc_values(confusion: NDArray[np.int64]) -> dict[str, float]:
    scores = 100 * dsc_of_confusion(confusion)
    return {name: float(scores[classes].mean()) for name, classes in _dsc_columns().items()}


def _pooled_dsc(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over classes of Eq. 5 on counts summed over frames: (..., 2·S), S overlaps and then S sizes, to (...)."""
    overlap, sizes = np.split(sums, 2, axis=-1)
    return np.asarray(dsc_of_counts(overlap, sizes).mean(-1))


def _end_values(score: float) -> dict[str, float]:
    """The mean end-slice DSC of a frame, and Eq. 6 of this frame alone: 0 or 100, NaN where it is not one of the K frames."""
    return {"end_dsc": 100 * score, "ec": 100 * end_coefficient([score])}


def _end_coefficient(scores: Sequence[CaseScore]) -> Figure:
    """Eq. 6 of all frames: the mean of its value over the frames that count."""
    return Figure.mean(_patients(scores), _column(scores, "ec"), unit="%")


def _patients(scores: Sequence[CaseScore]) -> tuple[str, ...]:
    return tuple(score.patient for score in scores)


def _column(scores: Sequence[CaseScore], name: str) -> NDArray[np.float64]:
    return np.array([score.values.get(name, np.nan) for score in scores])


def _patient_indices(scores: Sequence[CaseScore]) -> dict[str, dict[str, float]]:
    """For each patient, in order of name, every index from truth and from prediction; NaN where it cannot be known."""
    phases: dict[str, dict[str, CaseScore]] = {score.patient: {} for score in sorted(scores, key=lambda score: score.patient)}
    for score in scores:
        if score.phase in {"ED", "ES"}:
            if score.phase in phases[score.patient]:
                msg = (
                    f"{score.name}: patient {score.patient} has another {score.phase} frame already, "
                    f"{phases[score.patient][score.phase].name}; evaluate one study of a patient at a time"
                )
                raise InputError(msg)
            phases[score.patient][score.phase] = score
    return {
        patient: {
            f"{name}_{side}": np.nan if index.value is None else index.value
            for side in ("truth", "prediction")
            for name, index in indices_of_volumes(_volumes(frames.get("ED"), side), _volumes(frames.get("ES"), side)).items()
            if name in INDICES
        }
        for patient, frames in phases.items()
    }


def _volumes(score: CaseScore | None, side: str) -> NDArray[np.float64] | None:
    if score is None:
        return None
    return np.array([np.nan, *(score.values[f"{structure.name.lower()}_ml_{side}"] for structure in FOREGROUND)])
