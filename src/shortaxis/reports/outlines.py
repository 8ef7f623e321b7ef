"""Outlines of masks as paths, as SVG and the canvas of a browser take them."""

from __future__ import annotations

from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_STEPS: Final = ((1, 0), (0, 1), (-1, 0), (0, -1))
"""East, south, west, north as (x, y): a crack between two pixels is walked with the inside on the right."""
_TURNS: Final = (1, 0, 3)
"""Right, straight on, left: right first, so that pixels that touch at a corner only stay apart."""
_MOVES: Final = {
    (one, following): (_STEPS[one][0] + _STEPS[following][0], _STEPS[one][1] + _STEPS[following][1])
    for one in range(4)
    for following in range(4)
}
"""From the middle of one crack to that of the next, in half pixels."""


def outline(mask: NDArray[np.bool_]) -> str:
    """Trace the outlines of a mask, holes included.

    An outline joins the middles of the cracks between pixels inside and outside: it cuts the corners of pixels and smooths nothing, the
    level 0.5 of marching squares.

    Args:
        mask: bool (H, W).

    Returns:
        A path of closed polygons in **half** pixels, so that all its numbers are whole; (0, 0) is the outer corner of the first pixel.

    Examples:
        >>> outline(np.array([[False, False], [False, True]]))
        'M3 2l1 1-1 1-1-1z'
    """
    padded = np.pad(mask, 1)
    width = padded.shape[1] + 1
    # A crack is told by four times the vertex it starts at (row by row of the padded mask) plus its direction.
    north, south, west, east = (padded & ~np.roll(padded, shift, axis) for shift, axis in ((1, 0), (-1, 0), (1, 1), (-1, 1)))
    cracks: set[int] = set()
    for inside, (right, down), direction in ((north, (0, 0), 0), (east, (1, 0), 1), (south, (1, 1), 2), (west, (0, 1), 3)):
        rows, columns = np.nonzero(inside)
        cracks.update((4 * ((rows + down) * width + columns + right) + direction).tolist())
    return "".join(_path(walk, width) for walk in _walks(cracks, width))


def _walks(cracks: set[int], width: int) -> Iterator[list[int]]:
    """Join cracks to closed walks, each from its uppermost crack on; empties the set."""
    offsets = [4 * (right + down * width) for right, down in _STEPS]
    for start in sorted(cracks):
        if start not in cracks:
            continue
        walk = [start]
        cracks.remove(start)
        while True:
            direction = walk[-1] % 4
            vertex = walk[-1] - direction + offsets[direction]
            following = next((crack for turn in _TURNS if (crack := vertex + (direction + turn) % 4) in cracks), None)
            if following is None:
                break
            walk.append(following)
            cracks.remove(following)
        yield walk


def _path(walk: list[int], width: int) -> str:
    directions = [crack % 4 for crack in walk]
    row, column = divmod(walk[0] // 4, width)
    # The padding shifts everything by one pixel; the walk starts in the middle of its first crack.
    right, down = _STEPS[directions[0]]
    x, y = 2 * (column - 1) + right, 2 * (row - 1) + down
    moves = (_MOVES[pair] for pair in pairwise(directions))
    numbers: list[int] = []
    for (right, down), run in groupby(moves):
        n = sum(1 for _ in run)
        numbers += [n * right, n * down]
    return f"M{x} {y}l{_join(numbers)}z"


def _join(numbers: list[int]) -> str:
    """Write numbers one after the other; a minus sign parts them as well as a space does."""
    return " ".join(map(str, numbers)).replace(" -", "-")
