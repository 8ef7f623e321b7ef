"""How a file's three spatial axes become slice, row and column, and back exactly.

Through-plane axis, the first rule that decides:

1. the only axis of length 1 (a single slice);
2. the axis whose spacing is at least 1.5 times each other's (short-axis slices are 5-10 mm apart, pixels 0.7-2 mm);
3. the only shortest axis;
4. the last axis.

In-plane axes. When the affine carries orientation, W runs towards patient left and H towards patient posterior and inferior, as the rows
and columns of a radiological display do: of the eight ways to order and flip two axes the one nearest to that is taken. When it carries
none, the first of the two file axes is W (it varies fastest, as pixels in a row do), the second is H, and nothing is flipped.
The order of the slices always stays as it is in the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shortaxis.study import Spacing

CLEARLY_LARGER: Final = 1.5
_LEFT: Final = np.array([-1.0, 0.0, 0.0])
_DOWN: Final = np.array([0.0, -1.0, -1.0]) / np.sqrt(2.0)
"""Posterior and inferior in equal parts: in a short-axis plane, whose normal points left, anterior and inferior, the two coincide."""


@dataclass(frozen=True)
class Layout:
    """Where slice, row and column stand in a file.

    Attributes:
        shape: Lengths of the file's three spatial axes.
        axes: The file axis that is D, H and W.
        flips: Whether D, H and W run against their file axis.
    """

    shape: tuple[int, int, int]
    axes: tuple[int, int, int] = (2, 1, 0)
    flips: tuple[bool, bool, bool] = (False, False, False)

    def to_study(self, array: NDArray[Any]) -> NDArray[Any]:
        """Bring a file's array (i, j, k, T) to (T, D, H, W); a view."""
        turned = array.transpose(3, *self.axes)
        return turned[:, *(slice(None, None, -1 if flip else 1) for flip in self.flips)]

    def to_file(self, values: NDArray[Any]) -> NDArray[Any]:
        """Bring (T, D, H, W) to the file's (i, j, k, T); a view, the exact inverse of `to_study`."""
        straight = values[:, *(slice(None, None, -1 if flip else 1) for flip in self.flips)]
        order = [1 + self.axes.index(axis) for axis in range(3)]
        return straight.transpose(*order, 0)

    def index_matrix(self) -> NDArray[np.float64]:
        """Give the 4 x 4 matrix that maps the study's (d, h, w, 1) to the file's (i, j, k, 1)."""
        matrix = np.zeros((4, 4))
        matrix[3, 3] = 1.0
        for column, (axis, flip) in enumerate(zip(self.axes, self.flips, strict=True)):
            matrix[axis, column] = -1.0 if flip else 1.0
            matrix[axis, 3] = self.shape[axis] - 1 if flip else 0
        return matrix


def choose_layout(shape: tuple[int, int, int], spacing: Spacing, directions: NDArray[np.float64] | None) -> Layout:
    """Decide by the rules of this module.

    Args:
        shape: Lengths of the file's spatial axes.
        spacing: Their spacing in mm, in file order.
        directions: (3, 3), each column the unit vector (RAS+) of a file axis; None when the affine carries no orientation.
    """
    through = through_plane(shape, spacing)
    first, second = (axis for axis in range(3) if axis != through)
    if directions is None:
        return Layout(shape, (through, second, first))
    candidates = list(product(((second, first), (first, second)), (False, True), (False, True)))

    def nearness(candidate: tuple[tuple[int, int], bool, bool]) -> float:
        (row, column), flip_row, flip_column = candidate
        down, left = float(directions[:, row] @ _DOWN), float(directions[:, column] @ _LEFT)
        return (-down if flip_row else down) + (-left if flip_column else left)

    (row, column), flip_row, flip_column = max(candidates, key=nearness)
    return Layout(shape, (through, row, column), (False, flip_row, flip_column))


def through_plane(shape: tuple[int, int, int], spacing: Spacing) -> int:
    """The file axis from slice to slice, by the rules of this module; arguments as those of `choose_layout`."""
    if shape.count(1) == 1:
        return shape.index(1)
    by_spacing = sorted(range(3), key=lambda axis: spacing[axis])
    if spacing[by_spacing[2]] >= CLEARLY_LARGER * spacing[by_spacing[1]]:
        return by_spacing[2]
    shortest = min(shape)
    return shape.index(shortest) if shape.count(shortest) == 1 else 2
