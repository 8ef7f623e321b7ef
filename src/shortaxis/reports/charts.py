"""Drawings of a page, as SVG: interval bars, volume-time curves, and the verdicts over a cine.

Colours come from the style sheet by class, so that they follow light, dark and print.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from shortaxis.reports.markup import element
from shortaxis.reports.wording import frame_name, plural

if TYPE_CHECKING:
    from collections.abc import Sequence
    from xml.etree.ElementTree import Element

    from shortaxis.reports.content import EndSlice, FrameRow

_BAR: Final = (120, 14)
_CHART: Final = (480, 250)
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 34, 22, 22
_ROW: Final = 20
_LINE: Final = 14
_NAME: Final = 20
_STRIP_LEFT: Final = 64


def interval_bar(value: float, interval: tuple[float, float], limit: float) -> Element:
    """Draw a value with its interval on a line from 0 to a limit; what it says stands in words beside it.

    Args:
        value: The value.
        interval: Its interval.
        limit: Right end of the line, positive.
    """
    width, height = _BAR

    def at(place: float) -> float:
        return 2 + (width - 4) * min(max(place / limit, 0.0), 1.0)

    middle = height / 2
    low, high = map(at, interval)
    parts = (
        element("line", class_="track", x1=2, x2=width - 2, y1=middle, y2=middle),
        element("rect", class_="span", x=low, y=middle - 4, width=max(high - low, 1), height=8, rx=2),
        element("line", class_="tick", x1=at(value), x2=at(value), y1=1, y2=height - 1),
    )
    return element("svg", *parts, class_="bar", viewBox=f"0 0 {width} {height}", width=width, height=height, aria_hidden="true")


def round_limit(largest: float) -> float:
    """The smallest of 1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10 times a power of ten that is not below a number.

    Examples:
        >>> round_limit(143.0), round_limit(0.0)
        (150.0, 1.0)
    """
    if largest <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(largest))
    return next(step * power for step in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if step * power >= largest * (1 - 1e-9))


def ticks(largest: float) -> list[float]:
    """Two to six round numbers from 0 to no less than a number.

    Examples:
        >>> ticks(238.0), ticks(0.0)
        ([0.0, 50.0, 100.0, 150.0, 200.0, 250.0], [0.0, 1.0])
    """
    if largest <= 0:
        return [0.0, 1.0]
    power = 10.0 ** math.floor(math.log10(largest / 5))
    step = next(factor * power for factor in (1, 2, 5, 10) if 5 * factor * power >= largest * (1 - 1e-9))
    return [step * place for place in range(math.ceil(largest / step - 1e-9) + 1)]


def volume_curves(frames: Sequence[FrameRow], places: Sequence[int]) -> Element:
    """Draw the volumes of LV and RV over the phases of a cine.

    Args:
        frames: The frames of the cine.
        places: Their places in the report, which a click leads to.
    """
    axes = _Axes(frames)
    parts = [*axes.draw(), *_phase_marks(axes)]
    for name in ("rv", "lv"):
        points = [(axes.x(place), axes.y(getattr(frame, f"{name}_ml"))) for place, frame in zip(axes.across, frames, strict=True)]
        line = " ".join(f"{right:.1f},{down:.1f}" for right, down in points)
        parts.append(element("polyline", class_=f"curve {name}", points=line, fill="none"))
        parts += [element("circle", class_=f"dot {name}", cx=round(right, 1), cy=round(down, 1), r=2) for right, down in points]
    parts += [*_own_marks(axes), *_names_at_the_end(axes)]
    parts.append(element("line", class_="cursor", x1=_LEFT, x2=_LEFT, y1=_TOP, y2=axes.floor))
    return element(
        "svg",
        *parts,
        class_="chart",
        id="curves",
        viewBox=f"0 0 {_CHART[0]} {_CHART[1]}",
        role="img",
        aria_label=_curves_in_words(frames),
        data_places=" ".join(map(str, places)),
        data_x=" ".join(f"{axes.x(place):.1f}" for place in axes.across),
    )


class _Axes:
    """Time (where all frames tell a rising one, else their numbers) to the right, volume upwards."""

    floor: Final = _CHART[1] - _BOTTOM
    right: Final = _CHART[0] - _RIGHT

    def __init__(self, frames: Sequence[FrameRow]) -> None:
        times = [frame.time_ms for frame in frames if frame.time_ms is not None]
        self.frames = frames
        self.timed = len(times) == len(frames) and all(later > earlier for earlier, later in pairwise(times))
        self.across = times if self.timed else [float(frame.frame) for frame in frames]
        self.ticks = ticks(max(max(frame.lv_ml, frame.rv_ml) for frame in frames))

    def x(self, value: float) -> float:
        first, last = self.across[0], self.across[-1]
        return _LEFT + (self.right - _LEFT) * (value - first) / ((last - first) or 1)

    def y(self, ml: float) -> float:
        return self.floor - (self.floor - _TOP) * ml / self.ticks[-1]

    def draw(self) -> list[Element]:
        parts = []
        for ml in self.ticks:
            parts.append(element("line", class_="grid", x1=_LEFT, x2=self.right, y1=self.y(ml), y2=self.y(ml)))
            parts.append(element("text", f"{ml:g}", x=_LEFT - 6, y=self.y(ml) + 4, text_anchor="end"))
        ends = ((self.across[0], "start"), (self.across[-1], "end"))
        parts += [element("text", f"{value:.0f}", x=self.x(value), y=self.floor + 16, text_anchor=anchor) for value, anchor in ends]
        middle = (_LEFT + self.right) / 2
        parts.append(element("text", "time in ms" if self.timed else "frame", x=middle, y=self.floor + 16, text_anchor="middle"))
        parts.append(element("text", "ml", x=10, y=(self.y(self.ticks[-1]) + self.y(self.ticks[-2])) / 2 + 4))
        return parts


def _phase_marks(axes: _Axes) -> list[Element]:
    parts = []
    for place, frame in zip(axes.across, axes.frames, strict=True):
        if frame.phase:
            x = axes.x(place)
            parts.append(element("line", class_="named", x1=x, x2=x, y1=_TOP, y2=axes.floor))
            parts.append(element("text", frame.phase, class_="named", x=x, y=_TOP - 6, text_anchor="middle"))
    return parts


def _own_marks(axes: _Axes) -> list[Element]:
    """Rings around the RV's own ED and ES; their names stand away from the curve, above its largest and below its smallest volume."""
    parts = []
    for place, frame in zip(axes.across, axes.frames, strict=True):
        if frame.rv_phase:
            x, y = axes.x(place), axes.y(frame.rv_ml)
            parts.append(element("circle", class_="own", cx=x, cy=y, r=5))
            height = y - 9 if frame.rv_phase == "ED" else min(y + 18, axes.floor - 3)
            anchor = "start" if x < _LEFT + _NAME else "end" if x > axes.right - _NAME else "middle"
            parts.append(element("text", f"RV {frame.rv_phase}", class_="own", x=x, y=height, text_anchor=anchor))
    return parts


