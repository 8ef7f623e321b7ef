"""The kinds of grid that a recipe or a model file can name."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from shortaxis.errors import InputError
from shortaxis.preprocessing.aligned import AlignedGrid, PosedGrid
from shortaxis.preprocessing.grid import PhysicalGrid, StretchedGrid

Grid = PhysicalGrid | StretchedGrid | AlignedGrid
PlacedGrid = PhysicalGrid | StretchedGrid | PosedGrid
"""A grid that is ready for one study."""
GRIDS: Final[dict[str, type[PhysicalGrid | StretchedGrid]]] = {
    "physical": PhysicalGrid,
    "stretched": StretchedGrid,
    "aligned": AlignedGrid,
}


def build_grid(kind: str, **options: Any) -> Grid:
    """Build a grid by its registered name.

    Raises:
        InputError: The name is unknown, or the grid has no such option.
    """
    if kind not in GRIDS:
        msg = f"no grid is called '{kind}'; known are {', '.join(GRIDS)}"
        raise InputError(msg)
    try:
        return GRIDS[kind](**options)
    except TypeError as error:
        msg = f"grid '{kind}' does not take the options {options}: {error}"
        raise InputError(msg) from error


def grid_to_dict(grid: Grid) -> dict[str, Any]:
    """The inverse of `build_grid`: `{"kind": ..., option: value}`."""
    kind = next(name for name, cls in GRIDS.items() if type(grid) is cls)
    return {"kind": kind, **asdict(grid)}
