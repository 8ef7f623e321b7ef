"""The part of an image that a reader wants to see: the heart with some room around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shortaxis.study import Spacing


class Window(NamedTuple):
    """A part of the image plane.

    Attributes:
        rows: From and to on the H axis.
        columns: From and to on the W axis.
    """

    rows: slice
    columns: slice

    @property
    def height(self) -> int:
        """Number of rows."""
        return int(self.rows.stop - self.rows.start)

    @property
    def width(self) -> int:
        """Number of columns."""
        return int(self.columns.stop - self.columns.start)


def heart_window(labels: NDArray[np.uint8], spacing: Spacing, margin_mm: float) -> Window:
    """A square around everything labelled, with a margin, as far as the image reaches; without labels the whole image.

    Args:
        labels: uint8 (T, D, H, W), values of `shortaxis.labels.Structure`.
        spacing: (z, y, x) in mm.
        margin_mm: Room on each side in mm.
    """
    _, y, x = spacing
    shape = labels.shape[2:]
    marked = np.asarray(labels.any(axis=(0, 1)))
    if not marked.any():
        return Window(slice(0, shape[0]), slice(0, shape[1]))
    spans = [np.flatnonzero(np.any(marked, axis=axis)) for axis in (1, 0)]
    side = max((span[-1] - span[0] + 1) * mm for span, mm in zip(spans, (y, x), strict=True)) + 2 * margin_mm
    rows, columns = (_interval((span[0] + span[-1]) / 2, side / mm, length) for span, mm, length in zip(spans, (y, x), shape, strict=True))
    return Window(rows, columns)


def _interval(centre: float, width: float, length: int) -> slice:
    width = min(round(width), length)
    start = int(np.clip(round(centre - width / 2), 0, length - width))
    return slice(start, start + width)
