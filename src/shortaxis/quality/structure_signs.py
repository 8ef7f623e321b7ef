"""Signs of each structure in each slice.

Most poor end slices are poor because one structure is drawn where the annotator drew none, or is left out where there is one. These signs
ask each structure by itself whether it is there, and how it sits in the stack.

All return float64 (3, D), for RV, MYO and LV, and are written so that more is worse, `log_area` excepted.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Final

import numpy as np

from shortaxis.labels import FOREGROUND
from shortaxis.quality.grid_frame import SMALL_MM2, ratio

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from shortaxis.quality.grid_frame import GridFrame

    Sign = Callable[[GridFrame], NDArray[np.float64]]

_HALF_CM2: Final = 50.0


def doubt_inside(frame: GridFrame) -> NDArray[np.float64]:
    """1 - the mean probability inside the mask; 0 where the mask shows none."""
    inside = np.where(frame.masks, frame.pooled[1:], 0).sum(axis=(2, 3), dtype=np.float64)
    return np.where(frame.present, 1 - ratio(inside, frame.masks.sum(axis=(2, 3))), 0.0)


def doubt_of_presence(frame: GridFrame) -> NDArray[np.float64]:
    """How undecided it is whether the structure is there: 1 - |2 p - 1|, p the mean over the cm² where it is most probable."""
    return 1.0 - np.abs(2 * _strongest(frame.pooled[1:], frame.pixel_mm2) - 1)


def members_apart(frame: GridFrame) -> NDArray[np.float64]:
    """1 - DSC between the members, mean over pairs; 0 where neither sees the structure, or with one member."""
    scores = []
    for first, second in combinations(frame.choices, 2):
        masks = [np.stack([choice == structure for structure in FOREGROUND]) for choice in (first, second)]
        total = masks[0].sum(axis=(2, 3)) + masks[1].sum(axis=(2, 3))
        scores.append(1 - ratio(2 * (masks[0] & masks[1]).sum(axis=(2, 3)), total))
    return np.asarray(np.mean(scores, axis=0)) if scores else np.zeros((3, frame.depth))


def member_areas_apart(frame: GridFrame) -> NDArray[np.float64]:
    """Range over the members of the logarithm of their areas, each with half a cm² added."""
    areas = np.stack([(frame.choices == structure).sum(axis=(2, 3)) for structure in FOREGROUND], axis=1) * frame.pixel_mm2
    return np.asarray(np.ptp(np.log(areas + _HALF_CM2), axis=0), np.float64)


def shrinking(frame: GridFrame) -> NDArray[np.float64]:
    """1 - area by the largest area of the structure in the stack; 1 where it is nowhere."""
    areas = frame.areas_mm2()
    largest = np.maximum(areas.max(axis=1, keepdims=True), SMALL_MM2)
    return np.asarray(1 - areas / largest, np.float64)


def away_from_neighbour(frame: GridFrame) -> NDArray[np.float64]:
    """1 - DSC between the structure's mask and that of the neighbour towards the middle; 0 where neither shows it."""
    other = frame.masks[:, frame.inward]
    total = frame.masks.sum(axis=(2, 3)) + other.sum(axis=(2, 3))
    return 1 - ratio(2 * (frame.masks & other).sum(axis=(2, 3)), total)


def log_area(frame: GridFrame) -> NDArray[np.float64]:
    """Logarithm of the area in cm², half a cm² added."""
    return np.asarray(np.log((frame.areas_mm2() + _HALF_CM2) / 100), np.float64)


STRUCTURE_SIGNS: Final[dict[str, Sign]] = {
    function.__name__: function
    for function in (
        doubt_inside,
        doubt_of_presence,
        members_apart,
        member_areas_apart,
        shrinking,
        away_from_neighbour,
        log_area,
    )
}


def _strongest(probabilities: NDArray[np.float32], pixel_mm2: float) -> NDArray[np.float64]:
    """Mean of (S, D, G, G) over the cm² of each slice where it is largest, float64 (S, D); what lies outside the array counts as 0."""
    count = max(1, round(SMALL_MM2 / pixel_mm2))
    flat = probabilities.reshape(*probabilities.shape[:2], -1)
    size = flat.shape[-1]
    top = flat if size <= count else np.partition(flat, size - count, axis=-1)[..., size - count :]
    return np.asarray(top.sum(axis=-1, dtype=np.float64) / count, np.float64)
