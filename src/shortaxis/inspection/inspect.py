"""Telling what an input is, and having it inspected by who knows of it."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Final

from shortaxis.datasets import kind_of
from shortaxis.errors import InputError
from shortaxis.indices.body import body_size
from shortaxis.inspection.dicom_study import inspect_dicom
from shortaxis.inspection.nifti_file import MOST_VOXELS, Budget, inspect_nifti
from shortaxis.inspection.others import MODEL_ENDING, dataset_kind, inspect_dataset, inspect_model
from shortaxis.inspection.report import Finding, Inspection
from shortaxis.segmenting.pieces import pieces_of_studies
from shortaxis.segmenting.plan import plan_studies
from shortaxis.segmenting.search import why_no_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shortaxis.segmenting.plan import PlannedStudy

MOST_PARTS: Final = 100
"""Studies that are opened, to be quick."""
MOST_VOXELS_OF_MANY: Final = MOST_VOXELS // 4
"""Voxels that are read of a folder of several: its headers take time already."""


def inspect_input(path: Path | str, *, series: int | str | None = None) -> Inspection:
    """Say what an input is, what is in it and what is wrong with it. Headers are read, and voxels as far as they are few.

    Args:
        path: A file or folder that `shortaxis segment` takes, a data set, bare or as `KIND:PATH`, or a model file.
        series: Number or UID of the series to take of a DICOM study; None finds the short-axis cine.

    Returns:
        The inspection; what keeps the input from being used is a finding in it.

    Raises:
        InputError: There is nothing at `path`.
    """
    path = Path(path)
    if (named := kind_of(path)) and not os.path.lexists(path):
        place = Path(str(path).removeprefix(f"{named}:")).expanduser()
        return inspect_input(place, series=series) if named == "acdc" else inspect_dataset(place, named)
    if reason := why_no_file(path):
        msg = f"{path}: {reason}"
        raise InputError(msg)
    if path.is_file() and path.suffix.lower() == MODEL_ENDING:
        return inspect_model(path)
    try:
        kind = dataset_kind(path)
        return _inspect_studies(path, series) if kind is None else inspect_dataset(path, kind)
    except OSError as error:
        found = Inspection(path, "folder" if path.is_dir() else "file")
        found.add("error", f"it cannot be read ({error.strerror})", "check its permissions")
        return found


def inspect_pieces(paths: Sequence[Path]) -> tuple[list[Inspection], list[Path]]:
    """Inspect the inputs that are single images of a DICOM study, one inspection a study.

    Args:
        paths: All inputs.

    Returns:
        The inspections, and the inputs that are no such images.
    """
    studies = pieces_of_studies(paths)
    pieces = {file for files in studies.values() for file in files}
    return [_inspect_problem(study) for study in studies], [path for path in paths if path not in pieces]


def _inspect_studies(path: Path, series: int | str | None) -> Inspection:
    """Inspect what `shortaxis segment` would make of it."""
    studies = plan_studies([path])
    budget = Budget(MOST_VOXELS if len(studies) == 1 else MOST_VOXELS_OF_MANY)
    parts = [_inspect_study(study, budget, series) for study in studies[:MOST_PARTS]]
    if len(studies) == 1 and studies[0].source == path:
        found = parts[0]
    else:
        what = {part.kind for part in parts}
        of = what.pop() if len(what) == 1 else "study"
        found = Inspection(path, f"folder of {len(studies)} × {of}", parts=parts)
        if len(studies) > MOST_PARTS:
            found.add(
                "note", f"only the first {MOST_PARTS} of {len(studies)} studies were opened", "name the others to have them looked at"
            )
    if budget.unread:
        some = f"{budget.unread[0].name} and {len(budget.unread) - 1} more" if len(budget.unread) > 1 else budget.unread[0].name
        found.add("note", f"the voxels of {some} were not looked at, to be quick", "name them one by one")
    if any(not part.has_errors for part in found.parts or [found]):
        found.command = f"shortaxis segment {shlex.quote(str(path))} --out labels"
    return found


def _inspect_problem(study: PlannedStudy) -> Inspection:
    found = Inspection(study.source, "folder" if study.source.is_dir() else "file")
    if study.problem is not None:
        found.findings.append(Finding.of_error(study.problem, study.source))
    return found


def _inspect_study(study: PlannedStudy, budget: Budget, series: int | str | None) -> Inspection:
    if study.problem is not None:
        return _inspect_problem(study)
    image = study.images[0]
    if image.dicom:
        return inspect_dicom(image.path, series)
    if len(study.images) == 1 and image.path == study.source:
        found = inspect_nifti(image.path, budget, phases_named=image.acdc is not None)
    else:
        found = Inspection(study.source, "pair of ED and ES frames" if image.acdc is None else "ACDC patient")
        found.facts["images"] = [image.path.name for image in study.images]
        found.parts = [inspect_nifti(image.path, budget, phases_named=True) for image in study.images]
        single = [part for image, part in zip(study.images, found.parts, strict=True) if image.acdc is None or image.acdc.frame]
        _compare_frames(single, found)
    if image.acdc is not None:
        patient, subject = image.acdc.patient, image.acdc.patient.subject
        found.facts |= {
            "ed": patient.end_diastole,
            "es": patient.end_systole,
            "group": subject.group,
            "height_cm": subject.height_cm,
            "weight_kg": subject.weight_kg,
        }
        implausible = body_size(subject.height_cm, subject.weight_kg)[1] if subject.height_cm and subject.weight_kg else None
        if implausible is not None:
            found.add("warning", f"{implausible}; nothing is indexed by body size", "correct Info.cfg")
    if series is not None:
        found.add("error", f"--series {series} names a DICOM series, and this is no DICOM study", "leave --series out")
    return found


def _compare_frames(parts: list[Inspection], found: Inspection) -> None:
    """Warn where the frames of a patient do not lie on one grid."""
    read = [part for part in parts if "slices" in part.facts]
    for part in read[1:]:
        if any(part.facts[fact] != read[0].facts[fact] for fact in ("slices", "matrix", "spacing_mm")):
            sizes = [f"{each.path.name} has {each.facts['slices']} slices of {each.facts['matrix']}" for each in (read[0], part)]
            found.add("warning", f"its frames differ: {' and '.join(sizes)} pixels", "check that no slice of one of them was left out")
            return
