"""Clinical indices from labels.

`shortaxis.indices` is this package and also the public function of that name: calling the package calls `indices`.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

from shortaxis.indices.aha import SEGMENTS, segment_masks
from shortaxis.indices.curves import PeakRates, VolumeCurves, find_phases, volume_curves
from shortaxis.indices.index import Index
from shortaxis.indices.summary import indices
from shortaxis.indices.thickness import WallThickness, regional_indices, wall_thickness
from shortaxis.indices.volumes import body_surface_area, structure_volumes, ventricular_indices

if TYPE_CHECKING:
    from shortaxis.study import Segmentation

__all__ = [
    "SEGMENTS",
    "Index",
    "PeakRates",
    "VolumeCurves",
    "WallThickness",
    "body_surface_area",
    "find_phases",
    "indices",
    "regional_indices",
    "segment_masks",
    "structure_volumes",
    "ventricular_indices",
    "volume_curves",
    "wall_thickness",
]


class _CallablePackage(ModuleType):
    """A package that can be called, since importing it puts it in the place of the function `shortaxis.indices`."""

    def __call__(self, segmentation: Segmentation, *, heart_rate: float | None = None) -> dict[str, Index]:
        """Call `indices`."""
        return indices(segmentation, heart_rate=heart_rate)


sys.modules[__name__].__class__ = _CallablePackage
