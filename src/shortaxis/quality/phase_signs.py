"""Signs of a slice from the other phase of the same study: what a slice shows at ED and at ES must fit together.

The heart shortens towards its apex, so no structure reaches farther at end-systole than at end-diastole, and none comes or goes in
the middle of the heart. Each sign compares a frame with its companion: ES for ED, and ED for every other frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from shortaxis.labels import FOREGROUND, Structure
from shortaxis.quality.grid_frame import heart_span

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shortaxis.quality.grid_frame import GridFrame

_HALF_CM2: Final = 50.0
_FARTHEST: Final = 3
_OF_STRUCTURE: Final = ("area_at_other_phase", "area_against_other_phase", "reach_against_other_phase", "doubt_at_other_phase")
PHASE_SIGNS: Final = (*(f"{name}_{part.name.lower()}" for name in _OF_STRUCTURE for part in FOREGROUND), "depth_in_both", "smaller_cavity")
"""Names of the signs."""


@dataclass(frozen=True, eq=False)
class PhaseView:
    """What the other phase needs to know of a frame.

    Attributes:
        areas_mm2: float64 (3, D) of RV, MYO and LV.
        doubt: float64 (3, D), `doubt_of_presence`.
        basal_first: Whether the stack runs from base to apex.
    """

    areas_mm2: NDArray[np.float64]
    doubt: NDArray[np.float64]
    basal_first: bool

    @classmethod
    def of(cls, frame: GridFrame, doubt: NDArray[np.float64]) -> PhaseView:
        """What a frame shows."""
        return cls(frame.areas_mm2(), doubt, frame.basal_first)


def phase_signs(frame: PhaseView, other: PhaseView | None) -> dict[str, NDArray[np.float64]]:
    """Compare a frame with its companion.

    Args:
        frame: The frame.
        other: Its companion; None where the study has one frame only, which is then compared with itself.

    Returns:
        Name of the sign to float64 (D,), in the order of `PHASE_SIGNS`.
    """
    other = frame if other is None else other
    here, there = (np.log((view.areas_mm2 + _HALF_CM2) / 100) for view in (frame, other))
    reach = np.stack([_reach(mine > 0, theirs > 0) for mine, theirs in zip(frame.areas_mm2, other.areas_mm2, strict=True)])
    values = dict(zip(_OF_STRUCTURE, (there, here - there, reach, other.doubt), strict=True))
    signs = {f"{name}_{part.name.lower()}": value[place] for name, value in values.items() for place, part in enumerate(FOREGROUND)}
    first, last = heart_span((frame.areas_mm2 + other.areas_mm2).any(axis=0))
    index = np.arange(here.shape[1])
    signs["depth_in_both"] = np.clip(np.minimum(index - first, last - index) + 1.0, -2, 3)
    cavity = FOREGROUND.index(Structure.LV)
    smaller = float(frame.areas_mm2[cavity].sum() < other.areas_mm2[cavity].sum())
    signs["smaller_cavity"] = np.full(len(index), smaller)
    return signs


def _reach(mine: NDArray[np.bool_], theirs: NDArray[np.bool_]) -> NDArray[np.float64]:
    """By how many slices a structure reaches farther out than at the other phase, on the side of each slice; 0 where either lacks it."""
    if not mine.any() or not theirs.any():
        return np.zeros(len(mine))
    (first, last), (other_first, other_last) = heart_span(mine), heart_span(theirs)
    before = np.arange(len(mine)) <= (first + last) / 2
    farther = np.where(before, other_first - first, last - other_last)
    return np.clip(farther.astype(np.float64), -_FARTHEST, _FARTHEST)
