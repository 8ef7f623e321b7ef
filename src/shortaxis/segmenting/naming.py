"""What outputs say of where an input lay: its name, since a path may hold the name of a patient."""

from __future__ import annotations

import os
import re
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final

from shortaxis.segmenting.encoding import as_utf8

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
    return as_utf8(str(full) if keep else full.name)


def shown_message(message: str, study: PlannedStudy, *, keep: bool) -> str:
    """A message about a study, without the folders that its inputs lie in, and without the names of what lies in its own folder.

    Args:
        message: It may name files of the study by relative or full paths.
        study: The study.
        keep: Whether identifiers are kept, and with them the paths.
    """
    if keep:
        return as_utf8(message)
    for folder in _spellings(study.source):
        message = _without_files(message, study.source, os.path.join(folder, ""))  # noqa: PTH118 (it ends with a separator)
    for folder in _spellings(study.source.parent):
        message = message.replace(os.path.join(folder, ""), "")  # noqa: PTH118
    return as_utf8(message)


def _spellings(folder: Path) -> tuple[str, ...]:
    return os.path.realpath(folder), os.path.abspath(folder), str(folder)  # noqa: PTH100


def _without_files(message: str, source: Path, prefix: str) -> str:
    """Put `a file of NAME` for the files and folders of a study, which may be called like a patient.

    Args:
        message: The message.
        source: The study's folder; of a file nothing is done.
        prefix: How the message may begin the path of a file in that folder.
    """
    bare = str(source) == os.curdir  # then the paths in messages have no folder before them
    if not source.is_dir() or not (prefix in message or bare):
        return message
    below = [os.path.relpath(os.path.join(here, name), source) for here, *names in os.walk(source) for name in chain(*names)]  # noqa: PTH118
    known = "|".join(map(re.escape, sorted(below, key=len, reverse=True)))  # the longest that fits is meant
    shown = f"a file of {shown_path(source, keep=False)}"
    if bare and known:
        message = re.sub(f"^(?:{known})(?=:)", lambda _: shown, message)
    # What is there no more may have any name: all up to the last colon goes.
    path = f"(?:(?:{known})(?=[:;,)]|$)|.*(?=: )|.*)" if known else "(?:.*(?=: )|.*)"
    return re.sub(re.escape(prefix) + path, lambda _: shown, message, flags=re.DOTALL)


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
