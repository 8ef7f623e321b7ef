"""Signal of each tissue in a bSSFP cine, relative to LV blood, and the two brushes that paint it.

Fat is negative: at the usual echo time (half the repetition time) it is in opposed phase to water. The magnitude is taken only after the
point spread, so voxels that hold both cancel, which draws the dark lines around organs that a reader of bSSFP images knows ("India ink").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy.ndimage import gaussian_filter

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOOD: Final = 1.0
RV_BLOOD: Final = 0.90
MYOCARDIUM: Final = 0.31
PAPILLARY: Final = 0.36
FAT: Final = -0.88
MUSCLE: Final = 0.21
BONE: Final = 0.13
MARROW: Final = -0.45
LUNG: Final = 0.065
LIVER: Final = 0.27
SPLEEN: Final = 0.36
STOMACH: Final = 0.42
SKIN: Final = 0.25


def coverage(depth: NDArray[Any], width: float) -> NDArray[np.float32]:
    """Share of a voxel that lies inside a shape.

    It is the area under a straight edge crossing a pixel, the box filter that sampling each pixel at many points would converge to.

    Args:
        depth: Signed distance of the voxel centre from the edge in mm, positive inside.
        width: Size of the voxel across the edge in mm.

    Returns:
        float32 of the shape of `depth`, within [0, 1].
    """
    share = depth * np.float32(1 / width)
    share += np.float32(0.5)
    return np.clip(share, 0, 1, out=share)


def paint(image: NDArray[np.float32], share: NDArray[np.float32], signal: float | NDArray[np.float32]) -> None:
    """Cover a share of each voxel of `image`, in place, with a tissue of this signal."""
    image += share * (np.float32(signal) - image)


def texture(rng: np.random.Generator, shape: tuple[int, ...], sigma: tuple[float, ...]) -> NDArray[np.float32]:
    """Smooth random pattern with mean 0 and standard deviation 1.

    Args:
        rng: Source of randomness.
        shape: Shape of the pattern.
        sigma: Smoothness along each axis in voxels.

    Returns:
        float32 of that shape.
    """
    noise = gaussian_filter(rng.standard_normal(shape, np.float32), sigma, mode="wrap", truncate=3.0)
    noise -= noise.mean()
    noise /= max(float(noise.std()), 1e-6)
    return noise
