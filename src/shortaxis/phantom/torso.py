"""Everything around the heart that stands still: chest wall, lungs, diaphragm, liver, stomach, spleen, vessels, spine.

The picture is that of an oblique sagittal plane seen from the apex: the front of the chest to the left, the back to the right, the head
up. Lengths are mm from the LV axis; `level` runs from 0 at the base to 1 at the apex, where the chest wall and the liver have come closer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from shortaxis.phantom.tissue import (
    BLOOD,
    BONE,
    FAT,
    LIVER,
    LUNG,
    MARROW,
    MUSCLE,
    SKIN,
    SPLEEN,
    STOMACH,
    coverage,
    paint,
    texture,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shortaxis.phantom.geometry import Heart
    from shortaxis.phantom.scan import Scan


@dataclass(frozen=True)
class Blob:
    """An ellipsoid of one tissue.

    Attributes:
        centre: (level, y, x).
        radii: Half-axes in (level, mm, mm) before turning.
        signal: What it is filled with.
        angle: Turn in the image plane, radians.
        drift: Movement (y, x) of the centre in mm per level, for vessels that run through the slices.
    """

    centre: tuple[float, float, float]
    radii: tuple[float, float, float]
    signal: float
    angle: float = 0.0
    drift: tuple[float, float] = (0.0, 0.0)


def paint_torso(rng: np.random.Generator, heart: Heart, scan: Scan) -> NDArray[np.float32]:
    """Paint the body without the heart.

    Args:
        rng: Source of randomness.
        heart: Room is left for it.
        scan: The voxel grid.

    Returns:
        float32 (D, H, W), signed signal as in `tissue`; 0 in air.
    """
    return _Painter(rng, heart, scan).body()


class _Painter:
    def __init__(self, rng: np.random.Generator, heart: Heart, scan: Scan) -> None:
        self.rng, self.heart, self.scan = rng, heart, scan
        self.voxel = max(scan.spacing[1], 1.2)
        self.level = scan.z / np.float32(heart.length)
        self.up, self.down, self.left, self.right = heart.extent()
        shape = scan.shape[1:]
        sigma = tuple(18 / mm for mm in scan.spacing[1:])
        # Organs are not drawn with a ruler: the plane is warped before the shapes are evaluated.
        self.y = scan.y + 3.5 * texture(rng, shape, sigma)
        self.x = scan.x + 3.5 * texture(rng, shape, sigma)
        self.image = np.zeros(scan.shape, np.float32)

    def body(self) -> NDArray[np.float32]:
        rng, y, x, level = self.rng, self.y, self.x, self.level
        outward = np.clip(level, 0, 1.25)
        coarse = texture(rng, self.scan.shape[1:], tuple(9 / mm for mm in self.scan.spacing[1:]))
        front_fat, back_fat = rng.uniform(7, 18), rng.uniform(6, 16)
        muscle = rng.uniform(9, 14)
        # The chest wall touches the right ventricle and comes in towards the apex, as does the diaphragm under the heart.
        front = (self.left + rng.uniform(3, 6)) * (1 - 0.6 * outward**2.5)
        inner_front = -front + 0.0030 * np.maximum(-y - 20, 0) ** 2 + 0.0010 * np.maximum(y, 0) ** 2
        inner_back = self.right + rng.uniform(48, 64) - 10 * outward - np.where(y < 0, 0.0028, 0.0014) * y**2
        dome = (self.down + rng.uniform(1, 4)) * (1 - 0.35 * outward**2) + 0.0034 * x**2 - np.float32(0.06) * x + 1.5 * coarse
        depth = np.minimum(x - inner_front, inner_back - x)
        fat = np.where(x < 0, front_fat * (1 + 0.6 * outward) + 0.0012 * np.maximum(y, 0) ** 2, back_fat)
        fine = texture(rng, self.scan.shape[1:], tuple(3 / mm for mm in self.scan.spacing[1:]))
        self.image[...] = LUNG * (1 + 0.15 * fine) + 0.05 * np.exp(-((self.beyond_heart() / 40) ** 2))
        self.lung_vessels()
        lung, self.image = self.image, np.zeros_like(self.image)
        self.fill(depth + muscle + fat, SKIN)
        self.fill(depth + muscle + fat - 2.0, FAT * (1 + 0.05 * fine) * (1 - 0.35 * np.clip(fine - 1.6, 0, 1)))
        self.fill(depth + muscle, MUSCLE * (1 + 0.14 * fine))
        self.chest_wall(depth, muscle)
        self.fill(depth, lung)
        self.fat_pads(depth, dome - y, coarse)
        self.abdomen(np.minimum(depth, y - dome), fine)
        self.great_vessels()
        return self.image

    def beyond_heart(self) -> NDArray[Any]:
        """Distance of each voxel from the ventricles at end diastole in mm, (D, H, W), negative inside."""
        y, x = self.scan.y, self.scan.x
        surface = self.heart.surfaces(self.heart.state(0.0), self.heart.angular(np.arctan2(y, x)), self.scan.z)
        return np.asarray(np.hypot(y, x) - surface.right, np.float32)

    def fat_pads(self, chest: NDArray[Any], lung: NDArray[Any], coarse: NDArray[np.float32]) -> None:
        """Fat fills the corners between heart, chest wall and diaphragm."""
        gap = self.beyond_heart()
        along_chest = self.rng.uniform(12, 20) * (0.6 + 0.5 * np.clip(self.level, 0, 1)) - gap - np.maximum(chest, 0)
        along_diaphragm = self.rng.uniform(9, 16) - gap - np.maximum(lung, 0)
        depth = np.minimum(np.maximum(np.where(self.x < 0, along_chest, -9), along_diaphragm) + 1.5 * coarse, chest)
        self.fill(depth, FAT * (0.85 + 0.05 * coarse))

    def chest_wall(self, depth: NDArray[Any], muscle: float) -> None:
        """Ribs in cross-section, with fat between the muscles."""
        phase = self.rng.uniform(0, 2 * np.pi)
        along = (2 * np.pi * (self.y + 0.15 * self.x) / 27 + phase + 1.5 * self.level) / 2
        distance = np.hypot(np.arcsin(np.sin(along)) * 27 / np.pi / 1.6, depth + 0.5 * muscle)
        self.fill(1.2 - np.abs(depth + 0.95 * muscle - 1.5 * np.sin(along)), 0.7 * FAT)
        self.fill(0.42 * muscle - distance, BONE)
        self.fill(0.24 * muscle - distance, MARROW)

    def lung_vessels(self) -> None:
        """Bright dots and short branches, thick near the hilum behind the base and thin towards the edge of the lung."""
        for _ in range(90):
            away = self.rng.exponential(0.6)
            angle = self.rng.uniform(-2.3, 0.5)
            distance = self.right + 12 + 40 * away
            radius = self.rng.uniform(1.4, 3.4) / (1 + 0.5 * away)
            level = self.rng.uniform(-0.1, 1.1)
            stretch = self.rng.uniform(1.0, 2.2)
            where = (level, distance * np.sin(angle), distance * np.cos(angle))
            self.blob(Blob(where, (0.13, radius, radius * stretch), self.rng.uniform(0.35, 0.95) / (1 + level), angle))

    def abdomen(self, depth: NDArray[Any], fine: NDArray[np.float32]) -> None:
        """Under the diaphragm: fat with the organs in it, nothing of which reaches above."""
        rng, down = self.rng, self.down
        thorax, self.image = self.image, np.empty_like(self.image)
        self.image[...] = FAT * np.float32(0.8) * (1 + 0.08 * fine)

        for _ in range(26):
            where = (rng.uniform(-0.1, 1.1), down + rng.uniform(14, 115), rng.uniform(-30, 95))
            self.blob(Blob(where, (0.35, rng.uniform(6, 14), rng.uniform(9, 22)), rng.uniform(0.16, 0.5), rng.uniform(0, 3)))
        self.blob(Blob((0.3, down + 95, 62 + self.jitter(4)), (1.5, 28, 17), 0.30, 0.2))  # vertebral bodies
        self.blob(Blob((0.3, down + 95, 92 + self.jitter(4)), (1.5, 30, 7), 0.85, 0.2))  # spinal canal
        self.blob(Blob((0.4, down + 78 + self.jitter(6), 22), (0.5, 21, 13), SPLEEN, 0.5))  # kidney
        self.blob(Blob((0.5, down + 44 + self.jitter(5), 70), (0.8, 34, 19), SPLEEN * (1 + self.jitter(0.1)), -0.5))  # spleen
        self.blob(Blob((0.7, down + 26 + self.jitter(4), 30), (0.7, 15, 25), STOMACH * (1 + self.jitter(0.15)), -0.2))
        self.blob(Blob((0.7, down + 26, 30), (0.5, 10, 20), rng.uniform(0.15, 0.7), -0.2))
        self.blob(Blob((0.2, down + 58, -46 + self.jitter(6)), (1.6, 66, 58), LIVER, 0.15))
        for _ in range(26):
            where = (rng.uniform(-0.2, 1.2), down + rng.uniform(22, 105), rng.uniform(-85, -8))
            self.blob(Blob(where, (0.16, rng.uniform(1.2, 2.4), rng.uniform(2, 8)), rng.uniform(0.4, 0.62), rng.uniform(0, 3)))
        self.blob(Blob((-0.1, down + 46, -4), (0.6, 11, 8), 0.8 * BLOOD, 0.3, (10, -6)))  # inferior vena cava
        self.blob(Blob((0.2, down + 48 + self.jitter(5), 47 + self.jitter(4)), (2.5, 12, 9.5), BLOOD, 0.5, (18, 3)))  # descending aorta
        below, self.image = self.image * (1 + np.float32(0.05) * fine), thorax
        self.fill(depth + 2.5, MUSCLE)
        self.fill(depth, below)

    def great_vessels(self) -> None:
        """Vessels that come and go behind and above the base."""
        self.blob(Blob((-0.25, self.down - 2, self.right + 16), (0.75, 11, 11), BLOOD, 0.0, (22, 4)))  # aorta behind the left atrium
        self.blob(Blob((-0.2, -self.up + 2, 2), (0.28, 14, 17), 0.9 * BLOOD))  # pulmonary trunk
        self.blob(Blob((-0.3, -12, self.right + 16), (0.25, 6, 16), 0.85 * BLOOD, -0.4))  # pulmonary vein

    def jitter(self, size: float) -> float:
        return float(self.rng.normal(0, size))

    def fill(self, depth: NDArray[Any], signal: float | NDArray[Any]) -> None:
        paint(self.image, coverage(np.asarray(depth, np.float32), self.voxel), signal)

    def blob(self, blob: Blob) -> None:
        """Paint an ellipsoid, touching only the slices and the window it can reach."""
        scan = self.scan
        level, centre_y, centre_x = blob.centre
        reach = max(blob.radii[1:]) + 12
        offset = self.level[:, 0, 0] - level
        slices = np.flatnonzero(np.abs(offset) < blob.radii[0])
        if not len(slices):
            return
        drift = np.abs(offset[slices]).max() * np.abs(blob.drift)
        rows = np.flatnonzero(np.abs(scan.y[:, 0] - centre_y) < reach + drift[0])
        columns = np.flatnonzero(np.abs(scan.x[0] - centre_x) < reach + drift[1])
        if not (len(rows) and len(columns)):
            return
        window = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        along = offset[slices][:, None, None]
        dy = self.y[window] - centre_y - blob.drift[0] * along
        dx = self.x[window] - centre_x - blob.drift[1] * along
        cosine, sine = np.float32(np.cos(blob.angle)), np.float32(np.sin(blob.angle))
        norm = np.hypot((dy * cosine - dx * sine) / blob.radii[1], (dx * cosine + dy * sine) / blob.radii[2])
        depth = (np.sqrt(1 - (along / blob.radii[0]) ** 2) - norm) * min(blob.radii[1:])
        part = self.image[(slice(slices[0], slices[-1] + 1), *window)]
        paint(part, coverage(depth.astype(np.float32), self.voxel), blob.signal)
