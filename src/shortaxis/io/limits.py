"""How much of a file is read at once: claims are held against a stated limit and the bytes of the file before memory is taken."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from shortaxis.errors import InputError

if TYPE_CHECKING:
    import zipfile
    from pathlib import Path

MOST_TEXT_BYTES: Final = 2**26
"""Bytes of a JSON or text file: a calibration takes a few MB, the table of a data set less."""
MOST_SAFETENSORS_HEADER: Final = 2**24
"""Bytes of the JSON in front of the tensors of a model file."""

_LENGTH: Final = 8
"""Bytes in front of that JSON which say how long it is (safetensors, "Format")."""


def read_text(path: Path, most: int = MOST_TEXT_BYTES) -> str:
    """Read a text file in UTF-8, with or without a byte order mark.

    Args:
        path: The file.
        most: Bytes that it has at most.

    Raises:
        InputError: The file is larger.
        OSError: The file cannot be read.
        UnicodeDecodeError: It is not UTF-8.
    """
    return read_bytes(path, most).decode("utf-8-sig")


def read_bytes(path: Path, most: int = MOST_TEXT_BYTES) -> bytes:
    """Read a whole file; arguments and errors as those of `read_text`."""
    size = path.stat().st_size
    if size > most:
        msg = f"{path}: has {size} bytes, more than the {most} that are read of such a file; give the right file"
        raise InputError(msg)
    return path.read_bytes()


def read_member(archive: zipfile.ZipFile, name: str, most: int = MOST_TEXT_BYTES) -> bytes:
    """Read and unpack a member of a zip file.

    Args:
        archive: The file.
        name: The member.
        most: Bytes that it unpacks to at most.

    Raises:
        InputError: It claims to unpack to more.
        KeyError: There is no such member.
    """
    size = archive.getinfo(name).file_size
    if size > most:
        msg = f"{archive.filename}: {name} claims to unpack to {size} bytes, more than {most}; pack the data set again"
        raise InputError(msg)
    return archive.read(name)


def refuse_long_header(path: Path) -> None:
    """Refuse a safetensors file whose header claims more than `MOST_SAFETENSORS_HEADER` bytes, or more than the file has.

    Raises:
        InputError: It does.
        OSError: The file cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(_LENGTH)
    length = struct.unpack("<Q", start)[0] if len(start) == _LENGTH else 0
    if length > min(MOST_SAFETENSORS_HEADER, size - _LENGTH):
        msg = f"{path}: not a safetensors file, or damaged (its header claims {length} bytes, the file has {size}); copy it again"
        raise InputError(msg)
