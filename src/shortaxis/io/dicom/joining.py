"""From images to stacks: runs of one series and grid, joined where they complete one another.

Images of one series that lie on one grid but for their place (`alignment.is_aligned`) make a *run*. Runs of one study with the same
grid and kind of pulse sequence make a *stack*: some scanners put each slice into a series of its own, and a slice may be acquired again
later. Two runs that both are whole stacks and cover the same places stay apart. Last, runs that deviate (another matrix or pixel size,
turned, tilted by up to 10°) join the stack that they complete; their images are resampled onto its grid.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shortaxis.io.dicom.alignment import MOST_TILT, Grid, covers, is_aligned, tilt_between
from shortaxis.io.dicom.geometry import apexward
from shortaxis.io.dicom.headers import HEART_CLOCKS
from shortaxis.io.dicom.repeats import split
from shortaxis.io.dicom.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shortaxis.io.dicom.headers import Plane

FEWEST_SLICES: Final = 3
REACH: Final = 3.5
"""Slice distances beyond a stack up to which a deviating slice belongs to it."""
SAME_SLICE: Final = 0.4
"""Share of the slice distance within which two slices show one place; where every other slice deviates, they are half a distance apart."""
MOST_TIMES_PHASES: Final = 2
"""How many times as many phases a deviating slice may have as its stack, or the stack as it."""
_USUAL_MM: Final = 8.0
"""Slice distance where a stack has one slice and no thickness is known."""


def runs_of(planes: Sequence[Plane]) -> list[list[Plane]]:
    """Sort images into runs."""
    keys: list[Any] = []
    known: dict[Any, list[Plane]] = defaultdict(list)
    for plane in planes:
        key = plane.study_uid, plane.series_uid, plane.is_phase, correction(plane)
        same = (number for number, other in enumerate(known[key]) if is_aligned(plane, other))
        number = next(same, len(known[key]))
        if number == len(known[key]):
            known[key].append(plane)
        keys.append((key, number))
    return split(planes, keys)


def join(runs: Sequence[Stack]) -> list[Stack]:
    """Join runs into stacks: those on one grid, the largest first, then those that deviate."""
    stacks: list[list[Stack]] = []
    for run in sorted(runs, key=lambda run: -len(run.slices)):
        home = next((stack for stack in stacks if _belongs(run, stack)), None)
        if home is None:
            stacks.append([run])
        else:
            home.append(run)
    return [
        without_references(stack) for stack in _with_deviating([Stack(tuple(plane for run in of for plane in run.planes)) for of in stacks])
    ]


def without_references(stack: Stack) -> Stack:
    """Leave out images that lie beside the phases of each slice, equally many at each, and lack the clock that the phases have."""
    for clock in HEART_CLOCKS:
        without = [[plane for plane in planes if clock not in plane.clocks] for planes in stack.slices]
        number = len(without[0])
        if number and all(len(bare) == number and 2 * number < len(planes) for bare, planes in zip(without, stack.slices, strict=True)):
            kept = Stack(tuple(plane for plane in stack.planes if clock in plane.clocks))
            if len(stack.slices) > 1 and kept.clock == clock:
                said = f"{number * len(without)} images without {clock} lie beside the phases that have it, and are left out"
                return replace(kept, notes=(said,))
    return stack


def correction(plane: Plane) -> str:
    """Whether Siemens' distortion correction was applied: both versions are often kept."""
    return next((token for token in plane.image_type if token in {"ND", "DIS2D", "DIS3D"}), "")


def _belongs(run: Stack, stack: Sequence[Stack]) -> bool:
    one, other = run.planes[0], stack[0].planes[0]
    alike = is_aligned(one, other) and _same_technique(run, stack[0])
    if not alike or len(run.slices) < FEWEST_SLICES:
        return alike
    axis = apexward(one)
    there = np.array([float(np.array(plane.position) @ axis) for part in stack for plane in part.planes])
    covered = [np.abs(there - float(np.array(planes[0].position) @ axis)).min() < 1.0 for planes in run.slices]
    return bool(2 * sum(covered) < len(covered))


