"""Which folders are studies: a folder may hold one, spread over any subfolders, or several."""

from __future__ import annotations

import os
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from shortaxis.io.dicom.scanning import is_dicom, lenient_pydicom

if TYPE_CHECKING:
    from collections.abc import Sequence


def find_studies(folder: Path | str) -> list[Path]:
    """Find the folders of the studies under a folder, by the study UID of one file in each subfolder.

    A study's folder is the highest one that holds no other study. Where studies share the folders that their files lie in, they cannot be
    told apart by folders, and the given folder counts as one; the reader then says what is wrong.

    Args:
        folder: Any folder.

    Returns:
        The folders in order of name; only `folder` itself where it holds one study; none where it holds no DICOM file.

    Raises:
        InputError: There are DICOM files, but pydicom is not installed.
    """
    folder = Path(folder)
    found = {Path(place): _study_uid(Path(place), names) for place, _, names in os.walk(folder)}
    studies: dict[str, list[Path]] = {}
    for place, uid in found.items():
        if uid:
            studies.setdefault(uid, []).append(place)
    if len(studies) < 2:
        return [folder] if any(uid is not None for uid in found.values()) else []
    roots = [
        _root(folder, places, [place for other in studies.values() if other is not places for place in other])
        for places in studies.values()
    ]
    return sorted(root for root in roots if root is not None) if None not in roots else [folder]


def _study_uid(folder: Path, names: Sequence[str]) -> str | None:
    """The UID by which studies are told apart, used for nothing else; empty where no DICOM file has one, None where there is none.

    The media directory (DICOMDIR) has none: it belongs to all studies.
    """
    uid = None
    for name in sorted(names):
        if is_dicom(folder / name):
            uid = _uid_of(folder / name)
            if uid:
                break
    return uid


def _uid_of(file: Path) -> str:
    with lenient_pydicom(file):
        from pydicom import dcmread  # noqa: PLC0415 (an optional package)

        try:
            header = dcmread(file, stop_before_pixels=True, force=True, specific_tags=["StudyInstanceUID"])
            return str(header.get("StudyInstanceUID") or "")
        except Exception:  # a damaged file may fail in any way
            return ""


def _root(top: Path, places: list[Path], others: list[Path]) -> Path | None:
    """The highest folder below `top` that holds all of `places` and none of `others`, or None."""
    common = Path(os.path.commonpath(places))
    own = list(takewhile(lambda root: root != top and not any(other.is_relative_to(root) for other in others), (common, *common.parents)))
    return own[-1] if own else None
