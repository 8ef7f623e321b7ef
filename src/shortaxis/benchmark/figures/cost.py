"""Fig. 4: what a row costs, and what it scores: FLOPs against DSC, the area of a marker being the number of parameters."""

from __future__ import annotations

from math import floor, log10, sqrt
from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.lines import Line2D

from shortaxis.benchmark.figures.style import FAINT, FAMILIES, GRID, INK, new_figure, styled
from shortaxis.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from shortaxis.benchmark.result import Result
    from shortaxis.benchmark.table import BenchmarkTable, Line

LARGEST_MARKER: Final = 240.0
"""Area of the marker of the row with the most parameters, in square points; those of the others are in proportion."""
FAR_BELOW: Final = 10.0
"""A row that lies so many points of DSC below the middle row is shown at the lower edge, with its value: on one scale with it the
others could not be told apart."""
_LINE_SHARE: Final = 0.052
"""Height of a label as a share of the height of the axes."""


def family_of(result: Result) -> str:
    """The family of a row in `FAMILIES`."""
    if result.recipe.get("augmenting"):
        return "augmenting"
    if result.members == 1:
        return "single"
    if result.policy not in {"joint", "repooled"}:
        return "apart"
    rule = result.recipe.get("pooling", {}).get("rule")
    return rule if rule in {"fixed", "uncertainty"} else "other"


def draw_cost(table: BenchmarkTable, results: Sequence[Result]) -> Figure:
    """Draw every row of the first part of a table; bars are the spread over trainings.

    Args:
        table: Of one protocol; its first part is drawn.
        results: The same results, which say what kind of row each is.

    Raises:
        InputError: No row has a DSC.
    """
    part = table.parts[0]
    lines = [line for line in part.lines if not np.isnan(line.figures["dsc_average"].value)]
    if not lines:
        msg = f"no row has a DSC under the protocol '{part.protocol}'"
        raise InputError(msg)
    families = {result.row: family_of(result) for result in results}
    with styled():
        figure = new_figure(6.6, 4.2)
        axes = figure.subplots()
        most = max(table.costs[line.row].parameters for line in lines)
        values = [line.figures["dsc_average"].value for line in lines]
        least = min(value for value in values if value >= np.median(values) - FAR_BELOW)
        flops = [table.costs[line.row].flops / 1e9 for line in lines]
        room = max(max(values) - least, 0.5)
        low, high = max(least - 0.35 * room, 0.0), min(max(values) + 0.35 * room, 100.0)
        for line in lines:
            colour = FAMILIES[families[line.row]][1]
            if line.figures["dsc_average"].value < least:
                axes.plot(table.costs[line.row].flops / 1e9, low, "v", color=colour, markeredgecolor=INK, clip_on=False, zorder=3)
            else:
                _bubble(axes, table, line, colour, most)
        axes.set(
            xlim=(0, 1.12 * max(flops)),
            ylim=(low, high),
            xlabel=f"GFLOPs a slice (at each row's own grid, {_edges(table, lines)})",
            ylabel=f"Average DSC [%], {part.patients}\n(protocol {part.protocol})",
        )
        _label(axes, table, lines, least)
        figure.legend(handles=_families(families, lines), loc="outside lower center", ncols=3, columnspacing=1.2)
        axes.legend(handles=_sizes(most), loc="best", labelspacing=1.4, borderpad=0.8, frameon=True, edgecolor=GRID)
    return figure


def _bubble(axes: Axes, table: BenchmarkTable, line: Line, colour: str, most: int) -> None:
    cost, average = table.costs[line.row], line.figures["dsc_average"]
    x = cost.flops / 1e9
    if not np.isnan(average.sd):
        axes.errorbar(x, average.value, yerr=average.sd, color=INK, linewidth=0.8, capsize=2, zorder=2)
    axes.scatter(x, average.value, s=_area(cost.parameters, most), color=colour, alpha=0.75, edgecolor=INK, linewidth=0.7, zorder=3)


def _label(axes: Axes, table: BenchmarkTable, lines: Sequence[Line], least: float) -> None:
    """Write the rows' names in one column right of the axes, moved apart where they would overlap, with a thin line to each marker."""
    low, high = axes.get_ylim()
    step = min(_LINE_SHARE, 1 / len(lines)) * (high - low)
    ordered = sorted(lines, key=lambda line: line.figures["dsc_average"].value)
    averages = [line.figures["dsc_average"].value for line in ordered]
    shown = [low if average < least else average for average in averages]
    heights = spread_apart(shown, step)
    shift = max(0.0, low + step / 2 - heights[0]) - max(0.0, heights[-1] - high + step / 2)
    for line, average, value, height in zip(ordered, averages, shown, heights, strict=True):
        axes.annotate(
            line.row.rpartition("/")[2] + (f": {average:.1f}" if average < least else ""),
            (table.costs[line.row].flops / 1e9, value),
            xytext=(1.02, height + shift),
            textcoords=axes.get_yaxis_transform(),
            va="center",
            fontsize=7.5,
            arrowprops={"arrowstyle": "-", "color": FAINT, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 0, "relpos": (0, 0.5)},
            zorder=1,
            annotation_clip=False,
        )


def spread_apart(values: Sequence[float], step: float) -> list[float]:
    """Move rising values apart until neighbours differ by `step`, each group staying centred on where it was.

    Examples:
        >>> spread_apart([1.0, 1.0, 5.0], 2.0)
        [0.0, 2.0, 5.0]
    """
    groups: list[list[float]] = []
    for value in values:
        groups.append([value])
        while len(groups) > 1 and _bottom(groups[-1], step) < _bottom(groups[-2], step) + step * len(groups[-2]):
            groups[-2:] = [groups[-2] + groups[-1]]
    return [_bottom(group, step) + step * index for group in groups for index in range(len(group))]


def _bottom(group: list[float], step: float) -> float:
    return sum(group) / len(group) - step * (len(group) - 1) / 2


def _families(families: Mapping[str, str], lines: Sequence[Line]) -> list[Line2D]:
    present = {families[line.row] for line in lines}
    return [
        Line2D([], [], marker="o", linestyle="none", markersize=7, color=colour, markeredgecolor=INK, markeredgewidth=0.7, label=name)
        for family, (name, colour) in FAMILIES.items()
        if family in present
    ]


def _area(parameters: float, most: int) -> float:
    return max(LARGEST_MARKER * parameters / most, 8.0)


def _sizes(most: int) -> list[Line2D]:
    """Markers of two round numbers of parameters, the larger not above the largest row."""
    digits = floor(log10(most))
    rounds = [lead * 10.0**power for power in (digits - 1, digits) for lead in (1, 2, 5)]
    chosen = [size for size in rounds if size <= most][-2:]
    return [
        Line2D(
            [],
            [],
            marker="o",
            linestyle="none",
            markersize=sqrt(_area(size, most)),
            markerfacecolor="none",
            markeredgecolor=INK,
            markeredgewidth=0.7,
            label=f"{size / 1e6:g} M parameters",
        )
        for size in chosen
    ]


def _edges(table: BenchmarkTable, lines: Sequence[Line]) -> str:
    edges = sorted({table.costs[line.row].edge for line in lines})
    return ", ".join(f"{edge}²" for edge in edges)
