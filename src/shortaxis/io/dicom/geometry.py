"""Where slices lie: the normal, positions along it, from base to apex, and the affine of the stack.

DICOM counts in LPS (x to the patient's left, y to the back, z to the head), `Study.affine` in RAS+.

From base to apex
-----------------

The apex of the heart points to the left, the front and the feet. `BASE_TO_APEX` is the usual direction; the short-axis planes are those
whose normal lies within 45° of it, and the end of the normal that points the same way is the apical one. Where the normal is so far off
that this says nothing (more than 75°), the slices stay in the order in which they were numbered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from shortaxis.io.dicom.headers import Plane

BASE_TO_APEX: Final = np.array([0.65, -0.60, -0.45]) / np.linalg.norm([0.65, -0.60, -0.45])
"""Usual direction of the LV long axis (LPS): left, front, feet."""
SHORT_AXIS_TILT: Final = 45.0
"""Largest angle in degrees between the normal and the usual long axis of what passes as a short-axis plane."""
TELLING_TILT: Final = 75.0
"""From this angle on the normal does not tell base from apex."""
SAME_PLACE: Final = 0.5
"""Distance in mm below which two slices lie at the same place: rounding, and the scanner's own."""
EVEN: Final = 0.1
"""Deviation in mm of a slice distance that is still even spacing."""
ALIGNED: Final = 0.1
"""Largest angle in degrees between directions that differ by rounding only: a third of a millimetre at the border of an image."""
SAME_SPACING: Final = 1e-3
"""Largest relative difference of pixel sizes that differ by rounding only: a quarter of a pixel across an image."""
GAP: Final = 1.5
"""A distance more than this many times as large as both beside it leaves room for a slice that is missing."""

_TO_RAS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])


