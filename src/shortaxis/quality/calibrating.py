"""Making a calibration: networks segment annotated patients that they have not seen, as they are and as other scanners show them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from shortaxis.datasets.splits import duplicate_patients
from shortaxis.ensemble.model_file import file_sha256, read_spec
from shortaxis.errors import InputError
from shortaxis.indices import structure_volumes
from shortaxis.indices.volumes import indices_of_volumes
from shortaxis.inference import load_model
from shortaxis.inference.device import choose_device
from shortaxis.labels import FOREGROUND, UNKNOWN, Structure
from shortaxis.metrics.protocols import INDICES
from shortaxis.quality.calibration import Calibration
from shortaxis.quality.domain import learn_domain
from shortaxis.quality.endocardium import OutlinedFrame, learn_shift
from shortaxis.quality.evidence import SIGNS, FrameEvidence, all_signs, frame_evidence, shared_span, study_parts
from shortaxis.quality.grid_frame import heart_span
from shortaxis.quality.interval_fitting import StudyErrors, coverage, cross_fitted, fit_ends, fit_weights, normalised_errors
from shortaxis.quality.intervals import IntervalModel
from shortaxis.quality.shifts import draw_shift, shifted
from shortaxis.quality.trust import POOR_DSC, heart_ends
from shortaxis.quality.trust_fitting import FIRST_MODEL, SliceTable, fit_trust, slice_dsc

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from shortaxis.datasets.dataset import Dataset, FrameRef
    from shortaxis.ensemble.model_file import ModelSpec
    from shortaxis.inference import Model
    from shortaxis.study import Frame

SHIFTS: Final = 2
"""How often each patient is shown as another scanner might show it."""
HOME: Final = "as they are"
SHIFTED: Final = "shifted"
PARTLY: Final = "partly annotated"
_LEAST_SCANS: Final = 16
"""From as many on `signed_ends` gives ends."""


class _Prepared(NamedTuple):
    """A frame, what was predicted of it, and the evidence."""

    frame: Frame
    labels: NDArray[np.uint8]
    evidence: FrameEvidence
    outlined: OutlinedFrame | None


@dataclass(frozen=True, eq=False)
class _Teaching:
    """One study as the calibration sees it.

    Attributes:
        patient: The patient, or the first of those with identical images.
        source: `HOME`, `SHIFTED` or `PARTLY`.
        first: Whether the first of the models judged it.
        frames: Its frames, by `ED`, `ES`, or their names where the phase is not known.
        rows: Of each frame, the rows of its slices in the table.
    """

    patient: str
    source: str
    first: bool
    frames: dict[str, _Prepared]
    rows: dict[str, slice] = field(default_factory=dict)


def calibrate_files(
    paths: Sequence[Path],
    dataset: Dataset,
    device: str = "auto",
    *,
    target: Path | None = None,
    on_patient: Callable[[str], None] = lambda _name: None,
) -> Calibration:
    """Make the calibration of a model file.

    Args:
        paths: Models of which each patient is judged by the first that was not trained on it, such as the folds of a cross-validation.
        dataset: Patients with labels.
        device: See `choose_device`.
        target: The model that the calibration is for, where it is none of these: of the same architecture, trained on all patients.
        on_patient: Called with each patient's name when it is done.

    Raises:
        InputError: The models differ in architecture, or as `calibrate`.
    """
    if target is None and len(paths) > 1:
        msg = f"{len(paths)} models were given; say with --for which model the calibration is for"
        raise InputError(msg)
    target = paths[0] if target is None else target
    wanted = read_spec(target)
    for path in paths:
        _refuse_strangers(path, read_spec(path), target, wanted)
    models = [load_model(path, choose_device(device)) for path in paths]
    return calibrate(models, dataset, file_sha256(target), on_patient=on_patient)


def _refuse_strangers(path: Path, mine: ModelSpec, target: Path, other: ModelSpec) -> None:
    """Refuse to hand a calibration to a model of another architecture."""
    for name in ("members", "pooling", "grid", "augmenting"):
        if getattr(mine, name) != getattr(other, name):
            msg = f"{target}: differs from {path.name} in its {name}, so that a calibration cannot be handed to it; give models of one kind"
            raise InputError(msg)


def calibrate(
    models: Sequence[Model], dataset: Dataset, model_sha256: str, *, on_patient: Callable[[str], None] = lambda _name: None
) -> Calibration:
    """Make a calibration.

    Args:
        models: Each patient is segmented by the first that was not trained on it; a patient whom all have seen is left out.
        dataset: Patients with labels; partly annotated ones help to learn how scans of other hospitals err.
        model_sha256: Of the file of the model that the calibration is for.
        on_patient: Called with each patient's name when it is done.

    Raises:
        InputError: There are too few patients that the networks have not seen, or none of their end slices is poor, or all are.
    """
    owner = {name: block[0] for block in duplicate_patients(dataset) for name in block}
    seen = [{owner.get(name, name) for name in model.spec.card.get("train_patients", ())} for model in models]
    frames: dict[str, list[FrameRef]] = {}
    for ref in dataset.refs:
        frames.setdefault(ref.patient, []).append(ref)
    studies: list[_Teaching] = []
    for patient, refs in frames.items():
        whose = owner.get(patient, patient)
        judge = next((model for model, names in zip(models, seen, strict=True) if whose not in names), None)
        if judge is not None and whose == patient:  # of patients with identical images the first only
            loaded = [ref.load_annotated() for ref in refs]
            studies += _teachings(judge, patient, loaded, first=judge is models[0])
        on_patient(patient)
    if not studies:
        msg = f"the networks were trained on {dataset.patients[0]} and on every other patient of {dataset.name}; give other patients"
        raise InputError(msg)
    return _learnt(studies, dataset.name, model_sha256)


def _teachings(model: Model, patient: str, frames: Sequence[Frame], *, first: bool) -> list[_Teaching]:
    whole = all(frame.is_whole for frame in frames)
    found = [_Teaching(patient, HOME if whole else PARTLY, first, _predicted(model, frames))]
    for number in range(1, SHIFTS + 1 if whole else 1):
        shift = draw_shift(patient, number)
        found.append(_Teaching(patient, SHIFTED, first, _predicted(model, [shifted(frame, shift) for frame in frames])))
    return found


def _predicted(model: Model, frames: Sequence[Frame]) -> dict[str, _Prepared]:
    """Segment the frames of one study as `segment` does: one pose, that of ED."""
    first = next((frame for frame in frames if frame.phase == "ED"), frames[0])
    grid = model.place(first.image, first.spacing)
    prepared = {}
    for frame in frames:
        plane = (frame.spacing[1], frame.spacing[2])
        alike = frame.image.shape == first.image.shape and frame.spacing == first.spacing
        own = grid if alike else model.place(frame.image, frame.spacing)
        prediction = model.segment_frame(frame.image, plane, grid=own)
        pixel_mm = own.pixel_mm((frame.image.shape[1], frame.image.shape[2]), plane)
        evidence = frame_evidence(prediction, frame.image, frame.spacing, pixel_mm)
        outlined = None if frame.is_whole else OutlinedFrame(prediction.probabilities, prediction.labels, frame.labels)
        prepared[frame.phase or frame.name] = _Prepared(frame, prediction.labels, evidence, outlined)
    return prepared


def _learnt(studies: list[_Teaching], data: str, model_sha256: str) -> Calibration:
    table = _table(studies)
    patients = sorted({study.patient for study in studies if study.source == HOME})
    others = sorted({study.patient for study in studies if study.source == PARTLY})
    known = {"data": data, "patients": patients, "partly_annotated_patients": others}
    trust, risks = fit_trust(table, known)
    errors = [_study_errors(study, risks) for study in studies]
    home = [study.source == HOME for study in studies]
    scans = [study.frames["ED"].evidence.figures if "ED" in study.frames else None for study in studies]
    at_home = [scan for scan, own, error in zip(scans, home, errors, strict=True) if own and scan is not None and error.errors]
    if len(at_home) < _LEAST_SCANS:
        msg = f"{len(at_home)} wholly annotated patients with ED and ES are too few for intervals; give at least {_LEAST_SCANS}"
        raise InputError(msg)
    elsewhere = [scan for scan, study in zip(scans, studies, strict=True) if study.source == PARTLY and scan is not None]
    domain = learn_domain(np.stack(at_home), np.stack(elsewhere) if elsewhere else None)
    outside = [not domain.is_inside(scan) for scan in scans]
    intervals, figures = _intervals(studies, errors, outside)
    trust.provenance["intervals"] = figures
    trust.provenance["outside"] = {
        source: {
            "scans": sum(study.source == source for study in studies),
            "outside": sum(out for study, out in zip(studies, outside, strict=True) if study.source == source),
        }
        for source in (HOME, SHIFTED, PARTLY)
    }
    return Calibration(model_sha256, trust, intervals, domain, _endocardial_shift(studies))


def _endocardial_shift(studies: list[_Teaching]) -> float | None:
    """The shift to the compact myocardium, of patients of whom the LV cavity alone was outlined; None where there are none."""
    outlined = [one.outlined for study in studies for one in study.frames.values() if one.outlined is not None]
    shown = [frame for frame in outlined if (frame.cavity == Structure.LV).any()]
    return learn_shift(shown).shift if shown else None


def _table(studies: list[_Teaching]) -> SliceTable:
    """All slices on the heart and next to it; each study remembers its rows."""
    signs, dsc, end, owner, source, first, teaches = [], [], [], [], [], [], []
    for study in studies:
        for phase, (frame, labels, evidence, _) in study.frames.items():
            other = _companion(study, phase)
            score = slice_dsc(frame.labels, labels, [part for part in FOREGROUND if part in frame.annotated])
            depth = len(labels)
            ends, near = np.zeros(depth, bool), np.zeros(depth, bool)
            truths = [prepared.frame.labels for prepared in study.frames.values() if prepared.frame.labels.shape == frame.labels.shape]
            annotated = np.stack([np.isin(truth, list(FOREGROUND)).any(axis=(1, 2)) for truth in truths]).any(axis=0)
            for span in (shared_span(evidence, other), heart_span(annotated) if annotated.any() else None):
                if span is not None:
                    ends[list(heart_ends(span, depth))] = True
                    near[max(0, span[0] - 1) : span[1] + 2] = True
            found = all_signs(evidence, other)
            signs.append(np.stack([found[name] for name in SIGNS], axis=1))
            dsc.append(score)
            end.append(ends)
            owner += [study.patient] * depth
            source += [study.source] * depth
            first += [study.first] * depth
            teaches.append(near & (study.source != PARTLY) | (ends & (study.source == PARTLY) & (score < POOR_DSC)))
            start = sum(len(part) for part in dsc[:-1])
            study.rows[phase] = slice(start, start + depth)
    sources = np.array(source)
    return SliceTable(
        signs=np.concatenate(signs),
        dsc=np.concatenate(dsc),
        end=np.concatenate(end),
        patient=np.array(owner),
        source=sources,
        home=sources == HOME,
        first=np.array(first),
        teaches=np.concatenate(teaches),
    )


def _companion(study: _Teaching, phase: str) -> FrameEvidence | None:
    """The frame that a frame is compared with; see `shortaxis.quality.phase_signs`."""
    other = study.frames.get("ES" if phase == "ED" else "ED")
    own = study.frames[phase]
    return None if other is None or other.labels.shape != own.labels.shape or other is own else other.evidence


def _study_errors(study: _Teaching, risks: NDArray[np.float64]) -> StudyErrors:
    """True less predicted value of each index that the annotation knows; none without ED and ES, or where a rim is unknown."""
    if not {"ED", "ES"} <= study.frames.keys() or any((one.frame.labels == UNKNOWN).any() for one in study.frames.values()):
        return StudyErrors(study.patient, {}, {})
    both = {phase: study.frames[phase] for phase in ("ED", "ES")}
    parts = study_parts({phase: one.evidence for phase, one in both.items()}, {phase: risks[study.rows[phase]] for phase in both})
    true = indices_of_volumes(*(structure_volumes(one.frame.labels, one.frame.spacing) for one in both.values()))
    predicted = indices_of_volumes(*(structure_volumes(one.labels, one.frame.spacing) for one in both.values()))
    known = INDICES if all(one.frame.is_whole for one in both.values()) else [name for name in INDICES if _is_known(name, both)]
    values = {name: (true[name].value, predicted[name].value) for name in known}
    return StudyErrors(study.patient, parts, {name: t - p for name, (t, p) in values.items() if t is not None and p is not None})


def _is_known(name: str, both: Mapping[str, _Prepared]) -> bool:
    part = Structure.MYO if name == "lv_mass" else Structure[name[:2].upper()]
    return all(part in one.frame.annotated for one in both.values())


def _intervals(studies: list[_Teaching], errors: list[StudyErrors], outside: list[bool]) -> tuple[IntervalModel, dict[str, Any]]:
    """Weights and ends, and how often the intervals hold the truth of patients that they were not learnt from."""

    def chosen(source: str) -> list[StudyErrors]:
        """All studies of a source, but of the shifted ones only those that lie outside the known scans."""
        rows = zip(errors, studies, outside, strict=True)
        return [one for one, study, out in rows if study.source == source and one.errors and (out or source != SHIFTED)]

    at_home = chosen(HOME)
    weights = fit_weights(at_home)
    normalised = {HOME: (cross_fitted(at_home), at_home)}
    for source in (SHIFTED, PARTLY):
        away = chosen(source)
        if away:
            normalised["shifted, outside" if source == SHIFTED else source] = (normalised_errors(away, weights), away)
    inside = fit_ends([normalised[HOME][0]])
    beyond = fit_ends([values for source, (values, _) in normalised.items() if source != HOME], at_least=inside)
    figures = {source: coverage(values, rows, weights) for source, (values, rows) in normalised.items()}
    by_first = [study.first for one, study in zip(errors, studies, strict=True) if study.source == HOME and one.errors]
    if not all(by_first):
        figures[FIRST_MODEL] = coverage(normalised[HOME][0], at_home, weights, np.array(by_first))
    return IntervalModel(weights, inside, beyond), figures
