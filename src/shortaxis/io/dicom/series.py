"""Which images of a study are its short-axis cine.

Images of one series, orientation, matrix and pixel spacing make a *run*. Runs of one study that share orientation, grid and kind of pulse
sequence make a *stack*: some scanners put each slice into a series of its own, and a slice may be acquired again later. Two runs that
both are whole stacks and cover the same places stay apart.

A run or stack is left out, with the reason, when it

* shows the phase of the signal, or belongs to a flow measurement;
* differs in inversion or echo time among the images of one slice (maps, scouts), or is inversion recovery (late enhancement);
* has one image at each slice (localizer, late enhancement, anatomy), or fewer than five and no clock of the heart cycle;
* has fewer than three slices (long-axis views, single slices);
* lies more than 45° off the usual short-axis plane, unless its description says short axis;
* runs over more than one heartbeat (perfusion, real time).

Among several that remain those count that hold at least 80 % of the most images (slices times phases); of them the one whose description
names the short axis and no other technique, then the distortion-corrected one, then the one acquired last.
"""

from __future__ import annotations

import re
import statistics
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shortaxis.errors import InputError
from shortaxis.io.dicom.geometry import SHORT_AXIS_TILT, apexward, by_position, tilt
from shortaxis.io.dicom.headers import CLOCKS
from shortaxis.io.dicom.phases import IN_MS, acquisitions, choose_clock, split

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from shortaxis.io.dicom.headers import Plane

FEWEST_SLICES: Final = 3
FEWEST_PHASES: Final = 2
FEWEST_UNCLOCKED: Final = 5
"""Fewest phases where only times of day or instance numbers order them: two images may be a picture taken twice."""
HEART_CLOCKS: Final = frozenset(CLOCKS[:5])
ONE_BEAT: Final = 3000.0
"""ms that one heartbeat may last."""
COMPARABLE: Final = 0.8
_PARALLEL: Final = 0.01
"""Largest difference of direction cosines that are the same orientation: about half a degree."""
_SHORT_AXIS: Final = re.compile(r"sax|\bsa\b|_sa\b|short|kurz|petit.?axe|eje.?corto|\bkha\b")
_OTHER: Final = re.compile(
    r"tag|lge|delay|late|perf|flow|venc|\bloc|scout|map|molli|real.?time|\brt\b|ti.?scout|psir|dark|\bt[12]\b|lax|\b[234] ?ch"
)


@dataclass(frozen=True)
class Stack:
    """Parallel images on one grid that may belong together.

    Attributes:
        planes: The images.
        reason: Why it is no short-axis cine, or None.
    """

    planes: tuple[Plane, ...]
    reason: str | None = None

    @cached_property
    def slices(self) -> list[list[Plane]]:
        """The images of each slice, from base to apex."""
        return by_position(self.planes)

    @cached_property
    def clock(self) -> str:
        """What orders the phases."""
        return choose_clock(self.slices)

    @cached_property
    def n_phases(self) -> int:
        """How many images most slices have in one acquisition."""
        counts = sorted((max(map(len, acquisitions(planes, self.clock))) for planes in self.slices), reverse=True)
        return statistics.mode(counts)

    @property
    def series(self) -> tuple[int | None, ...]:
        """Numbers of its series, in order."""
        numbers = {plane.series_number for plane in self.planes}
        return tuple(sorted(numbers, key=lambda number: (number is None, number)))

    @property
    def name(self) -> str:
        """Its series in words; never a description, which people write freely."""
        known = [str(number) for number in self.series if number is not None]
        return f"series {', '.join(known)}" if known else "a series without number"


def stacks_of(planes: Sequence[Plane], *, only: int | str | None = None) -> list[Stack]:
    """Sort all images of a study into stacks, each with the reason why it is no short-axis cine, if so.

    Args:
        planes: All images.
        only: Number or UID of the series to take; it is then judged by its number of images only.

    Returns:
        The stacks, in order of their first series; nothing but the given series where one is given.
    """
    if only is not None:
        named = [plane for plane in planes if str(only) in {str(plane.series_number), plane.series_uid}]
        return [_judged_by_count(Stack(tuple(run))) for run in _runs(named)]
    runs = [Stack(tuple(run), _why_no_cine(run)) for run in _runs(planes)]
    stacks = [run for run in runs if run.reason]
    stacks += [replace(stack, reason=_why_no_short_axis(stack)) for stack in _join([run for run in runs if not run.reason])]
    return sorted(stacks, key=lambda stack: [number or 0 for number in stack.series])


