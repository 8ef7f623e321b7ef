"""DICOM files that were given one by one, each a single image: they are pieces of a study, whose folder is to be given."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from shortaxis.errors import InputError
from shortaxis.io.dicom.scanning import lenient_pydicom
from shortaxis.segmenting.planned import PlannedStudy, unfit

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
    pieces = {number: _piece(study.source) for number, study in enumerate(studies) if _is_dicom_file(study)}
    members: dict[str, list[int]] = {}
    for number, piece in pieces.items():
        if piece is not None:
            members.setdefault(piece.study or str(studies[number].source.parent), []).append(number)
    joined = {number: numbers for numbers in members.values() if any(_is_image(pieces[n]) for n in numbers) for number in numbers}
    return [
        _refused([studies[n].source for n in joined[number]]) if number in joined else study
        for number, study in enumerate(studies)
        if number not in joined or joined[number][0] == number
    ]


def _is_dicom_file(study: PlannedStudy) -> bool:
    return len(study.images) == 1 and study.images[0].dicom and study.source.is_file()


def _is_image(piece: _Piece | None) -> bool:
    return piece is not None and piece.is_image


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