def _names_at_the_end(axes: _Axes) -> list[Element]:
    """Name the curves where they end, apart from each other."""
    lv, rv = axes.y(axes.frames[-1].lv_ml), axes.y(axes.frames[-1].rv_ml)
    if abs(lv - rv) < _LINE:
        lv, rv = ((lv + rv + side * _LINE) / 2 for side in ((1, -1) if lv > rv else (-1, 1)))
    return [
        element("text", name.upper(), class_=f"ends {name}", x=axes.right + 6, y=height + 4) for name, height in (("lv", lv), ("rv", rv))
    ]


def verdict_strip(frames: Sequence[FrameRow], places: Sequence[int]) -> Element | None:
    """Draw the verdicts of the end slices over the frames of a cine: one row a slice, one cell a frame; None where there are none.

    Args:
        frames: The frames of the cine.
        places: Their places in the report, which a click leads to.
    """
    slices = sorted({judged.slice for frame in frames for judged in frame.end_slices})
    if not slices:
        return None
    step = (_CHART[0] - _STRIP_LEFT - 2) / len(frames)
    height = _ROW * len(slices) + 18
    parts: list[Element] = []
    words = []
    for row, number in enumerate(slices):
        judged = [next((one for one in frame.end_slices if one.slice == number), None) for frame in frames]
        checked = sum(one is not None and one.verdict == "check" for one in judged)
        words.append(f"slice {number}: check in {checked} of {plural(len(frames), 'frame')}")
        parts.append(element("text", f"slice {number}", x=_STRIP_LEFT - 8, y=_ROW * row + 14, text_anchor="end"))
        for column, one in enumerate(judged):
            if one is not None:
                cell = _cell(one, frames[column], places[column])
                cell.attrib |= {"x": f"{_STRIP_LEFT + step * column:.1f}", "width": f"{max(step - 1.5, 1):.1f}"}
                cell.attrib |= {"y": str(_ROW * row + (1 if one.verdict == "check" else 5))}
                parts.append(cell)
    for column, frame in enumerate(frames):
        if frame.phase:
            x = _STRIP_LEFT + step * (column + 0.5)
            parts.append(element("text", frame.phase, class_="named", x=x, y=height - 3, text_anchor="middle"))
    label = "Verdicts over the cine. " + "; ".join(words)
    return element("svg", *parts, class_="strip", viewBox=f"0 0 {_CHART[0]} {height}", role="img", aria_label=label)


def _cell(judged: EndSlice, frame: FrameRow, place: int) -> Element:
    """A cell of the strip, taller where the slice is to be checked, so that the two differ without colour."""
    title = element("title", f"{frame_name(frame)}, slice {judged.slice}: {judged.verdict}, {100 * judged.probability:.0f} %")
    height = _ROW - (3 if judged.verdict == "check" else 11)
    return element("rect", title, class_=f"cell {judged.verdict}", height=height, data_frame=place, data_slice=judged.slice - 1)


def _curves_in_words(frames: Sequence[FrameRow]) -> str:
    named = [f"{frame.phase}: LV {frame.lv_ml:.0f} ml, RV {frame.rv_ml:.0f} ml" for frame in frames if frame.phase]
    named += [f"{frame.rv_phase} of the RV itself, frame {frame.frame}: {frame.rv_ml:.0f} ml" for frame in frames if frame.rv_phase]
    return f"Volume-time curves of {plural(len(frames), 'frame')}. {'; '.join(named)}".strip()
