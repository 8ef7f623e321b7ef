"""Phantom masks without pictures, on grids that a test chooses."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from shortaxis.phantom.geometry import Heart, State
from shortaxis.phantom.groups import draw_patient
from shortaxis.phantom.masks import draw_masks
from shortaxis.phantom.motion import ejected_share
from shortaxis.phantom.scan import Scan, plan_scan
from shortaxis.study import Segmentation, Study


@dataclass(frozen=True, eq=False)
class Drawn:
    heart: Heart
    scan: Scan
    states: list[State]
    labels: np.ndarray

    def segmentation(self, **known) -> Segmentation:
        pixels = np.broadcast_to(np.float32(0), self.labels.shape)
        return Segmentation(Study(pixels, self.scan.spacing, self.scan.affine, **known), self.labels)

    @property
    def beat(self) -> float:
        return 60000 / self.heart.patient.heart_rate


def draw(seed: int, group: str, *, n_slices: int, n_phases: int | None = None, pixel: float = 1.25, distance: float | None = None) -> Drawn:
    """ED and ES, or a cine of `n_phases`; slices as a technician would place them, or `distance` mm apart from above the base on."""
    rng = np.random.default_rng(seed)
    heart = Heart(draw_patient(rng, group), (float(rng.uniform(-0.08, 0.08)), float(rng.uniform(-0.02, 0.14))))
    usual = plan_scan(np.random.default_rng(seed), heart, n_slices=n_slices, matrix=(400, 400)).spacing[0]
    matrix = (int(170 / pixel), int(190 / pixel))
    spacing = (distance or usual, pixel, pixel)
    scan = plan_scan(np.random.default_rng(seed), heart, n_slices=n_slices, spacing=spacing, matrix=matrix)
    if distance is not None:
        scan = replace(scan, first=-10.0)
    shares = [0.0, 1.0] if n_phases is None else ejected_share(n_phases)
    states = [heart.state(share) for share in shares]
    return Drawn(heart, scan, states, draw_masks(heart, scan, states))


@pytest.fixture(scope="session")
def drawn():
    return draw
