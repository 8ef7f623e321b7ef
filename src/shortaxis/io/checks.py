"""Checks on a study that a reader does not make, since a data set may hold such images but nobody should segment them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from shortaxis.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from shortaxis.study import Study

_ARCHIVES: Final = {
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!": "rar",
    b"\xfd7zXZ\0": "xz",
    b"BZh": "bzip2",
}
"""First bytes of archives, and what they are."""
_GZIP: Final = b"\x1f\x8b"
_TAR: Final = (257, b"ustar")


def archive_kind(path: Path) -> str | None:
    """Tell which kind of archive a file is by its first bytes; None for one that is none, such as a gzipped NIfTI file."""
    try:
        with path.open("rb") as file:
            start = file.read(_TAR[0] + len(_TAR[1]))
    except OSError:
        return None
    if start[_TAR[0] :] == _TAR[1]:
        return "tar"
    if start.startswith(_GZIP) and path.name.lower().endswith((".tgz", ".tar.gz")):
        return "tar.gz"
    return next((kind for magic, kind in _ARCHIVES.items() if start.startswith(magic)), None)


def refuse_archive(path: Path) -> None:
    """Refuse an archive.

    Raises:
        InputError: The file is one.
    """
    kind = archive_kind(path)
    if kind is not None:
        msg = f"{path}: is a {kind} archive; unpack it and give the folder"
        raise InputError(msg)


def refuse_constant(study: Study, name: Path | str) -> None:
    """Refuse a study in which some phase shows nothing.

    Args:
        study: The study to look at.
        name: What to name in the error, usually the file.

    Raises:
        InputError: All voxels of a phase have one value.
    """
    flat = study.pixels.reshape(study.n_phases, -1)
    constant = (flat.min(axis=1) == flat.max(axis=1)).nonzero()[0]
    if constant.size:
        where = f" in phase {constant[0] + 1}" if study.n_phases > 1 else ""
        msg = f"{name}: all voxels{where} have the value {flat[constant[0], 0]:g}; give an image that shows a heart"
        raise InputError(msg)
