"""The AHA segments 1 to 16 as a bull's-eye (Cerqueira et al., Circulation 105:539, 2002): base outside, apex inside, anterior on top."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from shortaxis.reports.markup import element
from shortaxis.reports.sprites import colours
from shortaxis.reports.wording import number, with_unit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from xml.etree.ElementTree import Element

    from shortaxis.reports.content import WallSegment


class Measure(NamedTuple):
    """What the segments show.

    Attributes:
        key: Attribute of a segment.
        title: What it is.
        short: The same beside others.
        unit: Its unit.
        low: Where the scale of colours begins.
        high: Where it ends.
    """

    key: str
    title: str
    short: str
    unit: str
    low: float
    high: float


MEASURES: Final = (
    Measure("thickness_ed_mm", "Wall thickness at ED", "Thickness at ED", "mm", 2, 18),
    Measure("thickness_es_mm", "Wall thickness at ES", "Thickness at ES", "mm", 2, 18),
    Measure("thickening_percent", "Wall thickening", "Thickening", "%", -20, 100),
)
"""The scales are the same for all studies, so that pages can be compared."""

_PALETTE: Final = "viridis"
_RADII: Final = (140.0, 100.0, 62.0, 26.0)
"""Radii of the rings in a square of 300."""
_FIRST: Final = (0, 6, 12, 16)
"""Segments before each ring."""
_MIDDLES: Final = (90.0, 150.0, 210.0, 270.0, 330.0, 30.0)
"""Middles of the basal and mid segments in degrees from the right upwards: anterior on top, the septum on the left."""
_APICAL_MIDDLES: Final = (90.0, 180.0, 270.0, 0.0)


def bulls_eye(segments: Sequence[WallSegment], measure: Measure) -> Element:
    """Draw one measure of the segments.

    Args:
        segments: Segments 1 to 16.
        measure: What to show.
    """
    by_number = {segment.number: segment for segment in segments}
    parts: list[Element] = []
    for ring in range(3):
        middles = _APICAL_MIDDLES if ring == 2 else _MIDDLES
        for place, middle in enumerate(middles):
            segment = by_number.get(_FIRST[ring] + place + 1)
            if segment is not None:
                parts += _segment(segment, measure, (_RADII[ring], _RADII[ring + 1]), middle, 180 / len(middles))
    parts += [
        element("circle", class_="apex", cx=150, cy=150, r=_RADII[3]),
        *(
            element("text", word, class_="side", x=x, y=y, text_anchor="middle")
            for word, x, y in (("A", 150, 8), ("I", 150, 301), ("S", 4, 155), ("L", 296, 155))
        ),
    ]
    label = f"{measure.title} by segment. " + "; ".join(
        f"{segment.name} {with_unit(getattr(segment, measure.key), measure.unit)}" for segment in segments
    )
    return element("svg", *parts, class_="bulls-eye", viewBox="-6 -6 312 312", role="img", aria_label=label)


def colour_scale(measure: Measure) -> Element:
    """Draw the legend of a measure's colours."""
    name = f"scale-{measure.key.replace('_', '-')}"
    shown = [_hex(colour) for colour in colours(_PALETTE).tolist()]
    stops = [element("stop", offset=place / (len(shown) - 1), stop_color=colour) for place, colour in enumerate(shown)]
    ticks = [measure.low + (measure.high - measure.low) * quarter / 4 for quarter in range(5)]
    texts = [element("text", number(tick, ""), x=10 + 220 * place / 4, y=28, text_anchor="middle") for place, tick in enumerate(ticks)]
    return element(
        "svg",
        element("defs", element("linearGradient", *stops, id=name)),
        element("rect", x=10, y=2, width=220, height=12, fill=f"url(#{name})"),
        *texts,
        element("text", measure.unit, x=258, y=13, text_anchor="middle"),
        class_="scale",
        viewBox="0 0 270 32",
        role="img",
        aria_label=f"Scale from {measure.low:g} to {measure.high:g} {measure.unit}",
    )


def _segment(segment: WallSegment, measure: Measure, radii: tuple[float, float], middle: float, half: float) -> list[Element]:
    value = getattr(segment, measure.key)
    fill = None if value is None else _colour(value, measure)
    text = "?" if value is None else number(value, measure.unit)
    x, y = _point((radii[0] + radii[1]) / 2, middle)
    title = element("title", f"{segment.number} {segment.name}: {with_unit(value, measure.unit)}")
    shape = element("path", title, class_="segment" if fill else "segment unknown", d=_sector(radii, middle, half), fill=fill)
    dark = fill is None or luminance(fill) > 0.18
    label = element("text", text, class_="on-light" if dark else "on-dark", x=round(x, 1), y=round(y + 5, 1), text_anchor="middle")
    return [shape, label]


def _sector(radii: tuple[float, float], middle: float, half: float) -> str:
    outer, inner = radii
    corners = [_point(radius, middle + side) for radius, side in ((outer, -half), (outer, half), (inner, half), (inner, -half))]
    (a, b, c, d) = (f"{x:.1f} {y:.1f}" for x, y in corners)
    return f"M{a}A{outer:g} {outer:g} 0 0 0 {b}L{c}A{inner:g} {inner:g} 0 0 1 {d}Z"


def _point(radius: float, degrees: float) -> tuple[float, float]:
    return 150 + radius * math.cos(math.radians(degrees)), 150 - radius * math.sin(math.radians(degrees))


def _colour(value: float, measure: Measure) -> str:
    shown = colours(_PALETTE)
    share = min(max((value - measure.low) / (measure.high - measure.low), 0.0), 1.0)
    return _hex(shown[round(share * (len(shown) - 1))].tolist())


def _hex(colour: Sequence[int]) -> str:
    return "#" + "".join(f"{part:02x}" for part in colour)


def luminance(colour: str) -> float:
    """Relative luminance of a colour `#rrggbb`, 0 to 1 (WCAG 2.2)."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
