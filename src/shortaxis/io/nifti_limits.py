"""What a NIfTI header claims, held against the bytes of its file before memory is taken, and its voxels read one phase after another.

A header of 348 bytes can claim any size, and a few compressed bytes can expand to a thousand times as many. So nothing is allocated or
decompressed beyond what the file can hold, and never more than `MOST_VOXELS` and `MOST_HEADER_BYTES`.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import io
import math
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shortaxis.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

MOST_VOXELS: Final = 2**29
"""Voxels of a file: 50 phases of 40 slices of 512 × 512. No cine has more."""
MOST_HEADER_BYTES: Final = 2**26
"""Bytes in front of the voxels: header and extensions."""
MOST_EXPANSION: Final = 1032
"""Bytes that a byte of deflate can expand to at most (zlib, Technical Details, "Maximum Compression Factor")."""
IMAGE_EXPANSION: Final = 200
"""Times that a large image may expand when it is unpacked: the noise of MR images compresses to half, and only an empty one goes beyond."""
LARGE_BYTES: Final = 2**28
"""Bytes from which on `IMAGE_EXPANSION` counts."""

_SIZES: Final = {348: ("<", 108, "f", 344), 540: ("<", 168, "q", 4)}
"""By the length of a header (NIfTI-1, NIfTI-2): where the offset of the voxels stands, its type, and where the magic stands."""


def refuse_endless_header(path: Path) -> None:
    """Refuse a file whose header or extensions claim more bytes than `MOST_HEADER_BYTES`; what is no NIfTI passes.

    Args:
        path: A `.nii` or `.nii.gz` file, or either file of a pair.

    Raises:
        InputError: The header is followed by extensions of an impossible length, or the voxels begin too far behind.
        OSError: The file cannot be read, or is damaged.
    """
    from nibabel.openers import ImageOpener  # noqa: PLC0415 (needed by few)

    with ImageOpener(str(_header_file(path))) as stream:
        start = stream.read(544)
        known = _offset_and_order(start)
        if known is None:
            return
        length, order, offset, single = known
        if offset > MOST_HEADER_BYTES:
            msg = f"{path}: its voxels are said to begin behind {offset:.0f} bytes of header; convert the image again"
            raise InputError(msg)
        if len(start) < length + 4 or not start[length]:
            return
        end = offset if single and offset > length else MOST_HEADER_BYTES
        stream.seek(length + 4)
        position = length + 4
        while position + 16 <= end and len(field := stream.read(8)) == 8:
            claimed = struct.unpack(f"{order}i", field[:4])[0]
            if claimed < 8 or position + claimed > end:
                msg = f"{path}: an extension of its header claims {claimed} bytes, which the header does not have; convert the image again"
                raise InputError(msg)
            stream.read(claimed - 8)
            position += claimed


def _header_file(path: Path) -> Path:
    for own in (".img.gz", ".img"):
        if path.name.lower().endswith(own):
            header = path.with_name(path.name[: -len(own)] + ".hdr")
            return header if header.is_file() else path
    return path


def _offset_and_order(start: bytes) -> tuple[int, str, float, bool] | None:
    """Length of the header, byte order, offset of the voxels, and whether they are in the same file; None where it is no NIfTI."""
    for order in "<>":
        length = struct.unpack_from(f"{order}i", start)[0] if len(start) >= 4 else 0
        if length in _SIZES and len(start) >= length:
            _, place, kind, magic = _SIZES[length]
            offset = struct.unpack_from(order + kind, start, place)[0]
            return length, order, offset if math.isfinite(offset) else 0.0, start[magic : magic + 2] == b"n+"
    return None


def refuse_impossible_size(path: Path, image: Any) -> None:
    """Refuse a file that cannot hold the voxels that its header claims, or more than any cine has.

    Args:
        path: Names the file in the error.
        image: The file as nibabel opened it.

    Raises:
        InputError: The file is too short, or its voxels are too many.
    """
    voxels = math.prod(image.shape)
    claim = f"its header claims {' × '.join(map(str, image.shape))} voxels"
    if voxels > MOST_VOXELS:
        msg = f"{path}: {claim}, more than the {MOST_VOXELS / 1e6:.0f} million that are read; correct the header, or crop the image"
        raise InputError(msg)
    file = Path(image.file_map["image"].filename)
    needed, size, offset = voxels * image.get_data_dtype().itemsize, file.stat().st_size, int(image.dataobj.offset)
    if offset > MOST_HEADER_BYTES:
        msg = f"{path}: its voxels are said to begin behind {offset} bytes; convert the image again"
        raise InputError(msg)
    packed = file.suffix.lower() == ".gz"
    if needed + offset > (size * MOST_EXPANSION if packed else size):
        held = f"{size} compressed bytes cannot hold" if packed else f"{size} bytes do not hold"
        msg = f"{path}: is not a readable NIfTI file, or it is cut short ({claim}, which its {held}); copy or convert it again"
        raise InputError(msg)


def refuse_hollow(path: Path, image: Any) -> None:
    """Refuse a large image that compresses as only an empty one does.

    Args:
        path: Names the file in the error.
        image: The file as nibabel opened it, its size checked.

    Raises:
        InputError: It would expand to `LARGE_BYTES` or more, and over `IMAGE_EXPANSION` times.
    """
    file = Path(image.file_map["image"].filename)
    voxels = math.prod(image.shape)
    times = voxels * image.get_data_dtype().itemsize / max(1, file.stat().st_size)
    if voxels * np.dtype(np.float32).itemsize >= LARGE_BYTES and times > IMAGE_EXPANSION:
        msg = f"{path}: expands to {times:.0f} times its size, so it is next to empty; give an image that shows a heart"
        raise InputError(msg)


def volumes(image: Any) -> Iterator[NDArray[np.float32]]:
    """Read the voxels of a file one phase after another, scaled as nibabel scales them.

    Args:
        image: The file as nibabel opened it, of three axes or of four with any of length 1 behind.

    Yields:
        float32 (i, j, k), one array a phase.

    Raises:
        EOFError: The file ends before the last voxel.
        OSError: The file cannot be read, or is damaged.
    """
    from nibabel.arrayproxy import ArrayProxy  # noqa: PLC0415 (needed by few)
    from nibabel.openers import ImageOpener  # noqa: PLC0415

    proxy, shape = image.dataobj, image.shape[:3]
    spec = (shape, proxy.dtype, 0, proxy.slope, proxy.inter)
    length = math.prod(shape) * proxy.dtype.itemsize
    with ImageOpener(image.file_map["image"].filename) as stream:
        stream.seek(int(proxy.offset))
        for _ in range((*image.shape, 1)[3]):
            block = stream.read(length)
            if len(block) < length:
                msg = "the file ends before its last voxel"
                raise EOFError(msg)
            yield np.asanyarray(ArrayProxy(io.BytesIO(block), spec, mmap=False), dtype=np.float32)
