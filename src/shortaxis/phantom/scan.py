"""Where the scanner looks: the grid of voxel centres in heart coordinates, and its affine in the patient."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

from shortaxis.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shortaxis.phantom.geometry import Heart
    from shortaxis.study import Spacing

MARGIN: Final = 12.0
"""Space in mm kept between the ventricles and the edge of the picture."""
SLICES: Final = (6, 18)
"""Fewest and most slices that are chosen of themselves, as in ACDC."""


@dataclass(frozen=True)
class Scan:
    """The voxel grid. The LV axis crosses every slice at `centre`.

    Attributes:
        spacing: (z, y, x) in mm.
        shape: (D, H, W).
        first: Position of the first slice in mm; 0 is the valve plane at end diastole, positive towards the apex.
        centre: Where the LV axis stands, (y, x) in mm from the centre of voxel (0, 0).
        thickness: Slice thickness in mm; where it is less than the slice distance there is a gap.
        affine: (4, 4), index (d, h, w, 1) to RAS+ mm.
    """

    spacing: Spacing
    shape: tuple[int, int, int]
    first: float
    centre: tuple[float, float]
    thickness: float
    affine: NDArray[np.float64] = field(default_factory=lambda: np.eye(4))

    @cached_property
    def y(self) -> NDArray[np.float32]:
        """Distance below the LV axis of each row in mm, (H, 1)."""
        return (np.arange(self.shape[1], dtype=np.float32)[:, None] * self.spacing[1] - self.centre[0]).astype(np.float32)

    @cached_property
    def x(self) -> NDArray[np.float32]:
        """Distance to the right of the LV axis of each column in mm, (1, W)."""
        return (np.arange(self.shape[2], dtype=np.float32)[None, :] * self.spacing[2] - self.centre[1]).astype(np.float32)

    @cached_property
    def z(self) -> NDArray[np.float32]:
        """Position of each slice along the axis in mm, (D, 1, 1)."""
        return (np.arange(self.shape[0], dtype=np.float32)[:, None, None] * self.spacing[0] + self.first).astype(np.float32)

    def window(self, up: float, down: float, left: float, right: float) -> tuple[slice, slice]:
        """Rows and columns that lie at most so many mm from the LV axis."""
        rows = np.flatnonzero((self.y[:, 0] >= -up) & (self.y[:, 0] <= down))
        columns = np.flatnonzero((self.x[0] >= -left) & (self.x[0] <= right))
        return _span(rows), _span(columns)


def plan_scan(
    rng: np.random.Generator,
    heart: Heart,
    *,
    n_slices: int | None = None,
    spacing: Spacing | None = None,
    matrix: tuple[int, int] | None = None,
) -> Scan:
    """Choose what the caller left open, as a technician would: the whole ventricle in the stack, the heart near the middle.

    Args:
        rng: Source of randomness.
        heart: What must be in the picture.
        n_slices: Number of slices D.
        spacing: (z, y, x) in mm.
        matrix: (H, W) in voxels.

    Returns:
        The scan. When `n_slices` and `spacing` are both given the stack may end before the apex.

    Raises:
        InputError: A number is not positive, or the matrix is too small for the heart.
    """
    for name, asked in (("n_slices", n_slices), ("matrix", matrix), ("spacing", spacing)):
        if asked is not None and not (np.isfinite(asked).all() and np.min(asked) > 0):
            msg = f"{name} must be positive, not {asked}"
            raise InputError(msg)
    above, below = rng.uniform(0.05, 0.95), rng.uniform(2, 8)
    in_plane = float(rng.choice([1.0, 1.17, 1.25, 1.37, 1.41, 1.48, 1.56, 1.68, 1.8, 1.9]))
    distance = float(rng.choice([5.0, 6.0, 7.0, 8.0, 10.0, 10.0, 10.0]))
    field_of_view = rng.uniform(290, 330), rng.uniform(235, 275)
    jitter = rng.uniform(-8, 8, 2)
    span = heart.length + below
    if spacing is None:
        if n_slices is not None:
            distance = float(np.clip(round(span / max(n_slices - above, 0.5), 1), 5, 10))
        elif span / distance > SLICES[1] - 1:
            distance = 7.0
        spacing = (distance, in_plane, in_plane)
    if n_slices is None:
        n_slices = int(np.clip(np.ceil(span / spacing[0] + above), *SLICES))
    if matrix is None:
        matrix = (_even(field_of_view[0] / spacing[1]), _even(field_of_view[1] / spacing[2]))
    return Scan(
        spacing=spacing,
        shape=(n_slices, *matrix),
        first=-above * spacing[0],
        centre=_centre(heart, matrix, spacing, jitter),
        thickness=min(spacing[0], 8.0),
        affine=_affine(rng, spacing),
    )


def _centre(heart: Heart, matrix: tuple[int, int], spacing: Spacing, jitter: NDArray[np.float64]) -> tuple[float, float]:
    up, down, left, right = heart.extent()
    centre = []
    for axis, (before, after, wish) in enumerate(((up, down, 0.50), (left, right, 0.46))):
        size = (matrix[axis] - 1) * spacing[1 + axis]
        lowest, highest = before + MARGIN, size - after - MARGIN
        if lowest > highest:
            needed = int(np.ceil((before + after + 2 * MARGIN) / spacing[1 + axis])) + 1
            size_mm = f"{needed} voxels of {spacing[1 + axis]} mm"
            msg = f"the matrix {matrix} is too small for this heart: axis {'HW'[axis]} needs at least {size_mm}"
            raise InputError(msg)
        centre.append(float(np.clip(wish * size + jitter[axis], lowest, highest)))
    return centre[0], centre[1]


def _affine(rng: np.random.Generator, spacing: Spacing) -> NDArray[np.float64]:
    """An oblique short-axis orientation: the slices run from base to apex (left, forward, down) and +H points to the feet."""
    apexward = np.array([-0.65, 0.60, -0.45]) + rng.normal(0, 0.08, 3)
    apexward /= np.linalg.norm(apexward)
    down = np.array([0.0, 0.0, -1.0]) + rng.normal(0, 0.12, 3)
    down -= (down @ apexward) * apexward
    down /= np.linalg.norm(down)
    affine = np.eye(4)
    affine[:3, :3] = np.column_stack([apexward, down, np.cross(apexward, down)]) * spacing
    affine[:3, 3] = rng.uniform([40, -60, 20], [90, 0, 90])
    return affine


def _even(size: float) -> int:
    return 2 * round(size / 2)


def _span(indices: NDArray[np.intp]) -> slice:
    return slice(int(indices[0]), int(indices[-1]) + 1)
