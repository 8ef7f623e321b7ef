"""What a slice beyond the valve plane shows instead of the ventricles: atria, aortic root and outflow tract, packed in fat.

A reader tells such a slice from a ventricular one by the missing ring of muscle, so nothing here looks like one. The picture does not move
with the heartbeat; the valve plane that uncovers it does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from shortaxis.phantom.tissue import BLOOD, FAT, MYOCARDIUM, RV_BLOOD, coverage, paint

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shortaxis.phantom.geometry import Heart

WALL: Final = 1.4
"""Thickness of the walls of atria and vessels in mm."""
HEIGHT: Final = 60.0
"""How far the atria reach above the valve plane in mm."""


class _Chamber(NamedTuple):
    """An ellipse; `across` points from the LV axis to the RV, `along` lies at a right angle to it, downwards. Lengths in mm."""

    across: float
    along: float
    radius_across: float
    radius_along: float
    signal: float


def paint_atria(
    rng: np.random.Generator,
    heart: Heart,
    body: NDArray[np.float32],
    where: tuple[NDArray[Any], NDArray[Any], NDArray[Any]],
    voxel: float,
) -> NDArray[np.float32]:
    """Paint the great chambers over the body, as every slice would show them if it lay beyond the valve plane.

    Args:
        rng: Source of randomness.
        heart: Gives the sizes and the outline.
        body: float32, signed signal of the body; stays as it is.
        where: Position (z, y, x) of the voxels relative to the LV axis in mm, each broadcasting to the shape of `body`.
        voxel: Size of a voxel in mm.

    Returns:
        float32 of the shape of `body`.
    """
    z, y, x = where
    patient = heart.patient
    diastole = heart.state(0.0)
    angle = np.deg2rad(patient.septal_angle)
    across = x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle))
    along = x * np.float32(np.sin(angle)) - y * np.float32(np.cos(angle))
    taper = np.sqrt(np.clip(1 - (np.minimum(z, 0) / HEIGHT) ** 2, 0, 1)).astype(np.float32)
    outline = heart.surfaces(diastole, heart.angular(np.arctan2(y, x)), np.zeros((1, 1)))
    distance = np.hypot(y, x)

    image = body.copy()
    paint(image, coverage((outline.right + 1.5) * taper - distance, voxel), FAT)
    paint(image, coverage((0.82 * outline.epicardium - 3) * taper - distance, voxel), MYOCARDIUM)  # the fibrous skeleton of the heart
    left, right = heart.radius + patient.wall, diastole.rv_depth
    wobble = rng.uniform(0.9, 1.1, 6)
    chambers = (
        _Chamber(-0.22 * left, 0.26 * left * wobble[0], 0.66 * left, 0.60 * left * wobble[1], 0.95 * BLOOD),
        _Chamber(left + 0.28 * right, 0.36 * left * wobble[2], 0.50 * right, 0.60 * left * wobble[3], RV_BLOOD),
        _Chamber(left * 0.95, -0.62 * left, 0.45 * right * wobble[4], 0.38 * left, 0.95 * RV_BLOOD),
        _Chamber(0.42 * left, -0.36 * left, 13.5 * wobble[5], 13.5 * wobble[5], BLOOD),
    )
    for chamber in chambers:
        norm = np.hypot((across - chamber.across) / chamber.radius_across, (along - chamber.along) / chamber.radius_along)
        depth = (taper - norm) * np.float32(min(chamber.radius_across, chamber.radius_along))
        paint(image, coverage(depth + WALL, voxel), MYOCARDIUM)
        paint(image, coverage(depth, voxel), chamber.signal)
    return image