def choose(path: Path, stacks: Sequence[Stack]) -> tuple[Stack, list[str]]:
    """Choose the short-axis cine by the rules of this module.

    Args:
        path: What to name in an error.
        stacks: All stacks.

    Returns:
        The stack, and what has to be said.

    Raises:
        InputError: No stack is fit, or the fit ones belong to several studies.
    """
    fit = [stack for stack in stacks if stack.reason is None]
    if not fit:
        reasons = _summary(stacks)
        msg = f"{path}: holds no short-axis cine ({reasons}); give the folder of a study with one, or name its series"
        raise InputError(msg)
    if len({stack.planes[0].study_uid for stack in fit}) > 1:
        folders = sorted({str(stack.planes[0].path.parent) for stack in fit})
        msg = f"{path}: holds short-axis cines of several studies; give one study at a time, such as {folders[0]}"
        raise InputError(msg)
    most = max(_size(stack) for stack in fit)
    comparable = [stack for stack in fit if _size(stack) >= COMPARABLE * most]
    best = max(comparable, key=_preference)
    others = [stack.name for stack in comparable if stack is not best]
    notes = [f"{best.name} is taken as the short-axis cine, though {' and '.join(others)} could be it too"] if others else []
    return best, notes


def _runs(planes: Sequence[Plane]) -> list[list[Plane]]:
    keys: list[Any] = []
    known: dict[Any, list[tuple[float, ...]]] = defaultdict(list)
    for plane in planes:
        key = plane.study_uid, plane.series_uid, plane.shape, _rounded(plane.spacing), plane.is_phase, _correction(plane)
        same = (number for number, other in enumerate(known[key]) if _parallel(plane.orientation, other))
        number = next(same, len(known[key]))
        if number == len(known[key]):
            known[key].append(plane.orientation)
        keys.append((key, number))
    return split(planes, keys)


def _join(runs: Sequence[Stack]) -> list[Stack]:
    """Join runs into stacks, the largest first."""
    stacks: list[list[Stack]] = []
    for run in sorted(runs, key=lambda run: -len(run.slices)):
        home = next((stack for stack in stacks if _belongs(run, stack)), None)
        if home is None:
            stacks.append([run])
        else:
            home.append(run)
    return [Stack(tuple(plane for run in stack for plane in run.planes)) for stack in stacks]


def _belongs(run: Stack, stack: Sequence[Stack]) -> bool:
    one, other = run.planes[0], stack[0].planes[0]
    alike = (
        one.study_uid == other.study_uid
        and one.shape == other.shape
        and _rounded(one.spacing) == _rounded(other.spacing)
        and _parallel(one.orientation, other.orientation)
        and _correction(one) == _correction(other)
        and one.sequence == other.sequence
        and _near(one.echo_time, other.echo_time)
        and _comparable_frames(run, stack[0])
    )
    if not alike or len(run.slices) < FEWEST_SLICES:
        return alike
    axis = apexward(one)
    there = np.array([float(np.array(plane.position) @ axis) for part in stack for plane in part.planes])
    covered = [np.abs(there - float(np.array(planes[0].position) @ axis)).min() < 1.0 for planes in run.slices]
    return bool(2 * sum(covered) < len(covered))


def _comparable_frames(one: Stack, other: Stack) -> bool:
    """Whether positions compare. Anonymisers write another frame of reference into every file: then it says nothing."""
    frames = [{plane.frame_of_reference for plane in stack.planes} for stack in (one, other)]
    return any(len(frame) > 1 for frame in frames) or "" in frames[0] | frames[1] or frames[0] == frames[1]


