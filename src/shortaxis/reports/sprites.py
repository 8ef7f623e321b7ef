"""Arrays to images that lie inside a page, as `data:` addresses.

The phases of one slice lie beside each other on one sheet: a browser decodes a sheet at once, and the cine then plays without waiting.
Scans are JPEG in true grey (WebP would squeeze the grey levels into its video range), maps are PNG with a palette that holds their colours
and how opaque they are.
"""

from __future__ import annotations

import base64
import io
import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import matplotlib as mpl
import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

QUALITY: Final = 90
LARGEST_TILE: Final = 320
"""Longest side of a tile in pixels; a larger part of an image is shown smaller."""
LEVELS: Final = 48
"""Steps of a map's colours: more cannot be told apart, and fewer make smaller files."""

_BLOCK: Final = 8
"""JPEG works in blocks of this size; tiles that begin on one do not bleed into each other."""
_WINDOW: Final = (1.0, 99.5)
"""Percentiles that are shown as black and white."""
_ENOUGH: Final = 1 << 21
"""Pixels that percentiles are read off."""


class Sheet(NamedTuple):
    """Tiles of equal size on one image.

    Attributes:
        uri: The image as a `data:` address.
        across: Tiles beside each other.
        tile: Width and height of a tile in pixels.
        pitch: From one tile to the next, across and down.
    """

    uri: str
    across: int
    tile: tuple[int, int]
    pitch: tuple[int, int]


def grey_range(image: NDArray[np.floating]) -> tuple[float, float]:
    """Grey values to be shown as black and white: the 1st and the 99.5th percentile, of a share of the pixels where there are many."""
    step = max(1, math.ceil((image.size / _ENOUGH) ** 0.5))
    low, high = np.percentile(image[..., ::step, ::step], _WINDOW)
    return float(low), float(high) if high > low else float(low) + 1.0


def to_grey(image: NDArray[np.floating], low: float, high: float) -> NDArray[np.uint8]:
    """Bring grey values to 0 to 255; uint8 of the same shape."""
    return np.asarray(np.clip((image - low) * (255.0 / (high - low)) + 0.5, 0, 255), np.uint8)


def to_levels(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """Bring the values of a map to the steps 0 to `LEVELS` − 1 of its palette; uint8 of the same shape."""
    share = (np.asarray(values, np.float32) - low) / max(high - low, 1e-12)
    return np.asarray(np.clip(np.rint(share * (LEVELS - 1)), 0, LEVELS - 1), np.uint8)


def colours(name: str) -> NDArray[np.uint8]:
    """Colours of a map by the name that Matplotlib gives it, uint8 (`LEVELS`, 3)."""
    return np.asarray(mpl.colormaps[name](np.linspace(0, 1, LEVELS), bytes=True))[:, :3].astype(np.uint8)


def scan_sheet(frames: NDArray[np.uint8], quality: int = QUALITY) -> Sheet:
    """Lay grey tiles on a JPEG.

    Args:
        frames: uint8 (T, H, W).
        quality: Of the JPEG.
    """
    frames = _fitted(frames, Image.Resampling.LANCZOS)
    height, width = (-(-length // _BLOCK) * _BLOCK for length in frames.shape[1:])
    padding = ((0, 0), (0, height - frames.shape[1]), (0, width - frames.shape[2]))
    sheet, across = _laid_out(np.pad(frames, padding, mode="edge"))
    uri = _uri(Image.fromarray(sheet), "jpeg", quality=quality)
    return Sheet(uri, across, (frames.shape[2], frames.shape[1]), (width, height))


def map_sheet(frames: NDArray[np.uint8], palette: NDArray[np.uint8], opacity: Sequence[float]) -> Sheet:
    """Lay the tiles of a map on a PNG.

    Args:
        frames: uint8 (T, H, W), steps below `LEVELS`.
        palette: Colour of each step, uint8 (`LEVELS`, 3).
        opacity: Opacity of each step, 0 to 1.
    """
    frames = _fitted(frames, Image.Resampling.NEAREST)
    sheet, across = _laid_out(frames)
    image = Image.fromarray(sheet, "P")
    image.putpalette(palette.tobytes())
    size = (frames.shape[2], frames.shape[1])
    return Sheet(_uri(image, "png", transparency=bytes(round(255 * share) for share in opacity), optimize=False), across, size, size)


def _fitted(frames: NDArray[np.uint8], resampling: Image.Resampling) -> NDArray[np.uint8]:
    height, width = frames.shape[1:]
    scale = LARGEST_TILE / max(height, width)
    if scale >= 1:
        return frames
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.stack([np.asarray(Image.fromarray(frame).resize(size, resampling)) for frame in frames])


def _laid_out(frames: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int]:
    """Lay tiles in rows; give the sheet and the number of tiles in a row."""
    count, height, width = frames.shape
    across = math.ceil(math.sqrt(count))
    down = math.ceil(count / across)
    sheet = np.zeros((down, across, height, width), np.uint8)
    sheet.reshape(-1, height, width)[:count] = frames
    return np.ascontiguousarray(sheet.swapaxes(1, 2).reshape(down * height, across * width)), across


def _uri(image: Image.Image, kind: str, **options: Any) -> str:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
