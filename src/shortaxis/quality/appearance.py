"""What a scan looks like, in a few figures that do not depend on the patient much but on scanner, protocol and operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import ndimage

from shortaxis.labels import Structure

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shortaxis.study import Spacing

APPEARANCE: Final = {
    "pixel": "size of the pixels",
    "slice_distance": "distance of the slices",
    "view": "field of view",
    "blood_brightness": "brightness of the blood",
    "wall_brightness": "brightness of the myocardium",
    "contrast": "contrast of blood and myocardium",
    "blood_texture": "texture of the blood",
    "wall_texture": "texture of the myocardium",
    "dark_share": "share of dark pixels",
    "sharpness": "sharpness of the edges",
    "grain": "noise",
}
"""Names of the figures, and what each is called in a sentence."""

_NEAR_MM: Final = 60.0
_FEWEST: Final = 30


def appearance(image: NDArray[np.floating], labels: NDArray[np.uint8], spacing: Spacing) -> NDArray[np.float64] | None:
    """Describe one frame.

    Args:
        image: (D, H, W), any real dtype.
        labels: uint8 (D, H, W), predicted.
        spacing: (z, y, x) in mm.

    Returns:
        float64, in the order of `APPEARANCE`; None where LV or myocardium are hardly there, so that nothing can be compared.
    """
    blood, wall = labels == Structure.LV, labels == Structure.MYO
    shown = np.flatnonzero(blood.any(axis=(1, 2)))
    if blood.sum() < _FEWEST or wall.sum() < _FEWEST:
        return None
    rows, columns = _around(labels, spacing)
    part = np.asarray(image[shown][:, rows, columns], np.float64)
    blood, wall = blood[shown][:, rows, columns], wall[shown][:, rows, columns]
    low, high = np.percentile(part, (1, 99))
    part = (part - low) / max(high - low, 1e-9)
    high_pass = part - ndimage.gaussian_filter(part, (0, 1, 1))
    gradient = np.hypot(ndimage.sobel(part, axis=1) / spacing[1], ndimage.sobel(part, axis=2) / spacing[2]) / 8
    border = blood & ~ndimage.binary_erosion(blood, ndimage.generate_binary_structure(2, 1)[None])
    inner = blood & ~border
    inside = inner if inner.sum() >= _FEWEST else blood
    contrast = part[inside].mean() - part[wall].mean()
    return np.array(
        [
            np.log(np.sqrt(spacing[1] * spacing[2])),
            np.log(spacing[0]),
            np.log(min(labels.shape[1] * spacing[1], labels.shape[2] * spacing[2])),
            part[inside].mean(),
            part[wall].mean(),
            contrast,
            np.log(part[inside].std() + 1e-3),
            np.log(part[wall].std() + 1e-3),
            (part < 0.15).mean(),
            np.log(np.percentile(gradient[border], 75) / max(abs(contrast), 0.05) + 1e-3),
            np.log(np.median(np.abs(high_pass)) / 0.6745 + 1e-3),
        ]
    )


def _around(labels: NDArray[np.uint8], spacing: Spacing) -> tuple[slice, slice]:
    """Rows and columns within `_NEAR_MM` of the heart's middle."""
    cut = []
    for axis in (0, 1):
        shown = np.flatnonzero((labels > 0).any(axis=(0, 2 - axis)))
        middle, reach = (shown[0] + shown[-1]) / 2, _NEAR_MM / spacing[axis + 1]
        cut.append(slice(max(0, round(middle - reach)), round(middle + reach) + 1))
    return cut[0], cut[1]
