"""What a file may claim: nothing is allocated for sizes that cannot be true.

Lengths of elements are held against what is left of the file. A deflated file is inflated up to `MOST_INFLATED`. Pixels that are not
compressed must be there; compressed ones may claim no more than `MOST_RATIO` times the bytes of the file, an image no more than
`MOST_PIXELS`, a study no more than `MOST_VOXELS`.
"""

from __future__ import annotations

import io
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MOST_INFLATED: Final = 2**28
"""Bytes that a deflated file may hold: more than a cine of 500 images of 512 × 512 pixels."""
MOST_PIXELS: Final = 2**24
"""Pixels of one image: 4096 × 4096."""
MOST_VOXELS: Final = 2**29
"""Voxels of one study, 2 GiB as float32: 60 phases of 34 slices of 512 × 512 pixels."""
MOST_RATIO: Final = 1000
"""How many times its size a file may hold in compressed pixels; of a cine it is below 10."""
_START: Final = 128 + 4 + 12
"""Bytes before the meta information that its own length counts from: preamble, DICM, the element of the length."""
_DEFLATED: Final = "1.2.840.10008.1.2.1.99"
_BLOCK: Final = 2**16


class ClaimError(Exception):
    """A file claims a size that cannot be true; its text is the reason in words."""


class _Bounded(io.BufferedReader):
    """A file that allocates no more than it holds, whatever length is asked for."""

    def __init__(self, raw: io.FileIO, size: int) -> None:
        super().__init__(raw)
        self._size = size

    def read(self, size: int | None = -1, /) -> bytes:
        """Read at most what is left."""
        if size is not None and size > _BLOCK:
            size = max(0, min(size, self._size - self.tell()))
        return super().read(size)


@contextmanager
def opened(path: Path) -> Iterator[tuple[Any, int]]:
    """Open a DICOM file for pydicom.

    Args:
        path: The file.

    Yields:
        A binary file, inflated where the file is deflated, and its size in bytes.

    Raises:
        ClaimError: It is deflated and holds more than `MOST_INFLATED`.
        OSError: It cannot be read.
    """
    size = path.stat().st_size
    with _Bounded(io.FileIO(path), size) as file:
        inflated = _inflated(file)
        if inflated is None:
            file.seek(0)
            yield file, size
        else:
            yield io.BytesIO(inflated), len(inflated)


def _inflated(file: io.BufferedReader) -> bytes | None:
    """The whole file as an explicit one where it is deflated, or None."""
    start = file.read(_START)
    if start[128:132] != b"DICM" or start[132:136] != b"\2\0\0\0":
        return None
    meta = file.read(min(int.from_bytes(start[140:144], "little"), _BLOCK))
    if _DEFLATED.encode() not in meta:
        return None
    from pydicom import dcmread  # noqa: PLC0415 (an optional package)
    from pydicom.filebase import DicomBytesIO  # noqa: PLC0415
    from pydicom.filewriter import write_file_meta_info  # noqa: PLC0415
    from pydicom.uid import ExplicitVRLittleEndian  # noqa: PLC0415

    header = dcmread(io.BytesIO(start + meta), force=True).file_meta
    header.TransferSyntaxUID = ExplicitVRLittleEndian
    written = DicomBytesIO()
    write_file_meta_info(written, header, enforce_standard=False)
    engine = zlib.decompressobj(-zlib.MAX_WBITS)
    body = engine.decompress(file.read(), MOST_INFLATED)
    if engine.unconsumed_tail:
        msg = f"expands to more than {MOST_INFLATED >> 20} MiB, which no cine takes"
        raise ClaimError(msg)
    return bytes(start[:132]) + written.getvalue() + body


def impossible_claim(rows: int, columns: int, frames: int, bits: int, size: int) -> str | None:
    """Say why an image cannot be as large as its header claims, or None.

    Args:
        rows: Rows.
        columns: Columns.
        frames: Number of frames.
        bits: Bits allocated for a pixel.
        size: Bytes that the file has for its pixels.
    """
    if rows * columns > MOST_PIXELS:
        return f"claims images of {rows} × {columns} pixels, and {MOST_PIXELS >> 20} million are the most that are read"
    if rows * columns * frames * bits / 8 > MOST_RATIO * max(size, 0) + _BLOCK:
        return f"claims {frames} × {rows} × {columns} pixels, which its {max(size, 0)} bytes cannot hold"
    return None


def coded_size(frame: bytes) -> tuple[int, int] | None:
    """Rows and columns that a JPEG, JPEG-LS or JPEG 2000 stream says for itself, or None."""
    if frame[:4] == b"\xff\x4f\xff\x51":
        right, bottom, left, top = (int.from_bytes(frame[at : at + 4], "big") for at in (8, 12, 16, 20))
        return bottom - top, right - left
    if frame[:2] != b"\xff\xd8":
        return None
    at = 2
    while at + 9 <= len(frame) and frame[at] == 0xFF:
        if frame[at + 1] in {0xC0, 0xC1, 0xC2, 0xC3, 0xF7}:
            return int.from_bytes(frame[at + 5 : at + 7], "big"), int.from_bytes(frame[at + 7 : at + 9], "big")
        at += 2 + int.from_bytes(frame[at + 2 : at + 4], "big")
    return None
