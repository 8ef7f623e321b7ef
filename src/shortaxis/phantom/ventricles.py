"""The moving part of the picture: the ventricles with their walls, papillary muscles and trabeculae, down to the valve plane."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from shortaxis.phantom.atria import paint_atria
from shortaxis.phantom.tissue import BLOOD, FAT, MYOCARDIUM, PAPILLARY, RV_BLOOD, coverage, paint, texture

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shortaxis.phantom.geometry import Heart, State
    from shortaxis.phantom.scan import Scan

SAMPLES: Final = 4
"""Samples through the slice thickness."""
RV_WALL: Final = 2.8


class _Papillary(NamedTuple):
    angle: float
    radius: float
    offset: float


class VentriclePainter:
    """Paints the heart over the body, phase by phase.

    Args:
        rng: Source of randomness for everything that stays the same over the phases.
        heart: The shapes.
        scan: The voxel grid.
        body: float32 (D, H, W), signed signal of the body without the heart.
    """

    def __init__(self, rng: np.random.Generator, heart: Heart, scan: Scan, body: NDArray[np.float32]) -> None:
        self._heart, self._body = heart, body
        self._voxel = max(scan.spacing[1], 1.2)
        self._step = scan.thickness / SAMPLES
        self._window = scan.window(*(side + 14 for side in heart.extent()))
        y, x = scan.y[self._window[0]], scan.x[:, self._window[1]]
        self._y, self._x, self._distance = y, x, np.hypot(y, x)
        self._angular = type(heart.angular(y))(*(shape.astype(np.float32) for shape in heart.angular(np.arctan2(y, x))))
        offsets = (np.arange(SAMPLES, dtype=np.float32) - (SAMPLES - 1) / 2) * np.float32(self._step)
        tilt = np.float32(heart.slope[0]) * y + np.float32(heart.slope[1]) * x
        self._z = scan.z[:, None] + offsets[:, None, None] - tilt
        shape = (scan.shape[0], 1, *self._distance.shape)
        millimetres = np.asarray(scan.spacing[1:])
        self._coarse = texture(rng, shape, (0.6, 0, *(7 / millimetres)))
        self._flow = texture(rng, shape, (0.6, 0, *(6 / millimetres)))
        self._fine = texture(rng, shape, (0.6, 0, *(1.7 / millimetres)))
        self._muscle = np.asarray(rng.uniform(0.95, 1.3) * MYOCARDIUM * (1 + 0.07 * self._coarse + 0.05 * self._fine), np.float32)
        theta = np.arctan2(y, x) - np.float32(np.deg2rad(heart.patient.septal_angle))
        # Fat fills the grooves where the right ventricle meets the left, and little else.
        groove = np.exp(6 * (np.cos(theta - 1.3) - 1)) + np.exp(6 * (np.cos(theta + 1.3) - 1))
        self._fat = np.maximum(0.3 + 3.2 * groove + 1.3 * np.cos(2 * theta + rng.uniform(0, 6)) + 0.9 * self._flow, 0)
        self._papillaries = [
            _Papillary(heart.patient.septal_angle + side + rng.normal(0, 8), rng.uniform(4.2, 5.6), rng.uniform(0.62, 0.70))
            for side in (112, -122)
        ]
        self._around = body[(slice(None), None, *self._window)]
        self._atria = paint_atria(rng, heart, self._around, (scan.z[:, None], y, x), self._voxel)

    def paint(self, state: State, time: float) -> NDArray[np.float32]:
        """Paint one phase.

        Args:
            state: The heart at this phase.
            time: Share of the heartbeat that has passed, which turns the flow pattern.

        Returns:
            float32 (D, H, W), signed signal, averaged over the slice thickness.
        """
        heart, distance, z = self._heart, self._distance, self._z
        endocardium, epicardium, right = heart.surfaces(state, self._angular, z)
        below_base = coverage(z - np.float32(state.base), self._step)
        present = coverage(epicardium - 3.0, 6.0)

        image = np.repeat(self._around, SAMPLES, axis=1)
        wall = np.minimum(right - epicardium, RV_WALL) * np.float32(1.0)
        paint(image, coverage(right + wall + self._fat * present - distance, self._voxel), FAT)
        paint(image, coverage(right + wall - distance, self._voxel), MYOCARDIUM * 1.05)
        paint(image, coverage(right - distance, self._voxel), self._right_blood(right, epicardium))
        paint(image, coverage(epicardium - distance, self._voxel), self._muscle)
        paint(image, coverage(endocardium - distance, self._voxel), self._left_blood(endocardium, state, time))
        paint(image, np.float32(1) - below_base, self._atria)
        out = self._body.copy()
        out[(slice(None), *self._window)] = image.mean(axis=1)
        return out

    def _left_blood(self, chamber: NDArray[Any], state: State, time: float) -> NDArray[np.float32]:
        phase = 2 * np.pi * time
        flow = np.float32(np.cos(phase)) * self._coarse + np.float32(np.sin(phase)) * self._flow
        blood = np.broadcast_to(np.float32(BLOOD) * (1 + np.float32(0.07) * flow), chamber.shape).copy()
        # Trabeculae: a ragged rim of muscle on the inside of the cavity, denser towards the apex.
        s = (self._z - np.float32(state.base)) / np.float32(self._heart.cavity_length - state.base)
        rim = np.clip(1 - (chamber - self._distance) / (2.2 + 4.0 * np.clip(s, 0, 1)), 0, 1)
        paint(blood, np.clip(rim * (0.25 + 0.8 * self._fine), 0, 0.8), PAPILLARY)
        share = self._papillary_share(state, s)
        paint(blood, share, PAPILLARY)
        return blood

    def _papillary_share(self, state: State, s: NDArray[Any]) -> NDArray[np.float32]:
        """Two muscles that run along the cavity in its middle third, ride with the wall and thicken in systole."""
        total = np.zeros_like(s)
        length = np.clip(np.minimum(s - 0.28, 0.80 - s) / 0.08, 0, 1)
        for muscle in self._papillaries:
            theta = np.deg2rad(np.array(muscle.angle))
            angular = self._heart.angular(theta)
            inner = self._heart.radius * angular.endocardium * (1 - state.contraction * angular.motion)
            away = muscle.offset * float(inner) * np.sqrt(np.clip(1.05 - s**2, 0.1, 1))
            radius = muscle.radius * (1 + 0.25 * state.contraction)
            gap = np.hypot(self._y - away * np.sin(theta), self._x - away * np.cos(theta))
            total = np.maximum(total, coverage((radius - gap + 0.8 * self._fine).astype(np.float32), self._voxel) * length)
        return total

    def _right_blood(self, right: NDArray[Any], epicardium: NDArray[Any]) -> NDArray[np.float32]:
        blood = np.broadcast_to(np.float32(RV_BLOOD) * (1 + np.float32(0.05) * self._flow), right.shape).copy()
        # The RV is coarsely trabeculated along its free wall.
        rim = np.clip(1 - (right - self._distance) / (0.35 * (right - epicardium) + 1), 0, 1)
        paint(blood, np.clip(rim * (0.5 * self._fine + 0.05), 0, 0.6), MYOCARDIUM)
        return blood
