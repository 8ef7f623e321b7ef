"""One predicted frame on the grid of the networks, as the signs of a slice see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shortaxis.indices.aha import apex_is_last
from shortaxis.labels import FOREGROUND

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

SMALL_MM2: Final = 100.0
"""Areas below 1 cm² are taken as 1 cm² where a ratio or a logarithm would blow them up."""
_FAINTEST: Final = 0.01
"""Rows and columns in which no pixel of any slice is foreground with this probability are cut off: signs are sums over what is left."""


@dataclass(frozen=True, eq=False)
class GridFrame:
    """One frame on the grid.

    Attributes:
        pooled: float32 (C, D, G, G).
        members: float32 (N, C, D, G, G).
        choices: uint8 (N, D, G, G), what each member chooses.
        labels: uint8 (D, G, G), what the ensemble chooses.
        masks: bool (3, D, G, G) of RV, MYO and LV.
        pixel_mm: Edges of a grid pixel in mm, (y, x).
        basal_first: Whether the stack runs from base to apex.
        heart: First and last slice that show any structure; the whole stack where none does.
    """

    pooled: NDArray[np.float32]
    members: NDArray[np.float32]
    choices: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    masks: NDArray[np.bool_]
    pixel_mm: tuple[float, float]
    basal_first: bool
    heart: tuple[int, int]

    @property
    def depth(self) -> int:
        """Number of slices."""
        return len(self.labels)

    @property
    def pixel_mm2(self) -> float:
        """Area of a pixel in mm²."""
        return self.pixel_mm[0] * self.pixel_mm[1]

    @property
    def present(self) -> NDArray[np.bool_]:
        """Whether the mask shows each structure, bool (3, D)."""
        return np.asarray(np.any(self.masks, axis=(2, 3)))

    @property
    def inward(self) -> NDArray[np.int64]:
        """Index of the neighbour of each slice one step nearer to the middle of the heart, int64 (D,)."""
        return neighbour_index(self.depth, self.heart)

    def neighbour(self, values: NDArray[Any]) -> NDArray[Any]:
        """Values (..., D) of the neighbour one step nearer to the middle of the heart."""
        return np.asarray(values[..., self.inward])

    def areas_mm2(self) -> NDArray[np.float64]:
        """Predicted areas, float64 (3, D)."""
        return np.asarray(self.masks.sum(axis=(2, 3)) * self.pixel_mm2, np.float64)


def grid_frame(
    pooled: NDArray[np.floating], members: NDArray[np.floating], pixel_mm: tuple[float, float], basal_first: bool | None = None
) -> GridFrame:
    """Prepare a frame, cut to the rows and columns in which anything is seen.

    Args:
        pooled: (C, D, G, G) pooled probabilities on the grid.
        members: (N, C, D, G, G) member probabilities on the grid.
        pixel_mm: Edges of a grid pixel in mm, (y, x).
        basal_first: Whether the stack runs from base to apex; None lets the masks tell.
    """
    seen = pooled[1:].max(axis=(0, 1)) >= _FAINTEST
    rows, columns = _span(seen.any(axis=1)), _span(seen.any(axis=0))
    pooled = np.asarray(pooled[:, :, rows, columns], np.float32)
    members = np.asarray(members[:, :, :, rows, columns], np.float32)
    labels = np.argmax(pooled, axis=0).astype(np.uint8)
    masks = np.stack([labels == structure for structure in FOREGROUND])
    if basal_first is None:
        basal_first = apex_is_last(labels, None)
    heart = heart_span(np.any(masks, axis=(0, 2, 3)))
    return GridFrame(pooled, members, np.argmax(members, axis=1).astype(np.uint8), labels, masks, pixel_mm, basal_first, heart)


def neighbour_index(depth: int, heart: tuple[int, int]) -> NDArray[np.int64]:
    """Index of the neighbour of each slice one step nearer to the middle of the heart.

    The middle slice of an odd number looks back; a heart of one slice has no neighbour but itself.
    """
    index = np.arange(depth)
    step = np.where(index < (heart[0] + heart[1]) / 2, 1, -1)
    if heart[0] == heart[1]:
        step[heart[0]] = 0
    return np.clip(index + step, 0, depth - 1)


def heart_span(shown: ArrayLike) -> tuple[int, int]:
    """First and last slice of those that show something, bool (D,); the whole stack where none does."""
    shown = np.asarray(shown, bool)
    where = np.flatnonzero(shown)
    return (int(where[0]), int(where[-1])) if where.size else (0, len(shown) - 1)


def ratio(numerator: NDArray[np.floating], denominator: NDArray[np.floating]) -> NDArray[np.float64]:
    """Numerator by denominator; 1 where there is nothing to divide by, as the DSC of two empty masks."""
    return np.asarray(np.divide(numerator, denominator, out=np.ones(denominator.shape), where=denominator > 0), np.float64)


def _span(seen: NDArray[np.bool_]) -> slice:
    """From the first to the last that is seen; one row or column where nothing is."""
    where = np.flatnonzero(seen)
    return slice(int(where[0]), int(where[-1]) + 1) if where.size else slice(0, 1)
