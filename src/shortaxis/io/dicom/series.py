"""Which images of a study are its short-axis cine.

Images are sorted into stacks (`shortaxis.io.dicom.joining`). A stack is left out, with the reason, when it

* shows the phase of the signal, or belongs to a flow measurement;
* differs in inversion or echo time among the images of one slice (maps, scouts), or is inversion recovery (late enhancement);
* has one image at each slice (localizer, late enhancement, anatomy), or fewer than five and no clock of the heart cycle;
* has fewer than three slices (long-axis views, single slices);
* lies more than 45° off the usual short-axis plane, unless its description says short axis;
* runs over more than one heartbeat (perfusion, real time);
* names another technique (`shortaxis.io.dicom.technique`).

Doubts, such as a name that hints at another view, or trigger times that stand still, leave a stack out where another with at least half as
many slices gives none. Among several that remain those count that hold at least 80 % of the most images (slices times phases); of them the
one whose description names the short axis and no other technique, then a balanced sequence, then the distortion-corrected one, then the one
acquired last. What could have been taken instead is told.
"""

from __future__ import annotations

import re
import statistics
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from shortaxis.errors import InputError
from shortaxis.io.dicom.alignment import MOST_TILT, Grid, describe, is_aligned, tilt_between
from shortaxis.io.dicom.geometry import SHORT_AXIS_TILT, by_position, tilt
from shortaxis.io.dicom.headers import HEART_CLOCKS, IN_MS
from shortaxis.io.dicom.joining import FEWEST_SLICES, correction, join, runs_of
from shortaxis.io.dicom.repeats import acquisitions
from shortaxis.io.dicom.stack import Stack
from shortaxis.io.dicom.technique import doubtful_technique, is_balanced, named_technique

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from shortaxis.io.dicom.headers import Plane

FEWEST_PHASES: Final = 2
FEWEST_UNCLOCKED: Final = 5
"""Fewest phases where only times of day or instance numbers order them: two images may be a picture taken twice."""
ONE_BEAT: Final = 3000.0
"""ms that one heartbeat may last."""
COMPARABLE: Final = 0.8
NEARLY_PARALLEL: Final = 20.0
"""Degrees off the stack up to which an image of its own series that is left out was meant to belong to it."""
_SHORT_AXIS: Final = re.compile(r"sax|\bsa\b|short|kurz|petit.?axe|eje.?corto|\bkha\b")
_OTHER: Final = re.compile(r"\blate\b|\bdelay|\bloc|scout|survey|real ?time|\brt\b|dark|\bt[12]\b|\blax\b|long ?ax|\b[234] ?(ch|cv)\b")


def named(planes: Sequence[Plane], series: int | str) -> list[Plane]:
    """The images of a series, by its number or UID."""
    return [plane for plane in planes if str(series) in {str(plane.series_number), plane.series_uid}]


def stacks_of(planes: Sequence[Plane], *, by_count: bool = False) -> list[Stack]:
    """Sort all images of a study into stacks, each with the reason why it is no short-axis cine, if so.

    Args:
        planes: All images.
        by_count: Judge by the number of images only, since somebody named the series.

    Returns:
        The stacks, in order of their first series.
    """
    if by_count:
        return [_judged_by_count(stack) for stack in join([Stack(tuple(run)) for run in runs_of(planes)])]
    runs = [Stack(tuple(run), _why_no_cine(run)) for run in runs_of(planes)]
    stacks = [run for run in runs if run.reason]
    by_technique: dict[str | None, list[Stack]] = defaultdict(list)
    for run in runs:
        if not run.reason:
            by_technique[named_technique(run.planes)].append(run)
    for technique, alike in by_technique.items():
        named_so = None if technique is None else f"is {technique} by the name or sequence of its series"
        stacks += [
            replace(stack, reason=_why_no_short_axis(stack) or named_so, doubt=_doubt(stack), technique=technique) for stack in join(alike)
        ]
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
    sure = [stack for stack in fit if stack.doubt is None]
    enough = sure and 2 * max(len(stack.slices) for stack in sure) >= max(len(stack.slices) for stack in fit)
    candidates = sure if enough else fit
    most = max(_size(stack) for stack in candidates)
    comparable = [stack for stack in candidates if _size(stack) >= COMPARABLE * most]
    best = max(comparable, key=_preference)
    return best, [*_say_choice(best, comparable, stacks), *best.notes, *_say_left_out(best, stacks)]


