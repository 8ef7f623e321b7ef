"""A DICOM study: which series is the short-axis cine, and why the others are not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shortaxis.errors import InputError
from shortaxis.inspection.geometry import check_cine, check_stack
from shortaxis.inspection.report import Finding, Inspection
from shortaxis.io.dicom import survey_dicom

if TYPE_CHECKING:
    from pathlib import Path

    from shortaxis.io.dicom import Survey
    from shortaxis.io.dicom.reader import Finding as Stack


def inspect_dicom(path: Path, series: int | str | None = None) -> Inspection:
    """Inspect the headers of a study; no pixel is read.

    Args:
        path: The folder, or a multi-frame file.
        series: Number or UID of the series to take; None finds the short-axis cine.
    """
    found = Inspection(path, "DICOM study")
    try:
        survey = survey_dicom(path, series=series)
    except InputError as error:
        found.findings.append(Finding.of_error(error, path))
        return found
    if survey.problem is not None:
        found.findings.append(Finding.of_error(survey.problem, path))
    if survey.outline is not None and survey.chosen is not None:
        outline = survey.outline
        found.facts["taken"] = _say(survey.findings[survey.chosen])
        check_stack(outline.shape, outline.spacing, found)
        found.facts["orientation_known"] = True
        check_cine(outline.shape[0], outline.phase_times, found)
        subject = outline.subject
        found.facts["heart_rate"] = None if not outline.rr_interval else round(60_000 / outline.rr_interval, 1)
        found.facts |= {"height_cm": subject.height_cm, "weight_kg": subject.weight_kg, "scanner": subject.vendor}
        for note in outline.notes:
            found.add("warning", note, "look at the study again where this is not what you expect")
    _say_rest(survey, found)
    return found


def _say_rest(survey: Survey, found: Inspection) -> None:
    found.facts["left_out"] = [
        f"{_say(stack)}: {stack.reason or 'another is preferred'}"
        for number, stack in enumerate(survey.findings)
        if number != survey.chosen
    ]
    reasons = list(survey.others.values())
    if reasons:
        found.facts["other_files"] = [f"{reasons.count(reason)} × {reason}" for reason in sorted(set(reasons))]
    if survey.n_strange:
        found.facts["files_not_dicom"] = survey.n_strange


def _say(stack: Stack) -> str:
    numbers = [str(number) for number in stack.series if number is not None]
    some = numbers if len(numbers) <= 4 else [*numbers[:2], "…", numbers[-1]]
    name = f"series {', '.join(some)}" if numbers else "a series without number"
    return f"{name} ({stack.n_slices} slices × {stack.n_phases} phases)"
