"""DICOM files that were given one by one, each a single image: they are pieces of a study, whose folder is to be given."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from shortaxis.errors import InputError
from shortaxis.io.dicom.scanning import is_dicom, lenient_pydicom
from shortaxis.segmenting.planned import PlannedStudy, is_nifti_name, unfit

if TYPE_CHECKING:
    from collections.abc import Sequence


class _Piece(NamedTuple):
    """What a file says of where it belongs: its study, and whether it is a single MR image."""

    study: str
    is_image: bool


def join_pieces(studies: Sequence[PlannedStudy]) -> list[PlannedStudy]:
    """Put one study, with the reason why it cannot be segmented, for all single images of a DICOM study.

    Args:
        studies: As planned; multi-frame files and folders stay as they are.
    """
    joined = pieces_of_studies([study.source for study in studies if len(study.images) == 1 and study.images[0].dicom])
    at = {file: study for study, files in joined.items() for file in files}
    first = {files[0] for files in joined.values()}
    return [at.get(study.source, study) for study in studies if study.source not in at or study.source in first]


def pieces_of_studies(paths: Sequence[Path]) -> dict[PlannedStudy, list[Path]]:
    """Find the single images of DICOM studies among inputs.

    Args:
        paths: Files and folders; only files are looked into.

    Returns:
        For each study one that cannot be segmented, with the reason, and the files that were given of it.
    """
    members: dict[str, list[Path]] = {}
    images: set[str] = set()
    for path in dict.fromkeys(paths):
        if not is_nifti_name(path) and is_dicom(path) and (piece := _piece(path)) is not None:
            study = piece.study or str(path.parent)
            members.setdefault(study, []).append(path)
            images |= {study} if piece.is_image else set()
    return {_refused(files): files for study, files in members.items() if study in images}


def _piece(file: Path) -> _Piece | None:
    """What the header of a file says; None where it cannot be read, or holds several frames."""
    try:
        with lenient_pydicom(file):
            from pydicom import dcmread  # noqa: PLC0415 (an optional package)

            tags: list[Any] = ["StudyInstanceUID", "NumberOfFrames", "Modality", "Rows"]
            header = dcmread(file, stop_before_pixels=True, force=True, specific_tags=tags)
            frames = int(header.get("NumberOfFrames") or 1)
            image = header.get("Modality") in {None, "MR"} and bool(header.get("Rows"))
            return _Piece(str(header.get("StudyInstanceUID") or ""), image) if frames == 1 else None
    except InputError:  # without the package the reader says what to install
        return None
    except Exception:  # a damaged file may fail in any way, and the reader says so
        return None


def _refused(files: Sequence[Path]) -> PlannedStudy:
    parents = {file.parent for file in files}
    folder = parents.pop() if len(parents) == 1 else Path(os.path.commonpath([parent.absolute() for parent in parents]))
    if len(files) == 1:
        return unfit(files[0], f"{files[0]}: is one image of a DICOM study; give the folder that holds all of them, {folder}")
    return unfit(folder, f"{folder}: {len(files)} files of one DICOM study were given one by one; give the folder that holds them")
