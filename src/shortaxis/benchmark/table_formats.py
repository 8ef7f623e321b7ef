"""The table as text for a terminal, Markdown, LaTeX and CSV."""

from __future__ import annotations

import csv
import io
from textwrap import wrap
from typing import TYPE_CHECKING, Final

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from shortaxis.benchmark.table import FIGURES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rich.console import RenderableType

    from shortaxis.benchmark.statistics import Difference, Summary
    from shortaxis.benchmark.table import BenchmarkTable, Cost, Line, Part

COSTS: Final = ("Parameters [M]", "GFLOPs a slice", "Steps a network", "Training [min]", "Inference [ms a slice]")

WIDEST_NAME: Final = 14
"""Characters of a row's name on one line of a terminal; names are broken at their hyphens."""

CSV_COLUMNS: Final = (
    "protocol",
    "patients",
    "row",
    "policy",
    "trainings",
    "n_patients",
    "figure",
    "unit",
    "value",
    "sd",
    "low",
    "high",
    "difference",
    "difference_low",
    "difference_high",
    "p",
    "p_holm",
    "mark",
    "paper",
    "parameters",
    "flops",
    "steps",
    "train_seconds",
    "milliseconds_per_slice",
)


def as_text(table: BenchmarkTable) -> list[RenderableType]:
    """Tables for a terminal: in each cell mean ± SD, interval, difference, and the paper's figure, one below the other."""
    shown: list[RenderableType] = []
    for part in table.parts:
        also = {name: heading for name, heading in part.headings.items() if name not in FIGURES}
        shown += [_text_grid(part, FIGURES, _title(part)), ""]
        if also:
            shown += [_text_grid(part, also, f"{_title(part)}: also"), ""]
    cost = Table(title="Cost", title_justify="left")
    cost.add_column("Row")
    for heading in COSTS:
        cost.add_column(heading.replace(" [", "\n[dim]\\[") + ("[/]" if "[" in heading else ""), justify="right")
    for row, spent in table.costs.items():
        cost.add_row(row, *_cost_cells(spent))
    return [*shown, cost, "", *legend(table)]


