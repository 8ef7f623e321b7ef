"""Distances between the surfaces of two masks in mm: HD95 and ASSD.

The surface of a mask is the set of its voxels that have a face neighbour outside the mask, or that lie at the border of the image;
distances run between voxel centres. In a frame of one slice only neighbours within the slice count, for otherwise every voxel would be
surface.

A distance to a structure that is not there does not exist: when either mask is empty the distances are NaN. A caller that averages them
has to count these cases and say how many they were; `shortaxis.metrics.protocols` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy  # its parts load when they are used, which keeps quick what needs none

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shortaxis.study import Spacing


@dataclass(frozen=True)
class SurfaceDistance:
    """Distances between two surfaces in mm; NaN when either structure is empty.

    Attributes:
        hd95: The larger of the two directed 95th percentiles (the reading of MONAI; linear interpolation between order statistics).
        assd: Average symmetric surface distance: the mean over the surface voxels of both masks (Heimann et al., TMI 28(8), 2009).
    """

    hd95: float
    assd: float


def surface_distance(truth: NDArray[Any], prediction: NDArray[Any], spacing: Spacing) -> SurfaceDistance:
    """HD95 and ASSD of two masks; symmetric in the two.

    Args:
        truth: Mask (D, H, W).
        prediction: Mask (D, H, W).
        spacing: (z, y, x) in mm.

    Returns:
        Both distances in mm, or NaN for both when either mask is empty.

    Raises:
        ValueError: The shapes differ or are not (D, H, W).
    """
    there, back = directed_distances(truth, prediction, spacing)
    if not there.size:
        return SurfaceDistance(np.nan, np.nan)
    hd95 = max(np.percentile(there, 95), np.percentile(back, 95))
    return SurfaceDistance(float(hd95), float(np.concatenate([there, back]).mean()))


def directed_distances(truth: NDArray[Any], prediction: NDArray[Any], spacing: Spacing) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distance of each surface voxel of one mask to the nearest surface voxel of the other.

    Args:
        truth: Mask (D, H, W).
        prediction: Mask (D, H, W).
        spacing: (z, y, x) in mm.

    Returns:
        From truth to prediction and from prediction to truth, in mm, one float64 entry a surface voxel; both empty when a mask is.

    Raises:
        ValueError: The shapes differ or are not (D, H, W).
    """
    a, b = np.asarray(truth, bool), np.asarray(prediction, bool)
    if a.shape != b.shape or a.ndim != 3:
        msg = f"truth has shape {a.shape}, prediction {b.shape}; both must be one (D, H, W)"
        raise ValueError(msg)
    if not a.any() or not b.any():
        return np.empty(0), np.empty(0)
    in_plane = len(a) == 1
    # Both surfaces lie in the common bounding box, so nothing outside it can be nearest; it is a tenth of the frame or less.
    (box,) = scipy.ndimage.find_objects((a | b).astype(np.uint8))
    surface_a, surface_b = _surface(a[box], in_plane=in_plane), _surface(b[box], in_plane=in_plane)
    to_a = scipy.ndimage.distance_transform_edt(~surface_a, sampling=spacing)
    to_b = scipy.ndimage.distance_transform_edt(~surface_b, sampling=spacing)
    return to_b[surface_a], to_a[surface_b]


def _surface(mask: NDArray[np.bool_], *, in_plane: bool) -> NDArray[np.bool_]:
    neighbours = scipy.ndimage.generate_binary_structure(3, 1)
    if in_plane:
        neighbours[[0, 2]] = False
    return mask & ~scipy.ndimage.binary_erosion(mask, neighbours)
