"""How the ventricles eject and fill over one heartbeat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SYSTOLE: Final = 0.36
"""Share of the heartbeat until end systole, about that of a heart at 70 beats a minute."""


def end_systole_phase(n_phases: int) -> int:
    """Index of the end-systolic phase of a cine with `n_phases` phases; end diastole is phase 0."""
    return max(1, round(SYSTOLE * n_phases)) if n_phases > 1 else 0


def ejected_share(n_phases: int) -> NDArray[np.float64]:
    """Share of the stroke volume that has left the ventricle at each phase.

    It is 0 at end diastole (phase 0) and exactly 1 at `end_systole_phase`. Filling has its three parts: the early wave, diastasis, and the
    atrial kick.

    Args:
        n_phases: Number of phases, at least 1.

    Returns:
        float64 (T,), within [0, 1].
    """
    systole = end_systole_phase(n_phases)
    phases = np.arange(n_phases)
    ejection = _smooth_rise(phases / max(systole, 1))
    diastole = (phases - systole) / max(n_phases - systole, 1)
    filling = 0.75 * _smooth_rise(diastole / 0.45) + 0.25 * _smooth_rise((diastole - 0.75) / 0.25)
    return np.where(phases <= systole, ejection, 1 - filling)


def _smooth_rise(position: NDArray[np.float64]) -> NDArray[np.float64]:
    return 0.5 - 0.5 * np.cos(np.pi * np.clip(position, 0, 1))
