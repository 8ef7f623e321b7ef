"""From a study's pixels to what the networks see, and back."""

from __future__ import annotations

from shortaxis.preprocessing.aligned import AlignedGrid, PosedGrid
from shortaxis.preprocessing.grid import PhysicalGrid, StretchedGrid
from shortaxis.preprocessing.intensity import IntensityWindow, normalise
from shortaxis.preprocessing.kinds import GRIDS, Grid, PlacedGrid, build_grid, grid_to_dict
from shortaxis.preprocessing.pose import STANDARD_DEG, HeartPose, pose_of_labels, pose_of_masses, shows_mirrored

__all__ = [
    "GRIDS",
    "STANDARD_DEG",
    "AlignedGrid",
    "Grid",
    "HeartPose",
    "IntensityWindow",
    "PhysicalGrid",
    "PlacedGrid",
    "PosedGrid",
    "StretchedGrid",
    "build_grid",
    "grid_to_dict",
    "normalise",
    "pose_of_labels",
    "pose_of_masses",
    "shows_mirrored",
]
