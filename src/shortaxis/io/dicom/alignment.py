"""Slices that deviate from the rest of their stack: another matrix or pixel size, turned in their plane, or tilted a little out of it.

Such a slice is given a place on the grid of the stack, and its pixels are resampled onto it. Its place along the stack is where its own
plane meets the line through the middle of the stack's images, since that is where the heart lies; the corner of an image moves by
centimetres when a slice is tilted. The place in the plane follows the corners of the other slices. A pixel of the grid takes its value from
the point of the deviating plane that lies on the same line along the normal of the stack.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import scipy  # its parts load when they are used, which keeps quick what needs none

from shortaxis.io.dicom.geometry import ALIGNED, SAME_PLACE, SAME_SPACING, directions, normal
from shortaxis.io.dicom.headers import Geometry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from shortaxis.io.dicom.headers import Plane

MOST_TILT: Final = 10.0
"""Degrees out of the plane of the stack up to which a slice belongs to it."""
LEAST_COVER: Final = 0.9
"""Share of the middle half of the stack's images that a deviating image must show."""
_BEYOND: Final = 0.1
"""Share of the slice distance by which the place of the next slice beyond an end may be off."""
_CUBIC: Final = 3


class Grid:
    """The grid of a stack: that of its images, and where they lie along its normal.

    Args:
        planes: Images of one orientation, matrix and pixel spacing.
    """

    def __init__(self, planes: Sequence[Plane]) -> None:
        self.like = planes[0]
        self.axis = normal(self.like)
        corners = np.unique(np.array([plane.position for plane in planes]), axis=0)
        order = np.argsort(corners @ self.axis)
        self._corners = corners[order]
        self.along = self._corners @ self.axis
        row, column = directions(self.like)
        (rows, columns), (down, across) = self.like.shape, self.like.spacing
        self._to_middle = row * across * (columns - 1) / 2 + column * down * (rows - 1) / 2

    def corner(self, along: float) -> NDArray[np.float64]:
        """The first pixel (LPS, mm) of an image of this grid at a place along the normal, in line with the corners of the others."""
        aside = self._corners - self.along[:, None] * self.axis
        inside = float(np.clip(along, self.along[0], self.along[-1]))
        here = np.array([np.interp(inside, self.along, axis) for axis in aside.T])
        length = self.along[-1] - self.along[0]
        shear = (aside[-1] - aside[0]) / length if length > SAME_PLACE else np.zeros(3)
        return np.asarray(here + (along - inside) * shear + along * self.axis)

    def place(self, plane: Plane) -> float:
        """Where a plane meets the line through the middle of the images, in mm along the normal."""
        across = normal(plane)
        along = float(np.array(plane.position) @ self.axis)
        for _ in range(4):  # the line is straight in all but a sheared stack
            middle = self.corner(along) + self._to_middle
            along += float((np.array(plane.position) - middle) @ across) / float(self.axis @ across)
        return along

    def lacks(self, planes: Sequence[Plane]) -> bool:
        """Tell whether images lie in a hole of the stack, or up to one slice distance beyond its ends."""
        places = np.unique(self.along.round(1))
        usual = float(np.median(np.diff(places))) if len(places) > 1 else self.like.thickness or SAME_PLACE
        there = [self.place(plane) for plane in planes]
        away, nearest = min((float(np.abs(self.along - place).min()), place) for place in there)
        inside = float(self.along[0]) < nearest < float(self.along[-1])
        return away > usual / 2 and (inside or away < (1 + _BEYOND) * usual)

    def adopt(self, plane: Plane) -> Plane:
        """Put a deviating plane on this grid; its own is kept in `stored`."""
        like, place = self.like, self.place(plane)
        stored = Geometry(plane.shape, plane.spacing, plane.orientation, plane.position)
        corner = tuple(float(mm) for mm in self.corner(place))
        return replace(plane, shape=like.shape, spacing=like.spacing, orientation=like.orientation, position=corner, stored=stored)


def is_aligned(one: Plane, other: Plane) -> bool:
    """Tell whether two images lie on one grid but for their place: nothing but rounding parts matrix, pixel size and directions."""
    return (
        one.shape == other.shape
        and all(abs(a - b) <= SAME_SPACING * max(a, b) for a, b in zip(one.spacing, other.spacing, strict=True))
        and same_orientation(one, other)
    )


def same_orientation(one: Plane, other: Plane) -> bool:
    """Tell whether rows and columns of two images run the same way within `ALIGNED` degrees."""
    if one.orientation == other.orientation:
        return True
    return all(_angle(a, b) <= ALIGNED for a, b in zip(directions(one), directions(other), strict=True))


def tilt_between(one: Plane, other: Plane) -> float:
    """Angle in degrees between two planes, whichever side they face."""
    angle = _angle(normal(one), normal(other))
    return min(angle, 180.0 - angle)


