"""Intervals of the clinical indices: their width is that of the study at hand.

Each index has a scale in its own unit, predicted from what the networks say of the study (`shortaxis.quality.volume_evidence`). Errors of
patients that the networks have never seen, divided by their scales, say how many scales an interval must reach down and up (normalised
conformal prediction; Papadopoulos et al., 2002; Lei et al., JASA 113:1094, 2018). Both ends are learnt by themselves, since errors lean to
one side. Scans that do not look like those of the calibration have ends of their own, learnt from scans that do not either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from shortaxis.errors import InputError
from shortaxis.indices.volumes import MYOCARDIAL_DENSITY
from shortaxis.labels import FOREGROUND, Structure
from shortaxis.metrics.protocols import INDICES
from shortaxis.quality.volume_evidence import EVIDENCE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

LEVEL: Final = 0.9
_VOLUMES: Final = {
    "lv_edv": ("ED", Structure.LV, 1.0),
    "lv_esv": ("ES", Structure.LV, 1.0),
    "lv_mass": ("ED", Structure.MYO, MYOCARDIAL_DENSITY),
    "rv_edv": ("ED", Structure.RV, 1.0),
    "rv_esv": ("ES", Structure.RV, 1.0),
}
"""Phase, structure and unit per ml of the indices that are a volume or a mass."""
_FRACTIONS: Final = {"lv_ef": ("lv_edv", "lv_esv"), "rv_ef": ("rv_edv", "rv_esv")}

Evidence = dict[str, "NDArray[np.float64]"]
"""Of `ED` and `ES`, float64 (K, 3): the parts of `EVIDENCE` for RV, MYO and LV, in ml."""


@dataclass(frozen=True)
class Ends:
    """How many scales an interval reaches from the value.

    Attributes:
        low: To the lower end; negative as a rule.
        high: To the upper end.
        patients: How many patients it was learnt from.
    """

    low: float
    high: float
    patients: int


@dataclass(frozen=True)
class IntervalModel:
    """What the intervals of one model need.

    Attributes:
        weights: Of each index that is a volume or a mass, the weight of each part of `EVIDENCE`; its scale is the root of their squares'
            sum.
        inside: Of each index, the ends for scans like those of the calibration.
        outside: Of each index, the ends for other scans; an index that is not in it has no interval there.
        level: Coverage.
    """

    weights: dict[str, tuple[float, ...]]
    inside: dict[str, Ends]
    outside: dict[str, Ends]
    level: float = LEVEL

    def __post_init__(self) -> None:
        weights = [np.array(row, np.float64) for row in self.weights.values()]
        ends = np.array([(one.low, one.high) for side in (self.inside, self.outside) for one in side.values()], np.float64)
        whole = all(row.shape == (len(EVIDENCE),) and np.isfinite(row).all() for row in weights) and np.isfinite(ends).all()
        if not whole or not 0 < self.level < 1:
            msg = "the intervals of the calibration are damaged; make it again with `shortaxis calibrate`"
            raise InputError(msg)

    def scales(self, evidence: Evidence) -> dict[str, float]:
        """Predicted size of the error of each index of a study, in its unit; without those whose phase is not there."""
        return index_scales(self.weights, evidence)

    def interval(self, name: str, value: float, scales: Mapping[str, float], *, inside: bool) -> tuple[float, float] | None:
        """Interval of an index, not cut off anywhere; None where there is none."""
        ends = (self.inside if inside else self.outside).get(name)
        scale = scales.get(name)
        if ends is None or scale is None or not np.isfinite(scale):
            return None
        return value + min(0.0, ends.low) * scale, value + max(0.0, ends.high) * scale


def index_scales(weights: Mapping[str, tuple[float, ...]], evidence: Evidence) -> dict[str, float]:
    """Predicted size of the error of each index; see `IntervalModel`."""
    scales = {}
    for name, (phase, part, per_ml) in _VOLUMES.items():
        if phase in evidence and name in weights:
            parts = evidence[phase][:, FOREGROUND.index(part)]
            scales[name] = per_ml * float(np.sqrt(((np.array(weights[name]) * parts) ** 2).sum()))
    for name, (first, second) in _FRACTIONS.items():
        if first in scales and second in scales:
            diastole, systole = (evidence[phase][0, FOREGROUND.index(_VOLUMES[first][1])] for phase in ("ED", "ES"))
            if diastole > 0:
                share = systole / diastole
                scales[name] = 100 / diastole * float(np.hypot(share * scales[first], scales[second]))
    return {name: scales[name] for name in INDICES if name in scales}


def parts_of(name: str, evidence: Evidence) -> NDArray[np.float64] | None:
    """The evidence (K,) of an index that is a volume or a mass, in its unit; None of a fraction, or where its phase is not there."""
    if name not in _VOLUMES or _VOLUMES[name][0] not in evidence:
        return None
    phase, part, per_ml = _VOLUMES[name]
    return np.asarray(per_ml * evidence[phase][:, FOREGROUND.index(part)], np.float64)
