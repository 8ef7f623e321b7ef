"""What is known of a phantom without looking at a voxel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from shortaxis.phantom.geometry import Heart, State

MYOCARDIAL_DENSITY: Final = 1.05
"""Density of myocardium in g/ml."""


@dataclass(frozen=True, eq=False)
class Truth:
    """Volumes of the continuous shapes; T is the number of rendered phases.

    Attributes:
        lv_ml: float64 (T,), LV cavity in ml, papillary muscles included.
        rv_ml: float64 (T,), RV cavity in ml.
        edv: LV end-diastolic volume in ml.
        esv: LV end-systolic volume in ml.
        rv_edv: RV end-diastolic volume in ml.
        rv_esv: RV end-systolic volume in ml.
        lv_mass: LV mass in g, at 1.05 g/ml; the same at every phase.
        wall_thickness: float64 (T, 6), radial wall thickness half-way along the LV cavity in mm, mean over sectors of 60° of which the
            first is centred on the septum.
    """

    lv_ml: NDArray[np.float64]
    rv_ml: NDArray[np.float64]
    edv: float
    esv: float
    rv_edv: float
    rv_esv: float
    lv_mass: float
    wall_thickness: NDArray[np.float64]

    @property
    def sv(self) -> float:
        """LV stroke volume in ml."""
        return self.edv - self.esv

    @property
    def ef(self) -> float:
        """LV ejection fraction in %."""
        return 100 * self.sv / self.edv

    @property
    def rv_sv(self) -> float:
        """RV stroke volume in ml."""
        return self.rv_edv - self.rv_esv

    @property
    def rv_ef(self) -> float:
        """RV ejection fraction in %."""
        return 100 * self.rv_sv / self.rv_edv


def measure(heart: Heart, states: Sequence[State]) -> Truth:
    """Measure a heart at some phases; EDV, ESV and all that follows from them belong to the whole heartbeat."""
    diastole, systole = heart.state(0.0), heart.state(1.0)
    return Truth(
        lv_ml=np.array([state.lv_ml for state in states]),
        rv_ml=np.array([state.rv_ml for state in states]),
        edv=diastole.lv_ml,
        esv=systole.lv_ml,
        rv_edv=diastole.rv_ml,
        rv_esv=systole.rv_ml,
        lv_mass=MYOCARDIAL_DENSITY * heart.wall_ml,
        wall_thickness=np.array([heart.mid_wall_thickness(state) for state in states]),
    )