def _same_technique(run: Stack, other: Stack) -> bool:
    one, two = run.planes[0], other.planes[0]
    return (
        one.study_uid == two.study_uid
        and correction(one) == correction(two)
        and one.sequence == two.sequence
        and _near(one.echo_time, two.echo_time)
        and _comparable_frames(run, other)
    )


def _near(one: float | None, other: float | None) -> bool:
    return one is None or other is None or abs(one - other) <= 0.25 * max(one, other)


def _comparable_frames(one: Stack, other: Stack) -> bool:
    """Whether positions compare. Anonymisers write another frame of reference into every file: then it says nothing."""
    frames = [{plane.frame_of_reference for plane in stack.planes} for stack in (one, other)]
    return any(len(frame) > 1 for frame in frames) or "" in frames[0] | frames[1] or frames[0] == frames[1]


def _with_deviating(stacks: Sequence[Stack]) -> list[Stack]:
    """Let stacks take up the slices that they lack, the largest first; of equal ones that in the middle of the directions of all."""
    sizes = [len(stack.planes) for stack in stacks]
    largest = [stack for stack, size in zip(stacks, sizes, strict=True) if size == max(sizes)]
    off = {id(stack): sum(min(tilt_between(stack.planes[0], other.planes[0]), MOST_TILT) for other in largest) for stack in largest}
    rest = sorted(stacks, key=lambda stack: (-len(stack.planes), off.get(id(stack), 0.0)))
    grown = []
    while rest:
        home, rest = _grown(rest[0], rest[1:])
        grown.append(home)
    return grown


def _grown(home: Stack, rest: list[Stack]) -> tuple[Stack, list[Stack]]:
    """A stack with all that deviates and completes it, and what is left."""
    if not any(_deviates(other, home) for other in rest):
        return home, rest
    grid = Grid(home.planes)
    planes, places = list(home.planes), [float(np.array(of[0].position) @ grid.axis) for of in home.slices]
    searching = True
    while searching:
        searching = False
        for other in [other for other in rest if _deviates(other, home)]:
            there = [grid.place(of[0]) for of in other.slices]
            if _fits_between(other, home, there, places) and _completes(there, places, home.planes[0].thickness):
                adopted = [grid.adopt(plane) for plane in other.planes]
                if all(map(covers, {plane.stored: plane for plane in adopted}.values())):
                    planes, places, searching = planes + adopted, places + there, True
                    rest = [one for one in rest if one is not other]
                    break
    return Stack(tuple(planes)), rest


def _deviates(other: Stack, home: Stack) -> bool:
    """Whether a run is nearly parallel to a stack, and of its technique, but not on its grid."""
    one, two = other.planes[0], home.planes[0]
    return not is_aligned(one, two) and tilt_between(one, two) <= MOST_TILT and _same_technique(other, home)


def _fits_between(other: Stack, home: Stack, there: Sequence[float], places: Sequence[float]) -> bool:
    """Whether a run may lie among the slices of a stack: with about as many phases, and no whole stack of another series beside them."""
    fewer, more = sorted((other.n_phases, home.n_phases))
    if more > MOST_TIMES_PHASES * fewer:
        return False
    if len(there) < FEWEST_SLICES or {plane.series_uid for plane in other.planes} & {plane.series_uid for plane in home.planes}:
        return True
    slack = SAME_SLICE * float(np.median(np.diff(np.sort(places)))) if len(places) > 1 else 0.0
    return bool(max(there) < min(places) + slack or min(there) > max(places) - slack)


def _completes(there: Sequence[float], places: Sequence[float], thickness: float | None) -> bool:
    """Whether slices at some places along the normal fill a stack: near enough to it, and few where it has slices already."""
    usual = float(np.median(np.diff(np.sort(places)))) if len(places) > 1 else thickness or _USUAL_MM
    away = np.abs(np.subtract.outer(np.array(there), np.array(places))).min(axis=1)
    covered = int((away < SAME_SLICE * usual).sum())
    near = away.min() <= REACH * max(usual, thickness or 0.0)
    return bool(near and (covered == 0 if len(there) < FEWEST_SLICES else 2 * covered < len(there)))
