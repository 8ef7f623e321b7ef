"""Volume-time curves of both ventricles: end-diastole and end-systole, the heart rate, filling and ejection rates.

The rules:

* **ED and ES.** What the study says holds; only what it leaves open is found, in a cine of at least five phases. ED is the largest and ES
  the smallest LV volume (Schulz-Menger et al., JCMR 22:19, 2020). They are looked for on a smoothed curve, so that one phase segmented
  badly does not win: from 12 phases on a median of three, then a Gaussian of 1/30 of the cine, both around the circle of the heartbeat.
  Volumes are always read off the curve as measured. The RV's own ED and ES are the extremes of the RV curve, found in the same way: the
  ventricles do not turn in step. All of this is measured on the labels as they are written, cleaned and repaired.
* **Cycle length.** Number of phases × step between them, if the phases cover the heartbeat: the steps are even (each within 25 % of their
  median), and the LV curve closes: from the last phase back to the first it jumps no farther than between two neighbours within.
  A cine gated prospectively ends before the atria contract, and its curve stays open. The heart rate is 60 000 ÷ cycle length in ms.
* **Peak rates.** Steepest slopes of the three lowest harmonics of the heartbeat, fitted by least squares: with ten slices the volume jumps
  whenever the valve plane passes a slice, and a slope over a few phases would measure those jumps. At least ten phases that cover the
  heartbeat.
* **Times.** Phase times that do not rise, or a cine of less than 200 or more than 3000 ms, are no times of a heartbeat.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import scipy  # its parts load when they are used, which keeps quick what needs none

from shortaxis.indices.volumes import structure_volumes
from shortaxis.labels import Structure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from shortaxis.study import Segmentation, Study

LEAST_PHASES: Final = 5
"""A shorter cine does not show where its curve turns."""
LEAST_PHASES_FOR_RATES: Final = 10
SMOOTH_CINE: Final = 15
"""Phases from which on ES is hit closely: SCMR asks for a temporal resolution of 45 ms or better (Kramer et al., JCMR 22:17, 2020)."""
HARMONICS: Final = 3
"""Harmonics of the heartbeat that a slope is read off: three bring the phantom's peak rates within 4 % where its volumes are exact."""
MOMENTS: Final = 512
"""Moments of the heartbeat at which a slope is looked at."""
HEARTBEAT_MS: Final = (200.0, 3000.0)
"""Shortest and longest cine of one heartbeat: 300 and 20 beats a minute."""

_PHASES_FOR_MEDIAN: Final = 12
_SMOOTHING: Final = 1 / 30
_UNEVEN: Final = 0.25
_RV_PHASES: Final = ("rv_end_diastole", "rv_end_systole")


@dataclass(frozen=True)
class PeakRates:
    """Fastest change of a volume.

    Attributes:
        ejection: Fastest fall in ml/s, positive.
        filling: Fastest rise in ml/s, positive.
        ejection_ms: Trigger time of the fastest fall in ms.
        filling_ms: Trigger time of the fastest rise in ms.
    """

    ejection: float
    filling: float
    ejection_ms: float
    filling_ms: float


