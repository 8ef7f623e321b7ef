"""Flags on the orientation: the header says that the heart lies as no heart does, or does not say how it lies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from shortaxis.indices.aha import has_orientation, stack_by_masks
from shortaxis.io.nifti_header import NiftiSource
from shortaxis.labels import Structure
from shortaxis.quality.flags.flag import QualityFlag

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shortaxis.quality.flags.flag import Examined

RIGHT_VENTRICLE: Final = np.array([0.77, 0.64, 0.0])
"""Usual direction from the LV to the RV in RAS+: to the right and front."""
WIDEST_DEGREES: Final = 110.0
"""Angle to it from which on no RV lies there, unless the heart is on the right side."""
LEAST_MM: Final = 5.0
"""Distance between the centres of LV and RV below which there is no direction."""
_APEXWARD: Final = np.array([-0.65, 0.60, -0.45])


def picture_turned(seen: Examined) -> QualityFlag | None:
    """The picture was turned, since its header does not say how it lies or contradicts it."""
    source = seen.study.source
    if not isinstance(source, NiftiSource) or source.orientation_note is None:
        return None
    return QualityFlag(
        "orientation_found_in_picture",
        "warning",
        source.orientation_note,
        "look at the outlines; convert the image again with its orientation",
    )


def right_ventricle_on_the_left(seen: Examined) -> QualityFlag | None:
    """By the header the RV lies to the left of the LV, or behind it."""
    if not has_orientation(seen.study.affine):
        return None
    direction = _towards_rv(seen)
    if direction is None:
        return None
    angle = float(np.degrees(np.arccos(np.clip(direction @ RIGHT_VENTRICLE / np.linalg.norm(RIGHT_VENTRICLE), -1, 1))))
    if angle <= WIDEST_DEGREES:
        return None
    return QualityFlag(
        "orientation_contradicted",
        "warning",
        f"by the header the RV lies {angle:.0f}° off its place to the right and front of the LV, so the header contradicts the picture",
        "convert the image again; if the heart is on the right side, this is how it has to be",
        angle,
        WIDEST_DEGREES,
        "°",
    )


def apex_at_the_base(seen: Examined) -> QualityFlag | None:
    """By the header the stack runs from base to apex, but the ventricles grow along it, or the other way round."""
    affine = seen.study.affine
    by_masks = stack_by_masks(seen.frames[0].labels)
    if by_masks is None or not has_orientation(affine) or by_masks == (float(affine[:3, 0] @ _APEXWARD) > 0):
        return None
    return QualityFlag(
        "stack_turned_round",
        "warning",
        f"by the header the {'first' if by_masks else 'last'} slice is the apex, but both ventricles are largest there; "
        "the base is taken to be where they are larger",
        "convert the image again, and check its orientation",
    )


def _towards_rv(seen: Examined) -> NDArray[np.float64] | None:
    """Unit vector in RAS+ from the centre of the LV to that of the RV in the slices that show both, float64 (3,); None where none does."""
    labels = seen.frames[0].labels
    left, right = labels >= Structure.MYO, labels == Structure.RV
    both = left.any(axis=(1, 2)) & right.any(axis=(1, 2))
    if not both.any():
        return None
    shift = np.argwhere(right[both])[:, 1:].mean(axis=0) - np.argwhere(left[both])[:, 1:].mean(axis=0)
    vector = seen.study.affine[:3, 1:3] @ shift
    length = float(np.linalg.norm(vector))
    return None if length < LEAST_MM else np.asarray(vector / length, np.float64)
