"""Telling what an input is, and having it inspected by who knows of it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Final

from shortaxis.errors import InputError
from shortaxis.indices.body import body_size
from shortaxis.inspection.dicom_study import inspect_dicom
from shortaxis.inspection.nifti_file import MOST_VOXELS, Budget, inspect_nifti
from shortaxis.inspection.others import MODEL_ENDING, dataset_kind, inspect_dataset, inspect_model
from shortaxis.inspection.report import Finding, Inspection
from shortaxis.segmenting.plan import is_nifti_name, plan_studies

if TYPE_CHECKING:
    from shortaxis.segmenting.plan import PlannedStudy

MOST_PARTS: Final = 100
"""Studies that are opened, to be quick."""
MOST_VOXELS_OF_MANY: Final = MOST_VOXELS // 4
"""Voxels that are read of a folder of several: its headers take time already."""


def inspect_input(path: Path | str) -> Inspection:
    """Say what an input is, what is in it and what is wrong with it. Headers are read, and voxels as far as they are few.

    Args:
        path: A file or folder that `shortaxis segment` takes, a data set, or a model file.

    Returns:
        The inspection; what keeps the input from being used is a finding in it.

    Raises:
        InputError: There is nothing at `path`.
    """
    path = Path(path)
    if not path.exists():
        msg = f"{path}: no such file or folder; check the path"
        raise InputError(msg)
    if path.is_file() and path.suffix.lower() == MODEL_ENDING:
        return inspect_model(path)
    try:
        kind = dataset_kind(path)
        return _inspect_studies(path) if kind is None else inspect_dataset(path, kind)
    except OSError as error:
        found = Inspection(path, "folder" if path.is_dir() else "file")
        found.add("error", f"it cannot be read ({error.strerror})", "check its permissions")
        return found


def _inspect_studies(path: Path) -> Inspection:
    """Inspect what `shortaxis segment` would make of it."""
    studies = plan_studies([path])
    budget = Budget(MOST_VOXELS if len(studies) == 1 else MOST_VOXELS_OF_MANY)
    parts = [_inspect_study(study, budget) for study in studies[:MOST_PARTS]]
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


def _inspect_study(study: PlannedStudy, budget: Budget) -> Inspection:
    if study.problem is not None:
        found = Inspection(study.source, "folder" if study.source.is_dir() else "file")
        found.findings.append(Finding.of_error(study.problem, study.source))
        return found
    image = study.images[0]
    if image.acdc is None:
        plain = image.path.is_file() and is_nifti_name(image.path)
        return inspect_nifti(image.path, budget) if plain else inspect_dicom(image.path)
    patient = image.acdc.patient
    found = Inspection(study.source, "ACDC patient")
    subject = patient.subject
    found.facts |= {
        "ed": patient.end_diastole,
        "es": patient.end_systole,
        "group": subject.group,
        "height_cm": subject.height_cm,
        "weight_kg": subject.weight_kg,
        "images": [image.path.name for image in study.images],
    }
    if subject.height_cm is not None and subject.weight_kg is not None:
        implausible = body_size(subject.height_cm, subject.weight_kg)[1]
        if implausible is not None:
            found.add("warning", f"{implausible}; nothing is indexed by body size", "correct Info.cfg")
    found.parts = [inspect_nifti(image.path, budget, phases_named=True) for image in study.images]
    _compare_frames([part for image, part in zip(study.images, found.parts, strict=True) if image.acdc and image.acdc.frame], found)
    return found


def _compare_frames(parts: list[Inspection], found: Inspection) -> None:
    """Warn where the frames of a patient do not lie on one grid."""
    read = [part for part in parts if "slices" in part.facts]
    for part in read[1:]:
        if any(part.facts[fact] != read[0].facts[fact] for fact in ("slices", "matrix", "spacing_mm")):
            sizes = [f"{each.path.name} has {each.facts['slices']} slices of {each.facts['matrix']}" for each in (read[0], part)]
            found.add("warning", f"its frames differ: {' and '.join(sizes)} pixels", "check that no slice of one of them was left out")
            return
