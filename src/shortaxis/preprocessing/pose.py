"""How the heart lies in a short-axis picture: its centre, the direction from LV to RV, and whether the picture is mirrored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shortaxis.labels import Structure

if TYPE_CHECKING:
    from numpy.typing import NDArray

APEX_RAS: Final = np.array([-0.65, 0.60, -0.45]) / np.linalg.norm([0.65, 0.60, 0.45])
"""Where the apex of most hearts points to: left, front, feet."""
_FARTHEST_DEG: Final = 75.0
_ALONG_THE_WORLD: Final = 0.9999
_NO_LENGTH: Final = 1e-12
STANDARD_DEG: Final = 195.0
"""Direction from LV to RV on an aligned grid: the mean of ACDC, left and a little down."""


@dataclass(frozen=True)
class HeartPose:
    """Where the heart lies in the slices of a study and how it is turned.

    Attributes:
        centre_mm: Centre of the heart (ventricles and myocardium) relative to the centre of the picture, in mm: (down, right).
        direction_deg: Direction from the LV's centre to the RV's, in degrees counter-clockwise from the picture's right.
        mirrored: Whether the picture shows the heart mirrored: with the RV on the left, the anterior wall lies below.
        certainty: How sure the pose is, in [0, 1]; 1 for a pose taken from annotations.
    """

    centre_mm: tuple[float, float]
    direction_deg: float
    mirrored: bool = False
    certainty: float = 1.0

    def to_image(self) -> NDArray[np.float64]:
        """Matrix (2, 2) that turns offsets (down, right) on the aligned grid into offsets (down, right) in the picture."""
        standard = -STANDARD_DEG if self.mirrored else STANDARD_DEG
        turn = np.deg2rad(self.direction_deg - standard)
        # Counter-clockwise for an eye that sees rows run down.
        rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        return rotation @ np.diag([-1.0 if self.mirrored else 1.0, 1.0])


def pose_of_masses(rv: NDArray[Any], left: NDArray[Any], spacing: tuple[float, float], *, mirrored: bool = False) -> HeartPose | None:
    """Find the pose from how much of each structure each pixel holds.

    Args:
        rv: Any real dtype (D, H, W), not negative: the RV, as a mask or as probabilities.
        left: The same of the LV with its wall.
        spacing: In-plane spacing in mm, (y, x).
        mirrored: Whether the picture is mirrored, which the masses do not show.

    Returns:
        The pose with certainty 1, or None where one of the two is missing.
    """
    planes = [np.asarray(mass, np.float64).sum(axis=0) for mass in (rv, left)]
    totals = np.array([plane.sum() for plane in planes])
    if (totals <= 0).any():
        return None
    height, width = planes[0].shape
    rows, columns = ((np.arange(n) - (n - 1) / 2) * mm for n, mm in ((height, spacing[0]), (width, spacing[1])))
    moments = np.array([[plane.sum(axis=1) @ rows, plane.sum(axis=0) @ columns] for plane in planes])
    down, right = moments[0] / totals[0] - moments[1] / totals[1]
    centre = moments.sum(axis=0) / totals.sum()
    return HeartPose((float(centre[0]), float(centre[1])), float(np.rad2deg(np.arctan2(-down, right)) % 360), mirrored)


def pose_of_labels(labels: NDArray[np.uint8], spacing: tuple[float, float], *, mirrored: bool = False) -> HeartPose | None:
    """Find the pose of an annotated frame (D, H, W); None where RV or LV are missing."""
    left = (labels == Structure.LV) | (labels == Structure.MYO)
    return pose_of_masses(labels == Structure.RV, left, spacing, mirrored=mirrored)


def shows_mirrored(affine: NDArray[np.float64]) -> bool:
    """Whether the slices are stored as the mirror image of what an eye at the apex sees, by where they lie in the patient.

    Args:
        affine: (4, 4); maps the index (d, h, w, 1) to world coordinates in mm (RAS+).

    Returns:
        False also where the affine does not say: where its axes are those of the world, which no short-axis stack has, or where the normal
        of the slices lies more than 75 degrees off the usual heart axis.
    """
    down, right = (_unit(affine[:3, axis]) for axis in (1, 2))
    if min(np.abs(down).max(), np.abs(right).max()) > _ALONG_THE_WORLD:
        return False
    return bool(_unit(np.cross(right, down)) @ APEX_RAS > np.cos(np.deg2rad(_FARTHEST_DEG)))


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), _NO_LENGTH))
