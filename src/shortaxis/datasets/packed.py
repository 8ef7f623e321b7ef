"""The compact cache: a whole data set in one zip file of lossless WebP images, small enough to travel.

Layout: `meta.json` maps each frame's name to its `shape` (D, H, W), its `zoom` (x, y, z) in mm and, in the files written here, to
`patient`, `phase`, `group` and `spacing` (z, y, x) in mm. Beside it lie `<name>.img.webp` and `<name>.gt.webp`: the D slices stacked
vertically into one grey image. A file without `patient` names it by what stands before the frame number
(`patient001_frame01` and `patient001_01` belong to `patient001`).
"""

from __future__ import annotations

import io
import json
import re
import zipfile
import zlib
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import Image

from shortaxis.datasets.dataset import Dataset, FrameRef
from shortaxis.errors import InputError
from shortaxis.io.atomic import atomic_path
from shortaxis.io.limits import read_member
from shortaxis.labels import ACDC, UNKNOWN
from shortaxis.study import Frame

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from shortaxis.study import Spacing

META: Final = "meta.json"
WEBP_SIDE: Final = 16383
"""The longest side of a WebP image (14 bits, RFC 9649)."""

_UNPACKED_SHARE: Final = 2
_UNPACKED_SLACK: Final = 2**16
"""Bytes that a lossless WebP image takes at most: that many for a pixel, and that many besides."""
_FRAME_NUMBER: Final = re.compile(r"_(frame)?\d+$")
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
# RuntimeError: an encrypted member, or a compression that is not known here.
_DAMAGE: Final = (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError, Image.DecompressionBombError)


