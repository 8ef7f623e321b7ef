"""The times that a slice was acquired: which of its images are phases of one acquisition, and which are those of another.

A second series at the same place is a second acquisition. Within a series

* acquisition numbers part the images where each number has a series of phases and all run over the same stretch of the heart cycle;
* a clock that starts again along the instance numbers does, where each run begins at the same moment of the cycle; images numbered at
  random make no such runs;
* of images with the same reading, those that follow one another along the instance numbers, or were acquired at the same time, are
  neighbouring phases whose times were rounded; others, and those that share an instance number, are one image that is there twice.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from shortaxis.io.dicom.headers import Plane


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
        found += _by_number(part, clock) or _by_runs(part, clock) or _turns(part, clock)
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


def moment(plane: Plane) -> tuple[float, float, float, float]:
    """When an image was acquired, good for comparing."""
    return plane.acquired, plane.series_number or 0, plane.acquisition_number or 0, reading(plane, "InstanceNumber")


def _by_number(planes: list[Plane], clock: str) -> list[list[Plane]] | None:
    return _if_repeats(split(planes, [plane.acquisition_number for plane in planes]), clock)


def _by_runs(planes: list[Plane], clock: str) -> list[list[Plane]] | None:
    ordered = sorted(planes, key=lambda plane: reading(plane, "InstanceNumber"))
    readings = np.array([reading(plane, clock) for plane in ordered])
    parts = split(ordered, np.concatenate([[0], np.cumsum(np.diff(readings) < 0)]).tolist())
    return _if_repeats(parts, clock) if _begin_together(parts, clock) else None


def _begin_together(parts: Sequence[Sequence[Plane]], clock: str) -> bool:
    """Whether all parts begin at the same moment of the cycle, within a quarter of the time between two of their phases."""
    starts = [min(reading(plane, clock) for plane in part) for part in parts]
    steps = [step for part in parts for step in np.diff(sorted({reading(plane, clock) for plane in part})).tolist()]
    return bool(steps) and max(starts) - min(starts) < float(np.median(steps)) / 4


def _if_repeats(parts: list[list[Plane]], clock: str) -> list[list[Plane]] | None:
    """Take the parts for repeats where each is a series of phases and all run over the same stretch of the cycle."""
    if len(parts) < 2 or min(map(len, parts)) < 2:
        return None
    readings = [[reading(plane, clock) for plane in part] for part in parts]
    together = min(map(max, readings)) - max(map(min, readings))
    shortest = min(max(part) - min(part) for part in readings)
    return parts if together > shortest / 2 and all(len(_turns(part, clock)) == 1 for part in parts) else None


def _turns(planes: Sequence[Plane], clock: str) -> list[list[Plane]]:
    """Part images that show the same phase; neighbouring phases whose times were rounded stay together."""
    ordered = sorted(planes, key=lambda plane: reading(plane, "InstanceNumber"))
    rounded = _rounded_readings(ordered, clock)
    seen: Counter[tuple[float, float]] = Counter()
    turns = []
    by_moment = sorted(planes, key=moment)
    for plane in by_moment:
        shown = reading(plane, clock)
        key = (shown, reading(plane, "InstanceNumber") if shown in rounded else 0.0)
        turns.append(seen[key])
        seen[key] += 1
    return split(by_moment, turns)


def _rounded_readings(ordered: Sequence[Plane], clock: str) -> set[float]:
    """The readings that neighbouring phases share: their images were acquired together, or follow one another by their numbers."""
    acquired: dict[float, set[float]] = defaultdict(set)
    for plane in ordered:
        acquired[reading(plane, clock)].add(plane.acquired)
    runs = Counter[float]()
    for one, other in pairwise([None, *ordered]):
        if other is not None and (one is None or reading(one, clock) != reading(other, clock)):
            runs[reading(other, clock)] += 1
    return {shown for shown, count in runs.items() if count == 1 or len(acquired[shown]) == 1}
