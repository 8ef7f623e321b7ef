"""What outputs say of where an input lay: its name, since a path may hold the name of a patient."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from shortaxis.segmenting.plan import PlannedStudy

_LEFT_OUT: Final = "; it is left out"
"""How a note ends that begins with the name of a file; see `shortaxis.io.dicom.reader`."""


def shown_path(path: Path, *, keep: bool) -> str:
    """The name of a file or folder, or its full path.

    Args:
        path: The file or folder, relative or not.
        keep: Whether identifiers are kept, and with them the path.
    """
    full = Path(os.path.abspath(path))  # noqa: PTH100 (`absolute` keeps `..`, `resolve` follows links to other names)
    return str(full) if keep else full.name


def shown_message(message: str, study: PlannedStudy, *, keep: bool) -> str:
    """A message about a study, without the folders that its inputs lie in.

    Args:
        message: It may name files of the study by relative or full paths.
        study: The study.
        keep: Whether identifiers are kept, and with them the paths.
    """
    if keep:
        return message
    parent = study.source.parent
    for folder in (os.path.realpath(parent), os.path.abspath(parent), str(parent)):  # noqa: PTH100
        message = message.replace(os.path.join(folder, ""), "")  # noqa: PTH118 (it ends with a separator)
    return message


def shown_notes(notes: tuple[str, ...], study: PlannedStudy, *, keep: bool) -> list[str]:
    """What was said aloud about a study; files are not named, since names of DICOM files may be those of patients.

    Args:
        notes: Each may begin with the name of a file.
        study: The study.
        keep: Whether identifiers are kept, and with them the names.
    """
    if keep or not notes:
        return list(notes)
    names = {name for _, _, files in os.walk(study.source, followlinks=True) for name in files}
    return [_unnamed(shown_message(note, study, keep=False), names) for note in notes]


def _unnamed(note: str, names: set[str]) -> str:
    """Put `a file` for the name of a file that is left out; the longest name that fits is meant."""
    if not note.endswith(_LEFT_OUT):
        return note
    named = max((name for name in names if note.startswith(f"{name} ")), key=len, default=None)
    return note if named is None else f"a file{note[len(named) :]}"