def describe(plane: Plane) -> str:
    """Say how a plane that was put on the grid of its stack deviated from it."""
    stored = plane.stored
    if stored is None:
        return ""
    own = replace(plane, shape=stored.shape, spacing=stored.spacing, orientation=stored.orientation)
    tilt, said = tilt_between(plane, own), []
    if stored.shape != plane.shape:
        said.append(f"of another matrix ({stored.shape[0]} × {stored.shape[1]})")
    if any(abs(a - b) > SAME_SPACING * max(a, b) for a, b in zip(stored.spacing, plane.spacing, strict=True)):
        said.append(f"of another pixel size ({stored.spacing[0]:.4g} × {stored.spacing[1]:.4g} mm)")
    if tilt > ALIGNED:
        said.append(f"tilted by {tilt:.1f}°")
    row, column = directions(plane)
    along = directions(own)[0]
    turned = float(np.rad2deg(np.arctan2(along @ column, along @ row)))
    if abs(turned) > ALIGNED:
        said.append(f"turned in the plane by {abs(turned):.1f}°")
    return " and ".join(said) or "of another orientation"


def covers(plane: Plane) -> bool:
    """Tell whether the image of an adopted plane shows the middle of the stack's grid."""
    points = _points(plane, 1)
    height, width = plane.shape
    middle = points[:, height // 4 : max(height // 4 + 1, 3 * height // 4), width // 4 : max(width // 4 + 1, 3 * width // 4)]
    return float(_inside(middle, plane).mean()) >= LEAST_COVER


def resample(image: NDArray[Any], plane: Plane) -> NDArray[np.float64]:
    """Bring a stored image onto the grid of its stack.

    Between pixels a cubic spline is read, held within the range of the image. Where the grid is coarser than the image, a pixel is the mean
    of as many points as fit, read linearly. What the image does not show takes its smallest value.

    Args:
        image: (rows, columns) as stored.
        plane: The plane, with the grid of the image in `stored`.

    Returns:
        float64 (rows, columns) of `plane.shape`.
    """
    stored = plane.stored
    assert stored is not None, "only adopted planes are resampled"
    finer = max(a / b for a, b in zip(plane.spacing, stored.spacing, strict=True))
    steps = max(1, round(finer))
    points = _points(plane, steps)
    values = np.asarray(image, np.float64)
    read = scipy.ndimage.map_coordinates(values, points, order=_CUBIC if steps == 1 else 1, mode="nearest")
    low, high = float(values.min()), float(values.max())
    read = np.where(_inside(points, plane), np.clip(read, low, high), low)
    height, width = plane.shape
    mean: NDArray[np.float64] = read.reshape(height, steps, width, steps).mean(axis=(1, 3))
    return mean


def _points(plane: Plane, steps: int) -> NDArray[np.float64]:
    """Place in the stored image, (2, rows · steps, columns · steps) in pixels, of `steps` points along each side of each pixel."""
    stored = plane.stored
    assert stored is not None, "only adopted planes have a grid of their own"
    own = replace(plane, orientation=stored.orientation)
    (row, column), across = directions(plane), normal(plane)
    down, along = (((np.arange(n * steps) + 0.5) / steps - 0.5) * mm for n, mm in zip(plane.shape, plane.spacing, strict=True))
    start = np.array(plane.position) - np.array(stored.position)
    own_row, own_column = directions(own)
    own_normal = normal(own)

    def in_plane(vector: NDArray[np.float64]) -> NDArray[np.float64]:
        """Move a vector along the normal of the stack into the stored plane; give its (row, column) in pixels of the stored image."""
        moved = vector - across * float(vector @ own_normal) / float(across @ own_normal)
        # Rows and columns that are not quite at right angles are solved for together.
        basis = np.column_stack([own_column, own_row])
        found: NDArray[np.float64] = np.linalg.lstsq(basis, moved)[0] / np.array(stored.spacing)
        return found

    first, per_down, per_along = in_plane(start), in_plane(column), in_plane(row)
    points: NDArray[np.float64] = first[:, None, None] + per_down[:, None, None] * down[:, None] + per_along[:, None, None] * along
    return points


def _inside(points: NDArray[np.float64], plane: Plane) -> NDArray[np.bool_]:
    """Whether points lie within the stored image, half a pixel beyond the centres of its outermost pixels included."""
    assert plane.stored is not None
    rows, columns = plane.stored.shape
    slack = 1e-6
    inside: NDArray[np.bool_] = (
        (points[0] >= -0.5 - slack) & (points[0] <= rows - 0.5 + slack) & (points[1] >= -0.5 - slack) & (points[1] <= columns - 0.5 + slack)
    )
    return inside


def _angle(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(np.rad2deg(np.arctan2(np.linalg.norm(np.cross(one, other)), one @ other)))