def directions(plane: Plane) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Unit vectors (LPS) of a row and of a column; the cosines are stored with few digits, so they are brought to length 1."""
    row, column = np.array(plane.orientation[:3]), np.array(plane.orientation[3:])
    return row / np.linalg.norm(row), column / np.linalg.norm(column)


def normal(plane: Plane) -> NDArray[np.float64]:
    """Unit normal (LPS): row direction times column direction."""
    row, column = directions(plane)
    across: NDArray[np.float64] = np.cross(row, column)
    return across / float(np.linalg.norm(across))


def tilt(plane: Plane) -> float:
    """Angle in degrees between the normal, in whichever sense, and the usual long axis of the heart."""
    return float(np.rad2deg(np.arccos(min(1.0, abs(float(normal(plane) @ BASE_TO_APEX))))))


def apexward(plane: Plane) -> NDArray[np.float64]:
    """Unit normal (LPS) in the sense that points from base to apex."""
    across = normal(plane)
    return across if across @ BASE_TO_APEX >= 0 else -across


def by_position(planes: Sequence[Plane]) -> list[list[Plane]]:
    """Group parallel planes by their place along the normal, from base to apex.

    Two places nearer to each other than half the usual slice distance (the upper quartile of the distances, or the slice thickness where
    that is less) are one slice that was planned twice.

    Args:
        planes: Planes of one orientation.

    Returns:
        The planes of each slice.
    """
    axis = apexward(planes[0])
    place = np.array([plane.position for plane in planes]) @ axis
    order = np.argsort(place, kind="stable")
    gaps = np.diff(place[order])
    apart = gaps[gaps > SAME_PLACE]
    if len(apart):
        usual = float(np.quantile(apart, 0.75))
        thickness = planes[0].thickness or usual
        gaps = np.where(gaps > max(SAME_PLACE, min(usual, thickness) / 2), gaps, 0)
    groups: list[list[Plane]] = [[planes[order[0]]]]
    for index, gap in zip(order[1:], gaps, strict=True):
        if gap > SAME_PLACE:
            groups.append([])
        groups[-1].append(planes[index])
    if tilt(planes[0]) > TELLING_TILT and _first_number(groups[0]) > _first_number(groups[-1]):
        groups.reverse()
    return groups


def stack_affine(slices: Sequence[Plane]) -> tuple[NDArray[np.float64], float, list[str]]:
    """Fit the affine of a stack.

    Evenly spaced slices lie exactly where the affine puts them. Otherwise the first slice does, and the distance is the median.

    Args:
        slices: One plane for each slice, in order; of one orientation and pixel spacing.

    Returns:
        The affine, float64 (4, 4), (d, h, w, 1) to RAS+ mm; the distance of the slices along the normal in mm; what has to be said.
    """
    first = slices[0]
    row, column = directions(first)
    places = np.array([plane.position for plane in slices])
    axis = normal(first)
    if len(slices) == 1:
        step, distance, notes = axis * (first.thickness or 1.0), first.thickness or 1.0, []
    else:
        span = places[-1] - places[0]
        axis *= np.sign(axis @ span)
        gaps = np.diff(places @ axis)
        distance = float(np.median(gaps))
        even = bool(np.abs(gaps - distance).max() <= EVEN)
        if even:
            distance = float(gaps.mean())
        step = span * distance / float(axis @ span)
        notes = [] if even else [_say_gaps(gaps, distance, slice_extents(slices)[1])]
        aside = places - places[0] - np.arange(len(slices))[:, None] * step
        aside -= (aside @ axis)[:, None] * axis
        stagger = float(np.linalg.norm(aside, axis=1).max())
        if stagger > min(first.spacing) / 2:
            notes.append(f"slices are shifted against each other by up to {stagger:.1f} mm in their plane")
    affine = np.eye(4)
    affine[:3, :3] = np.column_stack([step, column * first.spacing[0], row * first.spacing[1]])
    affine[:3, 3] = places[0]
    return _TO_RAS @ affine, distance, notes


def slice_extents(slices: Sequence[Plane]) -> tuple[tuple[float, ...] | None, tuple[int, ...]]:
    """Give the length along the normal that each slice stands for, and where slices are missing.

    A slice stands for half the distance to each of its neighbours; outwards, the slices at the ends stand for as much as inwards. A
    distance more than `GAP` times as large as both beside it has room for another slice, and the slices beside it stand for no more of it
    than of the distance on their other side.

    Args:
        slices: One plane for each slice, in order; of one orientation.

    Returns:
        Lengths in mm, (D,), or None where all are the slice distance of `stack_affine`; index of each slice after which one is missing.
    """
    gaps = _distances(slices)
    if len(gaps) == 0 or np.abs(gaps - np.median(gaps)).max() <= EVEN:
        return None, ()
    beside = [[gaps[other] for other in (index - 1, index + 1) if 0 <= other < len(gaps)] for index in range(len(gaps))]
    missing = tuple(index for index, near in enumerate(beside) if near and gaps[index] > GAP * max(near))
    before, after = gaps.copy(), gaps.copy()  # as the slices before and after each distance see it
    for index in missing:
        usual = beside[index]
        before[index], after[index] = usual[0], usual[-1]
    inwards, outwards = np.concatenate([before, after[-1:]]), np.concatenate([before[:1], after])
    lengths = (inwards + outwards) / 2
    if np.abs(lengths - np.median(gaps)).max() <= EVEN:
        return None, missing
    return tuple(float(mm) for mm in lengths), missing


def _distances(slices: Sequence[Plane]) -> NDArray[np.float64]:
    """Distances of the slices along the normal in mm, (D - 1,)."""
    places = np.array([plane.position for plane in slices])
    axis = normal(slices[0])
    return np.abs(np.diff(places @ axis))


def to_ras(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bring points (n, 3) from LPS to RAS+."""
    turned: NDArray[np.float64] = points * np.array([-1.0, -1.0, 1.0])
    return turned


def _say_gaps(gaps: NDArray[np.float64], distance: float, missing: Sequence[int]) -> str:
    odd = [f"{gap:.1f} mm between {number + 1} and {number + 2}" for number, gap in enumerate(gaps) if abs(gap - distance) > EVEN]
    said = f"slices are not evenly spaced: {distance:.1f} mm is usual, but {', '.join(odd)} (counted from the base)"
    if not missing:
        return f"{said}; each slice stands for half the distance to its neighbours"
    places = " and ".join(f"between {index + 1} and {index + 2}" for index in missing)
    return f"{said}; slices are missing {places}, so volumes are lower bounds"


def _first_number(planes: Sequence[Plane]) -> float:
    return min(plane.clocks.get("InstanceNumber", 0.0) for plane in planes)
