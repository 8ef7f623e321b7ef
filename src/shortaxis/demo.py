"""The demonstration: a virtual patient is scanned, segmented and measured, and everything is held against the truth."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shortaxis.errors import InputError
from shortaxis.evaluation import Evaluation, evaluate_cases
from shortaxis.indices import indices
from shortaxis.io import read, write_like
from shortaxis.io.atomic import write_json
from shortaxis.io.staging import staged
from shortaxis.metrics.case import Case
from shortaxis.phantom import GROUPS, Phantom, make_phantom
from shortaxis.reports.picture import save_picture
from shortaxis.segmenting.findings import Findings
from shortaxis.segmenting.measuring import SegmentedImage, flags_of, measured
from shortaxis.segmenting.opening import OpenModel, open_model
from shortaxis.segmenting.plan import PlannedImage, PlannedStudy
from shortaxis.segmenting.reporting import Told, build_report, show_pixels, write_report
from shortaxis.segmenting.trusting import Judged, judged_together, segment_judged
from shortaxis.segmenting.wishes import Wishes

if TYPE_CHECKING:
    from collections.abc import Callable

    from shortaxis.study import Segmentation

N_PHASES: Final = 12
"""Phases of the demonstration's heartbeat: enough to see it move, few enough for a laptop."""
STUDY: Final = "study.nii.gz"

_TRUTHS: Final = {
    "lv_edv": "edv",
    "lv_esv": "esv",
    "lv_ef": "ef",
    "lv_mass": "lv_mass",
    "rv_edv": "rv_edv",
    "rv_esv": "rv_esv",
    "rv_ef": "rv_ef",
}
"""For each index the attribute of the phantom's `Truth` that it should equal."""


@dataclass(frozen=True, eq=False)
class Demonstration:
    """What a demonstration found.

    Attributes:
        name: Of the virtual patient.
        measured: For each index its name, unit, the value measured from the labels (None where it has none), and the analytic value.
        evaluation: The labels of ED and ES scored against the exact masks.
        out: Where everything lies.
        end_diastole: Number of the ED frame, counted from 1.
        end_systole: Number of the ES frame, counted from 1.
    """

    name: str
    measured: list[dict[str, Any]]
    evaluation: Evaluation
    out: Path
    end_diastole: int
    end_systole: int

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return {
            "study": self.name,
            "out": str(self.out),
            "end_diastole": self.end_diastole,
            "end_systole": self.end_systole,
            "measured": self.measured,
            "evaluation": self.evaluation.to_dict(),
        }


def run_demo(
    out: Path | str,
    *,
    group: str = "NOR",
    seed: int = 0,
    model: Path | str | None = None,
    device: str = "auto",
    on_progress: Callable[[float, float, str], None] = lambda _done, _total, _what: None,
) -> Demonstration:
    """Make a phantom study, segment it, and leave everything in a folder.

    Args:
        out: The folder for `study.nii.gz` (the cine), `truth.nii.gz` (exact masks), `labels.nii.gz`, `indices.json`, `evaluation.json`,
            `picture.png`, `report.html` and `report.json`; they appear together or not at all.
        group: Diagnostic group of the virtual patient.
        seed: Chooses the patient.
        model: A model file; None is the released model.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        on_progress: Called with the phases done, the phases of the whole, and what is being done.

    Returns:
        What was found.

    Raises:
        InputError: The group, the model or the device is unfit, or `out` cannot be written.
    """
    out = Path(out)
    if group not in GROUPS:
        msg = f"--group {group}: no phantom group is called so; known are {', '.join(GROUPS)}"
        raise InputError(msg)
    opened = open_model(model, device)
    on_progress(0, N_PHASES, "rendering")
    phantom = make_phantom(seed, group=group, n_phases=N_PHASES)
    since = time.perf_counter()
    with staged(out) as stage:
        judged = _segment(phantom, stage, opened, lambda phase: on_progress(phase + 1, N_PHASES, "segmenting"))
        segmentation = judged.segmentation
        study = segmentation.study
        name = str(study.subject.identifier)
        write_like(segmentation.labels, study, stage / "labels.nii.gz")
        findings = Findings(name, phantom=True)
        findings.add(segmentation, STUDY, judged=judged)
        write_json(stage / "indices.json", findings.to_dict(opened.provenance, opened.calibration))
        told = Told(opened, Wishes(), f"shortaxis demo --group {group} --seed {seed}", time.perf_counter() - since)
        _write_report(name, judged, findings, told, stage)
        evaluation = evaluate_cases(_cases(phantom, segmentation))
        write_json(stage / "evaluation.json", evaluation.to_dict())
        save_picture(
            segmentation,
            stage / "picture.png",
            title=f"Virtual patient, group {group}, seed {seed}",
            remark=f"Phantom, not a patient. Segmented by {opened.model.spec.name}; slice numbers above, contours not smoothed.",
        )
    measured = [_compare(index_name, segmentation, phantom) for index_name in _TRUTHS]
    return Demonstration(name, measured, evaluation, out, (study.end_diastole or 0) + 1, (study.end_systole or 0) + 1)


def _write_report(name: str, judged: Judged, findings: Findings, told: Told, stage: Path) -> None:
    image = PlannedImage(stage / STUDY, Path("labels.nii.gz"))
    planned = PlannedStudy(name, image.path, (image,), Path("indices.json"))
    images = [SegmentedImage(image, judged)]
    report = build_report(planned, images, findings, flags_of(measured(images)), told)
    write_report(report, show_pixels(images), planned, stage)


def _segment(phantom: Phantom, stage: Path, opened: OpenModel, on_phase: Callable[[int], None]) -> Judged:
    """Segment what a user would have: the file, not the array in memory."""
    truth = phantom.study
    write_like(truth.pixels, truth, stage / STUDY, dtype=np.float32)
    write_like(phantom.labels, truth, stage / "truth.nii.gz")
    study = read(stage / STUDY)
    study = replace(study, end_diastole=truth.end_diastole, end_systole=truth.end_systole, subject=truth.subject)
    return judged_together([segment_judged(opened, study, on_phase, keep_entropy=True)], opened.calibration)[0]


def _cases(phantom: Phantom, segmentation: Segmentation) -> list[Case]:
    study = segmentation.study
    name = str(study.subject.identifier)
    return [
        Case(
            name=f"{name}_{phase}",
            patient=name,
            phase=phase,
            group=study.subject.group,
            truth=phantom.labels[index],
            prediction=segmentation.labels[index],
            spacing=study.spacing,
        )
        for phase, index in (("ED", study.end_diastole), ("ES", study.end_systole))
        if index is not None
    ]


def _compare(name: str, segmentation: Segmentation, phantom: Phantom) -> dict[str, Any]:
    index = indices(segmentation)[name]
    return {
        "index": name,
        "unit": index.unit,
        "measured": None if index.value is None else round(index.value, 2),
        "analytic": round(float(getattr(phantom.truth, _TRUTHS[name])), 2),
    }
