"""The phases of each slice: which clock orders them, which acquisition counts, and what stands in for a missing phase.

Clock: the first of `headers.CLOCKS` that every image of the stack carries and that tells the images of each slice apart. A clock in ms
must also run for 50 ms at least, since triggers that merely jitter do not order phases.

Repeats: a slice that was acquired again shows by a second series, by an acquisition number, by a clock that starts again along the
instance numbers, or by the same reading twice (`shortaxis.io.dicom.repeats`). The acquisition that began last counts, unless it holds fewer
than half as many phases as another. Phases of one reading, as rounded times have them, are ordered by their instance numbers.

Missing phases: the number of phases T is what most slices have (of two, the larger). A slice with another number is sampled at the T
usual times: relative to its own heart cycle where it was sampled at another rate, to the usual one where phases are lost; the nearest
phase around the cycle is taken. A slice with fewer than half of T is left out.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from shortaxis.io.dicom.headers import CLOCKS, IN_MS
from shortaxis.io.dicom.repeats import acquisitions, moment, reading, split

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from shortaxis.io.dicom.headers import Plane

LEAST_SPAN: Final = 50.0
"""ms that a clock must run to order phases."""


@dataclass(frozen=True)
class Phases:
    """A stack in order.

    Attributes:
        planes: D lists of T planes.
        clock: The clock that ordered them.
        times: Time of each phase in ms, or None where the clock is none.
        notes: What has to be said.
    """

    planes: list[list[Plane]]
    clock: str
    times: tuple[float, ...] | None
    notes: list[str]


def order_phases(slices: Sequence[Sequence[Plane]]) -> Phases:
    """Put the phases of all slices in order, with the same number of phases in each.

    Args:
        slices: The planes of each slice, in any order.

    Returns:
        The ordered stack; slices that hold too few phases are missing.
    """
    clock = choose_clock(slices)
    events: dict[str, list[int]] = defaultdict(list)
    chosen = []
    for number, planes in enumerate(slices, start=1):
        last, repeats = _latest(acquisitions(planes, clock))
        if repeats > 1:
            events[f"acquired {repeats} times; the {_which(last, planes)} counts"].append(number)
        chosen.append(sorted(last, key=lambda plane: (plane.clocks[clock], reading(plane, "InstanceNumber"))))
    counts = Counter(map(len, chosen))
    usual = max(counts, key=lambda count: (counts[count], count))
    full = np.array([[plane.clocks[clock] for plane in planes] for planes in chosen if len(planes) == usual])
    centre = np.median(full, axis=0)
    kept = []
    for number, planes in enumerate(chosen, start=1):
        if 2 * len(planes) < usual:
            events[f"left out, with {len(planes)} of {usual} phases"].append(number)
            continue
        if len(planes) != usual:
            events[f"given {usual} phases by the nearest in the heart cycle, from {len(planes)}"].append(number)
        kept.append(planes if len(planes) == usual else _resampled(planes, clock, centre))
    notes = [_say(what, numbers, len(slices)) for what, numbers in events.items()]
    return Phases(kept, clock, _times(clock, centre, kept[0][0]), [*_doubt_of_order(kept, clock), *notes])


def choose_clock(slices: Sequence[Sequence[Plane]]) -> str:
    """Choose what orders the phases, by the rule of this module; `InstanceNumber` where nothing does."""
    parts = [part for planes in slices for part in split(planes, [plane.series_uid for plane in planes])]
    return next((clock for clock in CLOCKS if all(_tells(part, clock) for part in parts)), CLOCKS[-1])


def _doubt_of_order(slices: Sequence[Sequence[Plane]], clock: str) -> list[str]:
    """What has to be said where no time orders the phases."""
    if clock != CLOCKS[-1] or len(slices[0]) < 2:
        return []
    in_file = any(one.path == other.path for planes in slices for one, other in pairwise(planes))
    by = "their place in the file" if in_file else "their instance numbers"
    return [f"no time in the headers gives the order of the phases; it is taken from {by}"]


def _tells(planes: Sequence[Plane], clock: str) -> bool:
    if not all(clock in plane.clocks for plane in planes):
        return False
    readings = {plane.clocks[clock] for plane in planes}
    if clock in IN_MS and len(planes) > 1 and max(readings) - min(readings) < LEAST_SPAN:
        return False
    return len(readings) >= min(len(planes), max(2, len(planes) / 4))


def _latest(found: list[list[Plane]]) -> tuple[list[Plane], int]:
    most = max(map(len, found))
    whole = [part for part in found if 2 * len(part) >= most]
    return max(whole, key=lambda part: max(map(moment, part))), len(found)


def _say(what: str, numbers: list[int], total: int) -> str:
    named = f"slice {numbers[0]} was" if len(numbers) == 1 else f"slices {', '.join(map(str, numbers))} were"
    return f"{named} {what} ({total} slices, counted from the base)"


def _which(taken: Sequence[Plane], planes: Sequence[Plane]) -> str:
    return "last" if max(map(moment, planes)) == max(map(moment, taken)) else "last complete one"


def _resampled(planes: list[Plane], clock: str, centre: NDArray[np.float64]) -> list[Plane]:
    times = np.array([plane.clocks[clock] for plane in planes])
    usual_step, step = _step(centre), _step(times)
    lost = abs(step - usual_step) < 0.1 * usual_step and len(planes) < len(centre)
    usual_cycle = centre[-1] - centre[0] + usual_step
    start, cycle = (centre[0], usual_cycle) if lost else (times[0], times[-1] - times[0] + step)
    away = np.abs(((centre - centre[0]) / usual_cycle)[:, None] - ((times - start) / cycle)[None])
    nearest = np.minimum(away % 1, 1 - away % 1).argmin(axis=1)
    return [planes[index] for index in nearest]


def _step(times: NDArray[np.float64]) -> float:
    return float(np.median(np.diff(times))) if len(times) > 1 else 1.0


def _times(clock: str, centre: NDArray[np.float64], plane: Plane) -> tuple[float, ...] | None:
    """Phase times in ms from the readings, where they can be had."""
    if clock in IN_MS:
        scale = 1.0
    elif clock == "NominalPercentageOfCardiacPhase" and plane.rr_interval:
        scale = plane.rr_interval / 100
    elif clock == "TemporalPositionIndex" and plane.temporal_resolution:
        scale, centre = plane.temporal_resolution, centre - centre[0]
    else:
        return None
    return tuple(round(float(time) * scale, 3) for time in centre)
