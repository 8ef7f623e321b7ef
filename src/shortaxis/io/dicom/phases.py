"""The phases of each slice: which clock orders them, which acquisition counts, and what stands in for a missing phase.

Clock: the first of `headers.CLOCKS` that every image of the stack carries and that tells the images of each slice apart. A clock in ms
must also run for 50 ms at least, since triggers that merely jitter do not order phases.

Repeats: a slice that was acquired again shows by a second series, by an acquisition number, by a clock that starts anew along the
instance numbers, or by the same reading twice. The acquisition that began last counts, unless it holds fewer than half as many phases
as another.

Missing phases: the number of phases T is what most slices have (of two, the larger). A slice with another number is sampled at the T
usual times: relative to its own heart cycle where it was sampled at another rate, to the usual one where phases are lost; the nearest
phase around the cycle is taken. A slice with fewer than half of T is left out.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from shortaxis.io.dicom.headers import CLOCKS

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from numpy.typing import NDArray

    from shortaxis.io.dicom.headers import Plane

IN_MS: Final = frozenset(CLOCKS[:3])
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
        chosen.append(sorted(last, key=lambda plane: plane.clocks[clock]))
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
    return Phases(kept, clock, _times(clock, centre, kept[0][0]), [_say(what, numbers, len(slices)) for what, numbers in events.items()])


def choose_clock(slices: Sequence[Sequence[Plane]]) -> str:
    """Choose what orders the phases, by the rule of this module; `InstanceNumber` where nothing does."""
    parts = [part for planes in slices for part in split(planes, [plane.series_uid for plane in planes])]
    return next((clock for clock in CLOCKS if all(_tells(part, clock) for part in parts)), CLOCKS[-1])


def acquisitions(planes: Sequence[Plane], clock: str) -> list[list[Plane]]:
    """Part the planes of one slice into the times that it was acquired.

    Args:
        planes: All planes at one place.
        clock: The clock of the stack.

    Returns:
        One list for each acquisition, in no particular order.
    """
    found = []
    for part in split(planes, [plane.series_uid for plane in planes]):
        found += _by_number(part, clock) or _by_runs(part, clock) or _by_reading(part, clock)
    return found


def split(planes: Iterable[Plane], keys: Iterable[Hashable]) -> list[list[Plane]]:
    """Part planes by a key, in the order in which the keys first occur."""
    parts: dict[Hashable, list[Plane]] = defaultdict(list)
    for plane, key in zip(planes, keys, strict=True):
        parts[key].append(plane)
    return list(parts.values())


def reading(plane: Plane, clock: str) -> float:
    """What a clock shows; 0 where the header has none."""
    return plane.clocks.get(clock, 0.0)


def _tells(planes: Sequence[Plane], clock: str) -> bool:
    if not all(clock in plane.clocks for plane in planes):
        return False
    readings = {plane.clocks[clock] for plane in planes}
    if clock in IN_MS and len(planes) > 1 and max(readings) - min(readings) < LEAST_SPAN:
        return False
    return len(readings) >= min(len(planes), max(2, len(planes) / 4))


def _by_number(planes: list[Plane], clock: str) -> list[list[Plane]] | None:
    return _if_repeats(split(planes, [plane.acquisition_number for plane in planes]), clock)


def _by_runs(planes: list[Plane], clock: str) -> list[list[Plane]] | None:
    ordered = sorted(planes, key=lambda plane: reading(plane, "InstanceNumber"))
    readings = np.array([reading(plane, clock) for plane in ordered])
    run = np.concatenate([[0], np.cumsum(np.diff(readings) < 0)])
    return _if_repeats(split(ordered, run.tolist()), clock)


def _if_repeats(parts: list[list[Plane]], clock: str) -> list[list[Plane]] | None:
    """Take the parts for repeats where each is a series of phases and all run over the same stretch of the cycle."""
    if len(parts) < 2 or min(map(len, parts)) < 2:
        return None
    readings = [[reading(plane, clock) for plane in part] for part in parts]
    together = min(map(max, readings)) - max(map(min, readings))
    shortest = min(max(part) - min(part) for part in readings)
    return parts if together > shortest / 2 and all(len(set(part)) == len(part) for part in readings) else None


def _by_reading(planes: list[Plane], clock: str) -> list[list[Plane]]:
    seen: Counter[float] = Counter()
    turns = []
    ordered = sorted(planes, key=_moment)
    for plane in ordered:
        turns.append(seen[reading(plane, clock)])
        seen[reading(plane, clock)] += 1
    return split(ordered, turns)


def _latest(found: list[list[Plane]]) -> tuple[list[Plane], int]:
    most = max(map(len, found))
    whole = [part for part in found if 2 * len(part) >= most]
    return max(whole, key=lambda part: max(map(_moment, part))), len(found)


def _moment(plane: Plane) -> tuple[float, float, float, float]:
    return plane.acquired, plane.series_number or 0, plane.acquisition_number or 0, reading(plane, "InstanceNumber")


def _say(what: str, numbers: list[int], total: int) -> str:
    named = f"slice {numbers[0]} was" if len(numbers) == 1 else f"slices {', '.join(map(str, numbers))} were"
    return f"{named} {what} ({total} slices, counted from the base)"


def _which(taken: Sequence[Plane], planes: Sequence[Plane]) -> str:
    return "last" if max(map(_moment, planes)) == max(map(_moment, taken)) else "last complete one"


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
