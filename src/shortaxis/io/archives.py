"""Archives: a zip of a study is not read, and it is said what to do with it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from shortaxis.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

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


_IMAGE: Final = re.compile(r"\.(nii|img|hdr)(\.gz)?$", re.IGNORECASE)
"""Names of images, which may be gzipped."""


def archive_kind(path: Path) -> str | None:
    """Tell which kind of archive a file is by its first bytes; None for one that is none, such as a gzipped NIfTI file or a pipe."""
    try:
        if not path.is_file():  # opening a pipe would wait for ever
            return None
        with path.open("rb") as file:
            start = file.read(_TAR[0] + len(_TAR[1]))
    except OSError:
        return None
    if start[_TAR[0] :] == _TAR[1]:
        return "tar"
    if start.startswith(_GZIP) and path.name.lower().endswith((".tgz", ".tar.gz")):
        return "tar.gz"
    if start.startswith(_GZIP) and not _IMAGE.search(path.name):
        return "gzip"
    return next((kind for magic, kind in _ARCHIVES.items() if start.startswith(magic)), None)


def what_to_do(kind: str) -> str:
    """Say of a file that it is an archive of some kind, and the remedy."""
    if kind == "gzip":
        return "is compressed with gzip; unpack it, or name it .nii.gz where it is a NIfTI file"
    return f"is a {kind} archive; unpack it and give the folder or file that was in it"


def refuse_archive(path: Path) -> None:
    """Refuse an archive.

    Raises:
        InputError: The file is one.
    """
    kind = archive_kind(path)
    if kind is not None:
        msg = f"{path}: {what_to_do(kind)}"
        raise InputError(msg)