def _why_no_cine(planes: Sequence[Plane]) -> str | None:
    """Why the images of one run are none of a cine, or None."""
    if any(plane.is_phase for plane in planes):
        return "shows the phase of the signal, as flow measurements do"
    if any(plane.is_flow for plane in planes):
        return "belongs to a flow measurement"
    slices = by_position(planes)
    for name, values in (
        ("inversion", [{plane.inversion_time for plane in images} for images in slices]),
        ("echo", [{plane.echo_time for plane in images} for images in slices]),
    ):
        if statistics.median_low(map(len, values)) > 1:
            return f"differs in {name} time within a slice, as maps and scouts do"
    if statistics.median_low(map(len, slices)) < FEWEST_PHASES:
        return "has one image at each slice, so it is no cine"
    if all("IR" in plane.sequence.split() and plane.inversion_time for plane in planes):
        return "is inversion recovery, as late enhancement is"
    return None


def _why_no_short_axis(stack: Stack) -> str | None:
    """Why a stack of cine images is no short-axis stack, or None."""
    if len(stack.slices) < FEWEST_SLICES:
        number = len(stack.slices)
        return f"has {number} slice{'s' * (number > 1)} in this direction, as long-axis views do; a stack needs {FEWEST_SLICES}"
    if stack.n_phases < (FEWEST_PHASES if stack.clock in HEART_CLOCKS else FEWEST_UNCLOCKED):
        return f"has {stack.n_phases} images at each slice and no clock of the heart cycle, so it is no cine"
    angle = tilt(stack.planes[0])
    if angle > SHORT_AXIS_TILT and _hint(stack) <= 0:
        return f"lies {angle:.0f}° off the usual short-axis plane"
    seconds = _duration(stack) / 1000
    if seconds > ONE_BEAT / 1000:
        return f"runs over {seconds:.0f} s at each slice, which is more than one heartbeat"
    return None


def _judged_by_count(stack: Stack) -> Stack:
    return stack if stack.n_phases >= FEWEST_PHASES else replace(stack, reason="has one image at each slice, so it is no cine")


def _duration(stack: Stack) -> float:
    """How long the images of a slice run, in ms, as the median over the slices."""
    clock = stack.clock
    spans = []
    for planes in stack.slices:
        last = acquisitions(planes, clock)[-1]
        times = [plane.clocks["AcquisitionTime"] for plane in last if "AcquisitionTime" in plane.clocks]
        if clock in IN_MS:
            spans.append(_span([plane.clocks[clock] for plane in last]))
        elif len(set(times)) > len(last) / 2:
            spans.append(1000 * _span(times))
        else:
            spans.append(0.0)
    return statistics.median(spans)


def _span(values: Sequence[float]) -> float:
    return max(values) - min(values)


def _size(stack: Stack) -> int:
    return len(stack.slices) * stack.n_phases


def _preference(stack: Stack) -> tuple[int, bool, float, tuple[int, ...]]:
    newest = max(plane.acquired for plane in stack.planes)
    return _hint(stack), _correction(stack.planes[0]) != "ND", newest, tuple(number or 0 for number in stack.series)


def _hint(stack: Stack) -> int:
    text = stack.planes[0].description
    return bool(_SHORT_AXIS.search(text)) - bool(_OTHER.search(text))


def _correction(plane: Plane) -> str:
    """Whether Siemens' distortion correction was applied: both versions are often kept."""
    return next((token for token in plane.image_type if token in {"ND", "DIS2D", "DIS3D"}), "")


def _parallel(one: Sequence[float], other: Sequence[float]) -> bool:
    return max(abs(a - b) for a, b in zip(one, other, strict=True)) < _PARALLEL


def _near(one: float | None, other: float | None) -> bool:
    return one is None or other is None or abs(one - other) <= 0.25 * max(one, other)


def _rounded(spacing: Sequence[float]) -> tuple[float, ...]:
    return tuple(round(mm, 3) for mm in spacing)


def _summary(stacks: Sequence[Stack]) -> str:
    """Say in one line what was left out and why."""
    if not stacks:
        return "no such series"
    by_reason: dict[str | None, list[Plane]] = defaultdict(list)
    for stack in stacks:
        by_reason[stack.reason] += stack.planes
    return "; ".join(f"{Stack(tuple(planes)).name}: {reason}" for reason, planes in by_reason.items())