def _text_grid(part: Part, headings: Mapping[str, str], title: str) -> Table:
    grid = Table(title=title, caption=part.description, title_justify="left", caption_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    grid.add_column("Row", overflow="fold")
    for heading in headings.values():
        grid.add_column(heading, justify="right", no_wrap=True)
    for line in part.lines:
        head = "\n".join([*wrap(line.row, WIDEST_NAME), *(f"[dim]{count}[/]" for count in _counts(line))])
        grid.add_row(head, *(_text_cell(line, figure) for figure in headings), end_section=True)
    return grid


def legend(table: BenchmarkTable) -> list[str]:
    """What the cells mean, and what keeps rows from being compared."""
    level = f"{100 * table.resampling.level:g} %"
    lines = [
        f"Mean ± SD over trainings, and {level} interval over patients and trainings.",
        f"Δ: difference to {table.baseline} on the same patients, with its interval.",
        "* the interval leaves zero out; ** also after Holm's correction for the number of rows (p < 0.05).",
    ]
    if any(line.paper for part in table.parts for line in part.lines):
        lines.append("paper: the figure printed in the paper's Table 1 for ACDC's test set, one training selected on these very patients.")
    return [*lines, *(f"Note: {note}." for note in table.notes)]


def as_markdown(table: BenchmarkTable) -> str:
    """For each part a table of figures and one of differences, then the costs."""
    blocks = []
    for part in table.parts:
        head = [
            "Row",
            "Trainings",
            "Patients",
            *part.headings.values(),
            *([f"{FIGURES[name]} (paper)" for name in FIGURES] if _has_paper(part) else []),
        ]
        rows = [
            [
                line.row,
                str(line.trainings),
                str(line.patients),
                *(_spread(line.figures[name]) + _bracketed(line.figures[name]) for name in part.headings),
                *([_printed(line, name) for name in FIGURES] if _has_paper(part) else []),
            ]
            for line in part.lines
        ]
        blocks += [f"**{_title(part)}** ({part.description})", _pipes(head, rows)]
        compared = [line for line in part.lines if line.differences]
        if compared:
            rows = [[line.row, *(_change(line.differences[name]) for name in FIGURES)] for line in compared]
            blocks += [f"Difference to {table.baseline}", _pipes(["Row", *FIGURES.values()], rows)]
    blocks += ["**Cost**", _pipes(["Row", *COSTS], [[row, *_cost_cells(cost)] for row, cost in table.costs.items()])]
    return "\n\n".join([*blocks, "\n".join("* " + sentence.replace("*", r"\*") for sentence in legend(table))]) + "\n"


def as_latex(table: BenchmarkTable) -> str:
    """For each part a `tabular` of figures and one of differences (package booktabs).

    Below a mean ± SD stands its interval, and below that in grey the paper's figure (package xcolor).
    """
    blocks = []
    for part in table.parts:
        lines = []
        for line in part.lines:
            cost = table.costs[line.row]
            cells = [f"${_spread(line.figures[name], 'latex')}$" for name in part.headings]
            lines.append([_tex(line.row), *cells, f"{cost.parameters / 1e6:.3g}", f"{cost.flops / 1e9:.3g}"])
            ranges = [_tex_range(line.figures[name]) for name in part.headings]
            lines.append([rf"\quad {', '.join(_counts(line))}", *ranges, "", ""])
            if line.paper or line.mistaken:
                shown = [_printed(line, name).replace("−", "-") for name in part.headings]
                printed = [rf"\textcolor{{gray}}{{{value}}}" if value else "" for value in shown]
                lines.append([r"\quad\textcolor{gray}{paper}", *printed, "", ""])
        head = ["Row", *map(_tex, part.headings.values()), "Par. [M]", "GFLOPs"]
        blocks.append(_tabular(f"{_title(part)}: {part.description}", head, lines))
        changes = [[_tex(line.row), *(_tex_change(line.differences[name]) for name in FIGURES)] for line in part.lines if line.differences]
        if changes:
            blocks.append(_tabular(f"Difference to {table.baseline}", ["Row", *FIGURES.values()], changes))
    return "\n\n".join([*blocks, "\n".join(f"% {line}" for line in legend(table))]) + "\n"


def as_csv(table: BenchmarkTable) -> str:
    """One line a row, protocol and figure, with full precision; what is undefined is empty."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for part in table.parts:
        for line in part.lines:
            cost = table.costs[line.row]
            for name, summary in line.figures.items():
                change = line.differences.get(name)
                changed: Sequence[float | str | None] = (
                    [None] * 6 if change is None else [change.value, change.low, change.high, change.p, change.p_holm, change.mark]
                )
                values = [summary.value, summary.sd, summary.low, summary.high, *changed, line.paper.get(name)]
                spent = [cost.parameters, cost.flops, cost.steps, cost.train_seconds, cost.milliseconds_per_slice]
                head = [part.protocol, part.patients, line.row, line.policy, line.trainings, line.patients, name, summary.unit]
                writer.writerow([*head, *("" if value is None or value != value else value for value in [*values, *spent])])  # noqa: PLR0124
    return stream.getvalue()


FORMATS: Final[dict[str, Callable[[BenchmarkTable], str]]] = {"markdown": as_markdown, "latex": as_latex, "csv": as_csv}
"""Formats that are plain text; `as_text` is for the terminal."""


def _title(part: Part) -> str:
    return f"Protocol {part.protocol}, {part.patients}"


def _counts(line: Line) -> list[str]:
    return [f"{n} {word}{'' if n == 1 else 's'}" for n, word in ((line.trainings, "training"), (line.patients, "patient"))]


def _has_paper(part: Part) -> bool:
    return any(line.paper or line.mistaken for line in part.lines)


def _spread(summary: Summary, style: str = "text") -> str:
    """Mean ± SD; minus signs and ± as the format has them."""
    minus, plus_minus = ("-", r" \pm ") if style == "latex" else ("−", " ± ")
    if np.isnan(summary.value):
        return "-" if style == "latex" else "−"
    value = f"{summary.value:.2f}".replace("-", minus)
    return value if np.isnan(summary.sd) else f"{value}{plus_minus}{summary.sd:.2f}"


def _bracketed(summary: Summary) -> str:
    return "" if np.isnan(summary.low) else f" ({_range(summary.low, summary.high)})"


def _range(low: float, high: float, digits: int = 2) -> str:
    return f"{low:.{digits}f} to {high:.{digits}f}".replace("-", "−")


def _change(difference: Difference) -> str:
    value = f"{difference.value:+.2f}".replace("-", "−")
    return value + difference.mark + ("" if np.isnan(difference.low) else f" ({_range(difference.low, difference.high)})")


def _printed(line: Line, name: str) -> str:
    return f"{line.paper[name]:.2f}" if name in line.paper else "−" if line.mistaken and name in FIGURES else ""


def _text_cell(line: Line, name: str) -> str:
    summary = line.figures[name]
    lines = [f"[bold]{_spread(summary)}[/]"]
    if not np.isnan(summary.low):
        lines.append(f"[dim]{_range(summary.low, summary.high, 1)}[/]")
    if name in line.differences:
        difference = line.differences[name]
        lines.append(f"Δ {difference.value:+.2f}{difference.mark}".replace("-", "−"))
        lines += [] if np.isnan(difference.low) else [f"[dim]{_range(difference.low, difference.high, 1)}[/]"]
    if printed := _printed(line, name):
        lines.append(f"paper {printed}")
    return "\n".join(lines)


def _cost_cells(cost: Cost) -> list[str]:
    inference = "−" if cost.milliseconds_per_slice is None else f"{cost.milliseconds_per_slice:.1f}"
    return [
        f"{cost.parameters / 1e6:.3g}",
        f"{cost.flops / 1e9:.3g} at {cost.edge}²",
        str(cost.steps),
        f"{cost.train_seconds / 60:.1f}",
        inference,
    ]


def _pipes(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def _tex(text: str) -> str:
    for plain in "&%$#_{}":
        text = text.replace(plain, f"\\{plain}")
    return text


def _tex_range(figure: Summary | Difference) -> str:
    """An interval; each end in math mode, so that its sign is a minus."""
    return "" if np.isnan(figure.low) else rf"{{\scriptsize ${figure.low:.2f}$ to ${figure.high:.2f}$}}"


def _tex_change(difference: Difference) -> str:
    mark = rf"\textsuperscript{{{difference.mark}}}" if difference.mark else ""
    return f"${difference.value:+.2f}${mark} {_tex_range(difference)}".strip()


def _tabular(comment: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [" & ".join(row) + r" \\" for row in (head, *rows)]
    begin, end = rf"\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}", r"\end{tabular}"
    return "\n".join([f"% {comment}", begin, r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule", end])
