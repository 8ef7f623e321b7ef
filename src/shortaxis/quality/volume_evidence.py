"""How uncertain a volume is, in ml, from what the networks say of one frame: what the width of an interval is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from shortaxis.labels import FOREGROUND
from shortaxis.quality.grid_frame import heart_span

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shortaxis.quality.grid_frame import GridFrame

EVIDENCE: Final = ("volume", "undecided", "members_apart", "end_slices", "at_risk")
"""Names of the parts, all in ml: a share of the volume itself; voxels between two classes; the range of the members' volumes; the outermost
sections, which a slice more or less would change; and the sections of slices by their probability of being poor."""


def volume_evidence(frame: GridFrame, slice_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute all parts but `at_risk`, for which see `volume_at_risk`.

    Args:
        frame: The frame on the grid.
        slice_mm: float64 (D,), length along the normal that each slice stands for.

    Returns:
        float64 (4, 3): the first four of `EVIDENCE`, for RV, MYO and LV.
    """
    to_ml = frame.pixel_mm2 * slice_mm / 1000
    volume = (frame.areas_mm2() * slice_mm / 1000).sum(axis=1)
    soft = np.minimum(frame.pooled[1:], 1 - frame.pooled[1:]).sum(axis=(2, 3), dtype=np.float64) @ to_ml
    of_members = np.stack([(frame.choices == part).sum(axis=(2, 3)) @ to_ml for part in FOREGROUND], axis=1)
    return np.stack([volume, soft, np.ptp(of_members, axis=0), _outermost(frame.areas_mm2() * slice_mm / 1000)])


def volume_at_risk(areas_mm2: NDArray[np.float64], slice_mm: NDArray[np.float64], risk: NDArray[np.float64]) -> NDArray[np.float64]:
    """Section of each slice times its risk, in ml: float64 (3,), from areas (3, D), extents (D,) and the risks of the slices (D,).

    A slice beyond the mask counts with the section of its neighbour within: what it would hold if the structure went on.
    """
    sections = areas_mm2 * slice_mm / 1000
    for part in sections:
        if part.any():
            first, last = heart_span(part > 0)
            if first > 0:
                part[first - 1] = part[first]
            if last < len(part) - 1:
                part[last + 1] = part[last]
    return np.asarray(sections @ risk, np.float64)


def _outermost(sections: NDArray[np.float64]) -> NDArray[np.float64]:
    """Larger of the first and last section of each structure, float64 (3,)."""
    ends = np.zeros(len(sections))
    for place, part in enumerate(sections):
        if part.any():
            first, last = heart_span(part > 0)
            ends[place] = max(part[first], part[last])
    return ends
