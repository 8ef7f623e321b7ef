"""Whether two NIfTI files whose voxels are paired by their place in the file lie at the same place in the patient."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shortaxis.io.nifti import outline_nifti
from shortaxis.io.nifti_header import NiftiSource

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from shortaxis.study import Study

SAME_LENGTH: Final = 0.01
"""Relative difference of two spacings from which on they are two."""
SAME_DIRECTION_DEG: Final = 0.5
"""Angle between two axes from which on they are two."""
SAME_PLACE: Final = 0.1
"""Distance of two centres, as a share of the smallest spacing, from which on they are two; affines rounded to four digits stay below."""


def grid_difference(path: Path | str, study: Study) -> str | None:
    """Say how the grid of a file differs from that of a study whose array has the same shape.

    Spacings are compared by the rule of `shortaxis.io.nifti`. Directions and origins are compared where both headers have a coded affine
    and either both or neither carry an orientation: a label file that lost its affine lies nowhere else.

    Args:
        path: A NIfTI file of labels.
        study: A study that was read from another.

    Returns:
        What differs and by how much, such as `lies 40.0 mm away`; None where nothing does, or the study came from no NIfTI file.

    Raises:
        InputError: The header cannot be read.
    """
    theirs = study.source
    if not isinstance(theirs, NiftiSource):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # whoever reads the labels has said what is odd about the header
        outline = outline_nifti(path, labels=True)
    ours = outline.source
    (d, h, w), (z, y, x) = ours.layout.axes, outline.spacing
    spacing = np.empty(3)
    spacing[[d, h, w]] = z, y, x
    spacing = spacing[list(theirs.layout.axes)]
    if not np.allclose(spacing, study.spacing, rtol=SAME_LENGTH, atol=0.0):
        return f"its pixels are {_mm(spacing)} mm (z, y, x), not {_mm(np.array(study.spacing))} mm"
    if (ours.directions is None) != (theirs.directions is None) or not (_is_coded(ours.header) and _is_coded(theirs.header)):
        return None
    mine, other = (np.asarray(source.header.get_best_affine(), np.float64) for source in (ours, theirs))
    return _place_difference(mine, other, ours.shape, float(spacing.min()))


def _place_difference(mine: NDArray[np.float64], other: NDArray[np.float64], shape: tuple[int, ...], smallest: float) -> str | None:
    here, there = (np.linalg.norm(affine[:3, :3], axis=0) for affine in (mine, other))
    cosines = (mine[:3, :3] * other[:3, :3]).sum(axis=0) / (here * there)
    angle = float(np.degrees(np.arccos(np.clip(cosines, -1, 1))).max())
    if angle > SAME_DIRECTION_DEG:
        return f"its axes are turned by {angle:.1f}°"
    if not np.allclose(here, there, rtol=SAME_LENGTH, atol=0.0):
        return None  # one of the two says no lengths, and so no place either
    centre = np.array([*((n - 1) / 2 for n in shape[:3]), 1.0])
    distance = float(np.linalg.norm((mine - other)[:3] @ centre))
    return f"it lies {distance:.1f} mm away" if distance > SAME_PLACE * smallest else None


def _is_coded(header: Any) -> bool:
    return bool(header["sform_code"] > 0 or header["qform_code"] > 0)


def _mm(lengths: NDArray[np.float64]) -> str:
    return " × ".join(f"{length:.4g}" for length in lengths)
