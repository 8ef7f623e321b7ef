"""From the native grid to what a network sees, and exactly back."""

from __future__ import annotations

from shortaxis.preprocessing.grid import GRIDS, Grid, PhysicalGrid, StretchedGrid, build_grid, grid_to_dict
from shortaxis.preprocessing.intensity import normalise

__all__ = ["GRIDS", "Grid", "PhysicalGrid", "StretchedGrid", "build_grid", "grid_to_dict", "normalise"]
