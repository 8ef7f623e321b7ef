"""Which folders are studies: a folder may hold one, spread over any subfolders, or several."""

from __future__ import annotations

import os
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from shortaxis.io.dicom.scanning import is_dicom, lenient_pydicom

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SAMPLES: Final = 3
"""Files of a folder whose study UIDs are compared."""
_ONE_FOR_EACH: Final = "*"
"""Stands for the study UIDs of a folder whose files have one each, which tells no study; no UID looks like it."""


def find_studies(folder: Path | str) -> list[Path]:
    """Find the folders of the studies under a folder, by the study UID of one file in each subfolder.

    A study's folder is the highest one that holds no other study. Where studies share the folders that their files lie in, they cannot be
    told apart by folders, and the given folder counts as one; the reader then says what is wrong. So it is where each file of some folder
    has a study UID of its own, as some anonymisers write it.

    Args:
        folder: Any folder.

    Returns:
        The folders in order of name; only `folder` itself where it holds one study; none where it holds no DICOM file.

    Raises:
        InputError: There are DICOM files, but pydicom is not installed.
    """
    folder = Path(folder)
    found = {Path(place): _study_uid(Path(place), names) for place, _, names in os.walk(folder)}
    if _ONE_FOR_EACH in found.values():
        return [folder]
    studies: dict[str, list[Path]] = {}
    for place, uid in found.items():
        if uid:
            studies.setdefault(uid, []).append(place)
    if len(studies) < 2:
        return [folder] if any(uid is not None for uid in found.values()) else []
    owners = _owners(folder, studies)
    roots = [_root(folder, uid, places, owners) for uid, places in studies.items()]
    return sorted(root for root in roots if root is not None) if None not in roots else [folder]


def _study_uid(folder: Path, names: Sequence[str]) -> str | None:
    """The UID of the study in a folder, used to separate studies and for nothing else.

    Returns:
        Empty where no DICOM file has one, None where there is no DICOM file, `_ONE_FOR_EACH` where it differs from file to file. The media
        directory (DICOMDIR) has none: it belongs to all studies.
    """
    files = [name for name in sorted(names) if is_dicom(folder / name)]
    uid = next((uid for name in files if (uid := _uid_of(folder / name))), "" if files else None)
    if uid and len({_uid_of(folder / files[index]) for index in (0, len(files) // 2, -1)}) == _SAMPLES:
        return _ONE_FOR_EACH
    return uid


def _uid_of(file: Path) -> str:
    with lenient_pydicom(file):
        from pydicom import dcmread  # noqa: PLC0415 (an optional package)

        try:
            header = dcmread(file, stop_before_pixels=True, force=True, specific_tags=["StudyInstanceUID"])
            return str(header.get("StudyInstanceUID") or "")
        except Exception:  # a damaged file may fail in any way
            return ""


def _owners(top: Path, studies: Mapping[str, Sequence[Path]]) -> dict[Path, str | None]:
    """For each folder below `top` that holds studies the UID of the one that it holds, or None where it holds several."""
    owners: dict[Path, str | None] = {}
    for uid, places in studies.items():
        for place in places:
            for root in takewhile(lambda root: root != top, (place, *place.parents)):
                owners[root] = uid if owners.get(root, uid) == uid else None
    return owners


def _root(top: Path, uid: str, places: Sequence[Path], owners: Mapping[Path, str | None]) -> Path | None:
    """The highest folder below `top` that holds all places of a study and no other study, or None."""
    common = Path(os.path.commonpath(places))
    own = list(takewhile(lambda root: root != top and owners[root] == uid, (common, *common.parents)))
    return own[-1] if own else None
