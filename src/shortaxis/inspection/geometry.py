"""Checks that hold for a study of any format: is it a short-axis stack, and a cine fit for indices?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from shortaxis.indices.curves import LEAST_PHASES, SMOOTH_CINE
from shortaxis.io.spacing import implausible_spacing

if TYPE_CHECKING:
    from shortaxis.inspection.report import Inspection
    from shortaxis.study import Spacing

FEWEST_SLICES: Final = 4
"""Below this the ventricles cannot be covered."""
MOST_SLICES: Final = 30
"""Above this a 3D file is hardly a stack: short-axis studies have 6 to 18 slices."""
PIXELS_MM: Final = (0.5, 2.5)
"""mm between which the pixels of cine studies lie (0.7 to 2 in those trained on)."""
SLICES_MM: Final = (4.0, 12.0)
"""mm between which slice distances lie (5 to 10 in those trained on)."""
SMALL_FIELD: Final = 100.0
"""Side in mm that a field of view needs to show both ventricles."""
HUGE: Final = 2**28
"""Voxels whose float32 fill a gigabyte."""


def check_stack(shape: tuple[int, int, int, int], spacing: Spacing, into: Inspection) -> None:
    """Check what the size of an image says.

    Args:
        shape: (T, D, H, W).
        spacing: (z, y, x) in mm.
        into: Takes facts and findings.
    """
    phases, slices, height, width = shape
    _, y, x = spacing
    into.facts |= {"phases": phases, "slices": slices, "matrix": [height, width], "spacing_mm": [round(mm, 4) for mm in spacing]}
    if slices < FEWEST_SLICES:
        into.add(
            "warning",
            f"it has {slices} slice{'s' * (slices > 1)}, so the ventricles are not covered and volumes mean nothing",
            "give the whole stack from base to apex",
        )
    if slices > MOST_SLICES:
        into.add("warning", f"it has {slices} slices, more than a short-axis stack has", "check that phases are not stored as slices")
    if (implausible := implausible_spacing(spacing, slices)) is not None:
        into.add("warning", f"{implausible}, so volumes mean nothing", "correct the spacing in the header")
    else:
        _check_spacing(spacing, slices, into)
    if min(height * y, width * x) < SMALL_FIELD:
        into.add(
            "warning",
            f"it shows {height * y:.0f} × {width * x:.0f} mm, too little for both ventricles",
            "check the spacing, or give the uncropped image",
        )
    voxels = phases * slices * height * width
    if voxels > HUGE:
        into.add("warning", f"it has {voxels / 1e6:.0f} million voxels", "crop it, or have several GB of memory at hand")


def _check_spacing(spacing: Spacing, slices: int, into: Inspection) -> None:
    z, y, x = spacing
    if not PIXELS_MM[0] <= min(x, y) <= max(x, y) <= PIXELS_MM[1]:
        into.add("warning", f"its pixels are {y:.3g} × {x:.3g} mm, unusual for a cine", "check the spacing in the header")
    if slices > 1 and not SLICES_MM[0] <= z <= SLICES_MM[1]:
        into.add("warning", f"its slices are {z:.3g} mm apart, unusual for a short-axis stack", "check the spacing in the header")


def check_cine(phases: int, times: tuple[float, ...] | None, into: Inspection, *, phases_named: bool = False) -> None:
    """Check what the phases say; a single frame is none.

    Args:
        phases: Number of phases.
        times: Of each phase in ms, or None.
        into: Takes facts and findings.
        phases_named: Whether ED and ES are said by somebody.
    """
    if phases == 1:
        return
    into.facts["phase_step_ms"] = None if times is None else round((times[-1] - times[0]) / (phases - 1), 2)
    if not phases_named:
        found = phases >= LEAST_PHASES
        into.facts["ed_es"] = "will be found on the LV volume curve" if found else "not known"
        if not found:
            into.add("warning", f"ED and ES are not known, and {phases} phases are too few to find them", "name them with --ed and --es")
    if LEAST_PHASES <= phases < SMOOTH_CINE:
        into.add("note", f"it has {phases} phases, so ES may fall between two and EF come out low", "export all phases if there are more")
    if times is None:
        into.add(
            "note", "the times of the phases are not known, so heart rate and filling rates are not either", "export them if they are known"
        )
