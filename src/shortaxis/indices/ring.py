"""The myocardial ring of one short-axis slice as two curves around the cavity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import scipy  # its parts load when they are used, which keeps quick what needs none

from shortaxis.labels import Structure

if TYPE_CHECKING:
    from numpy.typing import NDArray

N_RAYS: Final = 240
RAYS: Final = np.arange(N_RAYS) * 2 * np.pi / N_RAYS
"""Angles in radians from +W towards +H at which a ring is traced."""
_STEP: Final = 0.25
"""Step along a ray as a share of the smaller pixel side."""
_SMOOTHING: Final = 1.0
"""Gaussian along a curve in pixels (standard deviation): it takes the stairs of the pixels away, and nothing else."""


@dataclass(frozen=True, eq=False)
class Ring:
    """Endocardium and epicardium around the centroid of the cavity.

    Attributes:
        centre: Centroid of the LV cavity in mm, (y, x) from the centre of voxel (0, 0).
        endocardium: float64 (`N_RAYS`,), its distance from the centre in mm at the angles `RAYS`.
        epicardium: float64 (`N_RAYS`,), the same.
    """

    centre: tuple[float, float]
    endocardium: NDArray[np.float64]
    epicardium: NDArray[np.float64]

    def thickness(self) -> NDArray[np.float64]:
        """Wall thickness in mm at the angles `RAYS`, float64 (`N_RAYS`,): across the wall, as the centreline method measures it.

        The centreline runs half-way between the two curves; the thickness is the length of the chord that stands on it at a right angle
        (Sheehan et al., Circulation 74:293, 1986). Where such a chord misses the cavity, as it may beside a cavity of a few pixels, the
        thickness is taken along the ray.
        """
        middle = _points((self.endocardium + self.epicardium) / 2)
        along = np.roll(middle, -1, axis=0) - np.roll(middle, 1, axis=0)
        outwards = np.stack([-along[:, 1], along[:, 0]], axis=1) / np.linalg.norm(along, axis=1, keepdims=True)
        outwards *= np.sign((outwards * middle).sum(axis=1, keepdims=True))
        chord = _distance_along(outwards, middle, _points(self.epicardium)) + _distance_along(-outwards, middle, _points(self.endocardium))
        thickness: NDArray[np.float64] = np.where(np.isfinite(chord), chord, self.epicardium - self.endocardium)
        return thickness


def is_closed(mask: NDArray[np.uint8]) -> bool:
    """Tell whether the myocardium of a slice (H, W) encloses the LV cavity all around; it does not where the valve plane cuts the slice.

    A ring may hold together by the corners of its pixels. Without a cavity (at the tip of the apex) there is nothing to enclose.
    """
    cavity = mask == Structure.LV
    if not cavity.any():
        return False
    return bool(scipy.ndimage.binary_fill_holes(mask == Structure.MYO)[cavity].all())


def trace_ring(mask: NDArray[np.uint8], spacing: tuple[float, float]) -> Ring:
    """Trace the two curves of a closed ring.

    A curve's distance from the centre is the length of the ray that lies inside the region, with the mask read by linear interpolation.
    So holes and single stray pixels shift it a little and never break it; the region has to be star-shaped around its centre, as
    ventricles are.

    Args:
        mask: uint8 (H, W), values of `shortaxis.labels.Structure`, for which `is_closed` holds.
        spacing: (y, x) in mm.

    Returns:
        The ring.
    """
    cavity = mask == Structure.LV
    millimetres = np.asarray(spacing)
    whole = cavity | (mask == Structure.MYO)
    centre = np.argwhere(cavity).mean(axis=0) * millimetres
    reach = np.linalg.norm(np.argwhere(whole) * millimetres - centre, axis=1).max() + millimetres.max()
    step = _STEP * millimetres.min()
    distance = np.arange(0.5 * step, reach + step, step)
    points = (centre[:, None, None] + _directions()[:, :, None] * distance) / millimetres[:, None, None]

    def radius(region: NDArray[np.bool_]) -> NDArray[np.float64]:
        inside: NDArray[Any] = scipy.ndimage.map_coordinates(region.astype(np.float32), points, order=1)
        lengths = inside.sum(axis=1, dtype=np.float64) * step
        rays_per_mm = N_RAYS / (2 * np.pi * lengths.mean())
        smooth: NDArray[np.float64] = scipy.ndimage.gaussian_filter1d(lengths, _SMOOTHING * millimetres.mean() * rays_per_mm, mode="wrap")
        return smooth

    return Ring((float(centre[0]), float(centre[1])), radius(cavity), radius(whole))


def _directions() -> NDArray[np.float64]:
    return np.stack([np.sin(RAYS), np.cos(RAYS)])


def _points(radius: NDArray[np.float64]) -> NDArray[np.float64]:
    return (_directions() * radius).T


def _distance_along(directions: NDArray[np.float64], origins: NDArray[np.float64], curve: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance from each origin in its direction (both (N, 2)) to the closed polygon `curve` (M, 2); infinite where it is never met."""
    sides = np.roll(curve, -1, axis=0) - curve
    apart = curve[None] - origins[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        slant = _cross(directions[:, None], sides[None])
        far, share = _cross(apart, sides[None]) / slant, _cross(apart, directions[:, None]) / slant
    met = (share >= 0) & (share <= 1) & (far >= 0)
    distance: NDArray[np.float64] = np.where(met, far, np.inf).min(axis=1)
    return distance


def _cross(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    product: NDArray[np.float64] = one[..., 0] * other[..., 1] - one[..., 1] * other[..., 0]
    return product
