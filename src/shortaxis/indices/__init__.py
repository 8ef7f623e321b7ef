"""Clinical indices from labels.

`shortaxis.indices` is this package and also the public function of that name: calling the package calls `indices`.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

from shortaxis.indices.volumes import (
    Index,
    body_surface_area,
    indices,
    structure_volumes,
    ventricular_indices,
)

if TYPE_CHECKING:
    from shortaxis.study import Segmentation

__all__ = ["Index", "body_surface_area", "indices", "structure_volumes", "ventricular_indices"]


class _CallablePackage(ModuleType):
    """A package that can be called, since importing it puts it in the place of the function `shortaxis.indices`."""

    def __call__(self, segmentation: Segmentation) -> dict[str, Index]:
        """Call `indices`."""
        return indices(segmentation)


sys.modules[__name__].__class__ = _CallablePackage