def to_uint8(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Bring intensities to 0-255: clip at the 99.9th percentile, then scale what lies between the minimum and it.

    Args:
        image: (D, H, W), any real dtype. A uint8 image is returned as it is, so that packing twice changes nothing.

    Returns:
        uint8 (D, H, W), rounded half up.
    """
    if image.dtype == np.uint8:
        return image
    values = image.astype(np.float64)  # before the percentile: the dtype of the file must not show in the result
    low, high = float(values.min()), float(np.percentile(values, 99.9))
    scaled = np.clip((values - low) / (high - low if high > low else 1.0), 0.0, 1.0)
    return np.floor(scaled * 255.0 + 0.5).astype(np.uint8)


def write_packed(dataset: Dataset, path: Path | str) -> None:
    """Write all frames of `dataset` into one zip file; the same frames always give the same bytes.

    Args:
        dataset: Frames; read one at a time, so that memory holds only one.
        path: The `.zip` file to write, whole or not at all.

    Raises:
        InputError: A frame is too large for WebP or annotated in part, or the file cannot be written.
    """
    path = Path(path)
    meta: dict[str, dict[str, Any]] = {}
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for frame in dataset:
            if not frame.is_whole or (frame.labels == UNKNOWN).any():
                msg = f"{frame.name}: is annotated in part, which a packed data set cannot hold; pack the wholly annotated data sets only"
                raise InputError(msg)
            _add(archive, f"{frame.name}.img.webp", _encode(to_uint8(frame.image), frame.name))
            _add(archive, f"{frame.name}.gt.webp", _encode(frame.labels, frame.name))
            meta[frame.name] = {
                "shape": list(frame.image.shape),
                "zoom": list(frame.spacing[::-1]),
                "patient": frame.patient,
                "phase": frame.phase,
                "group": frame.group,
                "spacing": list(frame.spacing),
            }
        _add(archive, META, json.dumps(meta, indent=1).encode())


def read_packed(path: Path | str) -> Dataset:
    """Open a packed data set; each frame is decoded when it is loaded.

    Args:
        path: A zip file of `write_packed`, or one of the same layout whose `meta.json` holds only `shape` and `zoom`.

    Returns:
        The data set, named after the file; images stay uint8.

    Raises:
        InputError: The file is absent, is no zip file, or lacks `meta.json`, one of its entries or one of its images. Loading a frame
            raises it when an image is damaged or does not fit its `shape`.
    """
    path = Path(path)
    if not path.is_file():
        msg = f"{path}: no such file; give the zip file of a packed data set"
        raise InputError(msg)
    try:
        with zipfile.ZipFile(path) as archive:
            members = set(archive.namelist())
            meta = json.loads(read_member(archive, META))
    except InputError:
        raise
    except KeyError as error:
        msg = f"{path}: holds no {META}, so it is not a packed data set; pack the data set anew"
        raise InputError(msg) from error
    except _DAMAGE as error:
        msg = f"{path}: is not a readable packed data set ({error}); copy the file again or pack the data set anew"
        raise InputError(msg) from error
    entries = _entries(meta, path)
    for entry in entries:
        for member in (f"{entry.name}.img.webp", f"{entry.name}.gt.webp"):
            if member not in members:
                msg = f"{path}: {member} is missing although {META} names it; copy the file again or pack the data set anew"
                raise InputError(msg)
    refs = (FrameRef(entry.name, entry.patient, entry.phase, entry.group, partial(_load, path, entry)) for entry in entries)
    return Dataset(path.stem, tuple(refs))


def is_packed(path: Path) -> bool:
    """Whether a zip file is a packed data set; one that is damaged counts, since `read_packed` says what is wrong with it."""
    try:
        with zipfile.ZipFile(path) as archive:
            return META in archive.namelist()
    except _DAMAGE:
        return True


@dataclass(frozen=True)
class _Entry:
    """What `meta.json` says of one frame."""

    name: str
    patient: str
    phase: str | None
    group: str | None
    shape: tuple[int, int, int]
    spacing: Spacing


def _entries(meta: Any, path: Path) -> list[_Entry]:
    if not isinstance(meta, dict):
        msg = f"{path}: {META} must map frame names to their shape and zoom; pack the data set anew"
        raise InputError(msg)
    return [_entry(name, meta[name], path) for name in sorted(meta)]


def _entry(name: str, facts: Mapping[str, Any], path: Path) -> _Entry:
    try:
        depth, height, width = (int(n) for n in facts["shape"])
        z, y, x = (float(mm) for mm in (facts["spacing"] if "spacing" in facts else reversed(facts["zoom"])))
        patient = facts.get("patient") or _FRAME_NUMBER.sub("", name)
        return _Entry(name, patient, facts.get("phase"), facts.get("group"), (depth, height, width), (z, y, x))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        msg = f"{path}: {META} does not give 'shape' (D, H, W) and 'zoom' (x, y, z) of {name}; pack the data set anew"
        raise InputError(msg) from error


def _load(path: Path, entry: _Entry) -> Frame:
    # The archive is opened anew each time: loaders may run in several threads and processes, and a zip handle bears neither.
    try:
        with zipfile.ZipFile(path) as archive:
            most = _UNPACKED_SLACK + _UNPACKED_SHARE * prod(entry.shape)
            image, labels = (_decode(read_member(archive, f"{entry.name}.{kind}.webp", most), entry.shape) for kind in ("img", "gt"))
    except InputError:
        raise
    except (*_DAMAGE, KeyError) as error:
        msg = f"{path}: {entry.name} is damaged ({error}); copy the file again or pack the data set anew"
        raise InputError(msg) from error
    labels = ACDC.to_canonical(labels, source=f"{path}, {entry.name}")
    return Frame(entry.name, entry.patient, entry.phase, entry.group, image, labels, entry.spacing)


def _encode(volume: NDArray[np.uint8], name: str) -> bytes:
    depth, height, width = volume.shape
    if max(depth * height, width) > WEBP_SIDE:
        msg = f"{name}: {depth} slices of {height} x {width} do not fit one WebP image of {WEBP_SIDE} rows; use the unpacked data set"
        raise InputError(msg)
    buffer = io.BytesIO()
    Image.fromarray(volume.reshape(depth * height, width)).save(buffer, "WEBP", lossless=True, quality=80, method=6)
    return buffer.getvalue()


def _decode(content: bytes, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    depth, height, width = shape
    with Image.open(io.BytesIO(content), formats=["WEBP"]) as image:
        if image.size != (width, depth * height):  # before it is decoded
            msg = f"its image has {image.size[0]} × {image.size[1]} pixels, its shape is {shape}"
            raise ValueError(msg)
        return np.array(image.convert("L")).reshape(shape)


def _add(archive: zipfile.ZipFile, member: str, content: bytes) -> None:
    # A fixed date keeps the bytes the same from run to run; WebP is compressed already.
    archive.writestr(zipfile.ZipInfo(member, _EPOCH), content)