def _say_choice(best: Stack, comparable: Sequence[Stack], stacks: Sequence[Stack]) -> list[str]:
    """Say what could have been taken instead: what is comparable, or the largest of those that were settled by technique or size."""
    doubted = [f"{best.name} is taken as the short-axis cine, though it {best.doubt}"] if best.doubt else []
    others = [stack.name for stack in comparable if stack is not best]
    if others:
        return [f"{best.name} is taken as the short-axis cine, though {' and '.join(others)} could be it too", *doubted]
    rivals = [stack for stack in stacks if stack is not best and (stack.reason is None or stack.technique_alone)]
    if not rivals:
        return doubted
    second = max(rivals, key=_size)
    why = second.reason or second.doubt or "has fewer images"
    return [
        f"{best.name} ({_extent(best)}) is taken as the short-axis cine; next comes {second.name} ({_extent(second)}), which {why}",
        *doubted,
    ]


def _say_left_out(best: Stack, stacks: Sequence[Stack]) -> list[str]:
    """Name the slices that were meant to belong to the stack, by their series or place, and do not."""
    series = {plane.series_uid for plane in best.planes}
    grid, notes = Grid([plane for plane in best.planes if plane.stored is None]), []
    for stack in stacks:
        plane, number = stack.planes[0], len(stack.slices)
        if (
            stack is best
            or stack.technique is not None
            or any(one.is_phase or one.is_flow for one in stack.planes)
            or plane.study_uid != best.planes[0].study_uid
        ):
            continue
        same, angle = plane.series_uid in series, tilt_between(plane, best.planes[0])
        completes = number < FEWEST_SLICES and stack.n_phases > 1 and angle <= MOST_TILT and grid.lacks(stack.planes)
        if (same and angle <= NEARLY_PARALLEL) or completes:
            how = "of another technique" if is_aligned(plane, grid.like) else describe(grid.adopt(plane))
            notes.append(
                f"{number} slice{'s' * (number > 1)} of {stack.name}, {how}, cannot be used and {'are' if number > 1 else 'is'} left out"
            )
    return notes


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


def _doubt(stack: Stack) -> str | None:
    """What speaks against a stack without settling it, or None."""
    if _OTHER.search(_words(stack.planes[0].description)):
        return "is named like another view or technique"
    return doubtful_technique(stack.planes, stack.slices)


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


def _extent(stack: Stack) -> str:
    return f"{len(stack.slices)} slices × {stack.n_phases} phases"


def _preference(stack: Stack) -> tuple[int, bool, bool, float, tuple[int, ...]]:
    first, newest = stack.planes[0], max(plane.acquired for plane in stack.planes)
    return _hint(stack), is_balanced(first), correction(first) != "ND", newest, tuple(number or 0 for number in stack.series)


def _hint(stack: Stack) -> int:
    plane = stack.planes[0]
    text, protocol = _words(plane.description), _words(plane.protocol)
    return bool(_SHORT_AXIS.search(f"{text} {protocol}")) - bool(_OTHER.search(text) or named_technique(stack.planes))


def _words(text: str) -> str:
    return re.sub(r"[^\w*]+|_", " ", text)


def _summary(stacks: Sequence[Stack]) -> str:
    """Say in one line what was left out and why."""
    if not stacks:
        return "no such series"
    by_reason: dict[str | None, list[Plane]] = defaultdict(list)
    for stack in stacks:
        by_reason[stack.reason] += stack.planes
    return "; ".join(f"{Stack(tuple(planes)).name}: {reason}" for reason, planes in by_reason.items())
