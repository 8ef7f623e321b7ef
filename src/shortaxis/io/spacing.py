"""Lengths: which of two that disagree holds, in which unit they are, how far apart slices are, and whether a short-axis cine can have them.

* **Slice distance.** Slices may be shifted sideways against each other, so that the affine is sheared. What counts for a volume is the
  distance along the normal of the slices: |det| of the affine divided by the area of a pixel.
* **Unit.** Millimetre, metre and micrometre differ so much that a spacing is plausible in one of them only. Where the unit that a header
  names makes it implausible and one other does not, that one holds, with a remark.
* **Plausibility.** Pixels of 0.3 to 5 mm and, where there are several slices, 2 to 25 mm from one to the next. Volumes are not measured
  with any other spacing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from shortaxis.study import Spacing

PIXELS_MM: Final = (0.3, 5.0)
"""mm between which the pixels of a cine lie: those of trained-on studies have 0.7 to 2 mm."""
SLICES_MM: Final = (2.0, 25.0)
"""mm between which slice distances lie: those of trained-on studies have 5 to 10 mm."""
AGREEMENT: Final = 1e-3
"""Relative difference of two lengths that is still rounding."""
MM_PER_UNIT: Final = {"mm": 1.0, "meter": 1000.0, "micron": 1e-3}
"""The units of length that NIfTI knows."""

_UNFILLED: Final = 1.0
"""The length that stands where nobody filled one in."""


def implausible_spacing(spacing: Spacing, n_slices: int) -> str | None:
    """Say why a spacing cannot be that of a short-axis cine; None where it can.

    Args:
        spacing: (z, y, x) in mm.
        n_slices: Number of slices; of one slice z does not matter.
    """
    z, y, x = spacing
    if n_slices > 1 and np.allclose(spacing, _UNFILLED, rtol=AGREEMENT, atol=0.0):
        return "its spacing is 1 × 1 × 1 mm, as where nobody filled it in"
    if not PIXELS_MM[0] <= min(x, y) <= max(x, y) <= PIXELS_MM[1]:
        return f"its pixels are {y:.3g} × {x:.3g} mm, where a cine has {PIXELS_MM[0]:g} to {PIXELS_MM[1]:g} mm"
    if n_slices > 1 and not SLICES_MM[0] <= z <= SLICES_MM[1]:
        return f"its slices are {z:.3g} mm apart, where a short-axis stack has {SLICES_MM[0]:g} to {SLICES_MM[1]:g} mm"
    return None


def agreed_lengths(
    pixdim: NDArray[np.float64],
    lengths: NDArray[np.float64],
    along_normal: NDArray[np.float64],
    plausible: Callable[[NDArray[np.float64]], bool],
) -> tuple[NDArray[np.float64], str | None]:
    """Decide between the two lengths that a NIfTI header gives of each axis.

    Args:
        pixdim: float64 (3,), those of `pixdim`.
        lengths: float64 (3,), those of the columns of the affine.
        along_normal: float64 (3,), likewise, but of the slice axis the distance along the normal, which some programs write to `pixdim`.
        plausible: Whether lengths may be those of a short-axis cine.

    Returns:
        The lengths that hold, and a remark where the two disagree.
    """
    differ = ~np.isclose(pixdim, lengths, rtol=AGREEMENT, atol=0.0)
    if not differ.any() or np.allclose(lengths, _UNFILLED, rtol=AGREEMENT):
        return pixdim, None
    if np.allclose(pixdim, along_normal, rtol=AGREEMENT, atol=0.0):
        return lengths, None
    unfilled = np.allclose(pixdim[differ], _UNFILLED, rtol=AGREEMENT) or (plausible(lengths) and not plausible(pixdim))
    taken, held = ("the affine", lengths) if unfilled else ("pixdim", pixdim)
    remark = f"pixdim says {np.round(pixdim, 4).tolist()} mm, the affine {np.round(lengths, 4).tolist()} mm; taking {taken}"
    return held, remark


def settle_unit(lengths: NDArray[np.float64], unit: str, plausible: Callable[[NDArray[np.float64]], bool]) -> tuple[float, str | None]:
    """Decide on the unit of lengths.

    Args:
        lengths: float64 (3,), as they stand in the file.
        unit: A key of `MM_PER_UNIT`; any other word is an unknown unit, which is mm where it can be.
        plausible: Whether lengths in mm may be those of a short-axis cine.

    Returns:
        Millimetres in a unit, and a remark where it is not the one that the file names.
    """
    declared = MM_PER_UNIT.get(unit, 1.0)
    if plausible(lengths * declared):
        return declared, None
    others = [name for name, factor in MM_PER_UNIT.items() if factor != declared and plausible(lengths * factor)]
    if len(others) != 1:
        return declared, None
    named = f"its unit of length is {unit}" if unit in MM_PER_UNIT else "it names no unit of length"
    shown = [float(f"{length:.4g}") for length in lengths]
    return MM_PER_UNIT[others[0]], f"{named}, but a spacing of {shown} can only be in {others[0]}, which is taken"


def factors_along_normal(directions: NDArray[np.float64], through: int) -> NDArray[np.float64]:
    """What the lengths of a file's axes are to be multiplied by, so that their product is the volume of a voxel.

    Args:
        directions: float64 (3, 3), each column the unit vector of a file axis.
        through: The axis from slice to slice.

    Returns:
        float64 (3,): for the slice axis the cosine of its angle to the normal of the slices, for the second axis in the plane the sine of
        its angle to the first; exactly 1 where it would be 1 but for rounding.
    """
    first, second = (axis for axis in range(3) if axis != through)
    area = float(np.linalg.norm(np.cross(directions[:, first], directions[:, second])))
    factors = np.ones(3)
    factors[through] = abs(float(np.linalg.det(directions))) / area
    factors[second] = area
    factors[factors > 1 - AGREEMENT] = 1.0
    return factors