@dataclass(frozen=True, eq=False)
class VolumeCurves:
    """How the volumes run over the phases.

    Attributes:
        lv_ml: float64 (T,), LV cavity in ml.
        rv_ml: float64 (T,), RV cavity in ml.
        myocardium_ml: float64 (T,), LV myocardium in ml. Muscle does not compress: what this curve moves is the error of contours and base.
        phase_times: Trigger times in ms, or None where the study has none of a heartbeat.
        cycle_ms: Length of the heartbeat in ms, or None when unknown.
        end_diastole: The ED phase, counted from 0, or None.
        end_systole: The ES phase, counted from 0, or None.
        found: Which of `end_diastole` and `end_systole` were found on the LV curve; the others are the study's own.
        rv_end_diastole: The RV's own ED phase, counted from 0, or None.
        rv_end_systole: The RV's own ES phase, counted from 0, or None.
        rv_found: Which of `rv_end_diastole` and `rv_end_systole` were found on the RV curve; the others are named by the study.
        no_rv_phases: Why the RV's own phases are not both known, in words, or None.
        lv_rates: Peak rates of the LV, or None when they cannot be known.
        rv_rates: The same of the RV.
        no_cycle: Why there is no cycle length, in words, or None.
        no_rates: Why there are no rates, in words, or None.
    """

    lv_ml: NDArray[np.float64]
    rv_ml: NDArray[np.float64]
    myocardium_ml: NDArray[np.float64]
    phase_times: tuple[float, ...] | None
    cycle_ms: float | None
    end_diastole: int | None
    end_systole: int | None
    found: tuple[str, ...]
    rv_end_diastole: int | None
    rv_end_systole: int | None
    rv_found: tuple[str, ...]
    no_rv_phases: str | None
    lv_rates: PeakRates | None
    rv_rates: PeakRates | None
    no_cycle: str | None
    no_rates: str | None

    @property
    def heart_rate(self) -> float | None:
        """Beats a minute, or None when the cycle length is unknown."""
        return None if self.cycle_ms is None else 60000.0 / self.cycle_ms

    @property
    def rv_edv_own(self) -> float | None:
        """RV cavity in ml at the RV's own ED, or None where that is unknown."""
        return None if self.rv_end_diastole is None else float(self.rv_ml[self.rv_end_diastole])

    @property
    def rv_esv_own(self) -> float | None:
        """RV cavity in ml at the RV's own ES, or None where that is unknown."""
        return None if self.rv_end_systole is None else float(self.rv_ml[self.rv_end_systole])

    def as_dict(self) -> dict[str, Any]:
        """All of it in lists, numbers and strings, as JSON takes them."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        for name, value in plain.items():
            if isinstance(value, np.ndarray):
                plain[name] = value.tolist()
            elif isinstance(value, tuple):
                plain[name] = list(value)
            elif isinstance(value, PeakRates):
                plain[name] = dict(vars(value))
        return plain | {"heart_rate": self.heart_rate}


def volume_curves(segmentation: Segmentation) -> VolumeCurves:
    """Measure the volumes at every phase, and what follows from their course.

    Args:
        segmentation: Labels of a study; the phases that it names (`shortaxis.study.NAMED_PHASES`) override what would be found.

    Returns:
        The curves.
    """
    before = segmentation.study
    volumes = structure_volumes(segmentation.labels, before.spacing, before.slice_extents)
    lv_ml, rv_ml = volumes[:, Structure.LV], volumes[:, Structure.RV]
    study = _fill_in(before, lv_ml)
    found = tuple(name for name in ("end_diastole", "end_systole") if getattr(before, name) is None is not getattr(study, name))
    rv_phases = dict(zip(_RV_PHASES, _completed(before.rv_end_diastole, before.rv_end_systole, rv_ml), strict=True))
    times, no_times = _believed(study.phase_times)
    cycle, no_cycle = (None, no_times) if times is None else cycle_length(times, lv_ml)
    no_rates = no_cycle
    if len(lv_ml) < LEAST_PHASES_FOR_RATES:
        no_rates = f"{len(lv_ml)} phases are too few for rates; {LEAST_PHASES_FOR_RATES} are needed"
    lv_rates, rv_rates = (None if times is None or cycle is None or no_rates else peak_rates(ml, times, cycle) for ml in (lv_ml, rv_ml))
    return VolumeCurves(
        lv_ml=lv_ml,
        rv_ml=rv_ml,
        myocardium_ml=volumes[:, Structure.MYO],
        phase_times=times,
        cycle_ms=cycle,
        end_diastole=study.end_diastole,
        end_systole=study.end_systole,
        found=found,
        rv_end_diastole=rv_phases["rv_end_diastole"],
        rv_end_systole=rv_phases["rv_end_systole"],
        rv_found=tuple(name for name, phase in rv_phases.items() if getattr(before, name) is None is not phase),
        no_rv_phases=_no_rv_phases(len(rv_ml)) if None in rv_phases.values() else None,
        lv_rates=lv_rates,
        rv_rates=rv_rates,
        no_cycle=no_cycle,
        no_rates=no_rates,
    )


def with_phases(segmentation: Segmentation) -> Study:
    """Return the study with its ED and ES phases: its own where it names them, else found on the LV curve, else None."""
    study = segmentation.study
    return _fill_in(study, structure_volumes(segmentation.labels, study.spacing, study.slice_extents)[:, Structure.LV])


def find_phases(ml: NDArray[np.float64]) -> tuple[int, int] | None:
    """Find ED and ES on the volume curve of a ventricle by the rule of this module.

    Args:
        ml: float64 (T,), LV or RV cavity in ml over one heartbeat.

    Returns:
        The ED and the ES phase, counted from 0; None for fewer than five phases or a curve that stays level.
    """
    if len(ml) < LEAST_PHASES:
        return None
    smooth = scipy.ndimage.median_filter(ml, 3, mode="wrap") if len(ml) >= _PHASES_FOR_MEDIAN else ml
    smooth = scipy.ndimage.gaussian_filter1d(smooth, _SMOOTHING * len(ml), mode="wrap")
    if np.ptp(smooth) <= 1e-9 * np.abs(ml).max():
        return None
    return int(smooth.argmax()), int(smooth.argmin())


def cycle_length(phase_times: Sequence[float], lv_ml: NDArray[np.float64]) -> tuple[float, None] | tuple[None, str]:
    """Length of the heartbeat in ms by the rule of this module, or why it cannot be known.

    Args:
        phase_times: Rising trigger times in ms, (T,).
        lv_ml: float64 (T,), LV cavity in ml.

    Returns:
        The length and None, or None and the reason in words.
    """
    if len(lv_ml) < LEAST_PHASES:
        return None, f"{len(lv_ml)} phases do not show whether they cover the heartbeat; {LEAST_PHASES} are needed"
    steps = np.diff(phase_times)
    step = float(np.median(steps))
    if np.abs(steps - step).max() > _UNEVEN * step:
        return None, "the phases are not evenly spaced in time, so some may be missing"
    if abs(lv_ml[-1] - lv_ml[0]) > np.abs(np.diff(lv_ml)).max():
        return None, "the LV volume at the last phase is far from that at the first, so the phases do not cover the heartbeat"
    return len(lv_ml) * step, None


def peak_rates(ml: NDArray[np.float64], phase_times: Sequence[float], cycle_ms: float) -> PeakRates:
    """Fastest fall and rise of a volume curve by the rule of this module.

    Args:
        ml: float64 (T,), a volume in ml at ten phases or more.
        phase_times: Rising trigger times in ms, (T,).
        cycle_ms: Length of the heartbeat in ms.

    Returns:
        The rates in ml/s.
    """
    start = phase_times[0]
    turns = 2j * np.pi * np.arange(1, HARMONICS + 1) / cycle_ms
    waves = np.exp(np.outer(np.asarray(phase_times) - start, turns))
    terms = np.concatenate([np.ones((len(ml), 1)), waves.real, waves.imag], axis=1)
    cosines, sines = np.split(np.linalg.lstsq(terms, ml)[0][1:], 2)
    moments = np.linspace(0, cycle_ms, MOMENTS, endpoint=False)
    slopes = 1000.0 * (turns * np.exp(np.outer(moments, turns)) @ (cosines - 1j * sines)).real
    fall, rise = int(slopes.argmin()), int(slopes.argmax())
    return PeakRates(-float(slopes[fall]), float(slopes[rise]), start + float(moments[fall]), start + float(moments[rise]))


def _fill_in(study: Study, lv_ml: NDArray[np.float64]) -> Study:
    known = (study.end_diastole, study.end_systole)
    diastole, systole = _completed(*known, lv_ml)
    return study if (diastole, systole) == known else replace(study, end_diastole=diastole, end_systole=systole)


def _completed(diastole: int | None, systole: int | None, ml: NDArray[np.float64]) -> tuple[int | None, int | None]:
    """ED and ES where they are named, else where the curve has them, else None."""
    if diastole is not None and systole is not None:
        return diastole, systole
    largest, smallest = find_phases(ml) or (None, None)
    return (largest if diastole is None else diastole, smallest if systole is None else systole)


def _no_rv_phases(n_phases: int) -> str:
    if n_phases >= LEAST_PHASES:
        return "the RV volume is the same at every phase, so the RV has no ED and ES of its own"
    shown = "1 phase does" if n_phases == 1 else f"{n_phases} phases do"
    return f"{shown} not show the RV's own ED and ES; {LEAST_PHASES} are needed"


def _believed(phase_times: Sequence[float] | None) -> tuple[tuple[float, ...], None] | tuple[None, str]:
    """The phase times and None, or None and why they cannot be those of a heartbeat."""
    if phase_times is None or len(phase_times) < 2:
        return None, "the times of the phases are not known"
    steps = np.diff(phase_times)
    if not (np.isfinite(steps).all() and steps.min() > 0):
        return None, "the times of the phases do not rise"
    span = float(np.median(steps)) * len(phase_times)
    if not HEARTBEAT_MS[0] <= span <= HEARTBEAT_MS[1]:
        return None, f"the times of the phases span {span:.0f} ms, which is no heartbeat"
    return tuple(float(time) for time in phase_times), None
