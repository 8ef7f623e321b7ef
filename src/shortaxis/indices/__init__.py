"""Clinical indices from labels."""

from __future__ import annotations

from shortaxis.indices.volumes import (
    Index,
    body_surface_area,
    indices,
    structure_volumes,
    ventricular_indices,
)

__all__ = ["Index", "body_surface_area", "indices", "structure_volumes", "ventricular_indices"]
