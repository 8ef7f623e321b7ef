"""Table 1 from the JSON files of finished jobs: figures of every row, what they cost, and how they differ from a baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from shortaxis.benchmark.comparable import are_same_trainings, notes_on, notes_on_patients, refuse_sizes_apart
from shortaxis.benchmark.paper import mistaken_twin, paper_order, paper_row, paper_table
from shortaxis.benchmark.result import without
from shortaxis.benchmark.statistics import DRAWS, Difference, Summary, compare_rows, corrected, replicates, summarise_row
from shortaxis.errors import InputError
from shortaxis.metrics.protocols import PROTOCOLS, protocols_named

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from shortaxis.benchmark.result import Result
    from shortaxis.metrics.bootstrap import Resampling
    from shortaxis.metrics.case import CaseScore

On = Literal["held-out", "test"]

FIGURES: Final = {"dsc_average": "Average", "dsc_rv": "RV", "dsc_myo": "MYO", "dsc_lv": "LV", "ec": "EC"}
"""Figures that every protocol has, in the paper's order, and their headings."""

ALSO: Final = {"clinical": {"hd95_average": "HD95", "lv_ef_bias": "LVEF bias", "lv_ef_sd": "LVEF SD"}}
"""What a protocol has beside them."""


PAPERS_DATA: Final = "acdc"
"""How the name of the data set begins whose test patients the printed figures are of; a packed one has the name of its file."""


@dataclass(frozen=True)
class Cost:
    """What a row costs.

    Attributes:
        parameters: Trained values of all members.
        flops: Operations to segment one slice.
        edge: Edge in pixels of that slice.
        train_seconds: Mean over trainings.
        milliseconds_per_slice: Mean time to segment a slice, image to labels on the native grid; None where nothing was scored.
        steps: Optimizer steps that each network gets.
    """

    parameters: int
    flops: int
    edge: int
    train_seconds: float
    milliseconds_per_slice: float | None
    steps: int


@dataclass(frozen=True)
class Line:
    """One row of a part.

    Attributes:
        row: Its name.
        title: The recipe's line for people.
        policy: How the members come by their training.
        trainings: Replicates that the figures are the mean of.
        patients: Patients that they rest on.
        figures: By name.
        differences: To the baseline; empty for the baseline itself.
        paper: Printed figures by name; empty where the paper has none of this protocol and these patients.
        mistaken: Whether the paper's figures of the row were made by mistaken code, so that they stand beside another row.
    """

    row: str
    title: str
    policy: str
    trainings: int
    patients: int
    figures: dict[str, Summary]
    differences: dict[str, Difference]
    paper: dict[str, float]
    mistaken: bool = False


@dataclass(frozen=True)
class Part:
    """Figures of one protocol on one set of patients; figures of two protocols never share a part.

    Attributes:
        protocol: Name of the protocol.
        description: What it computes.
        patients: Whom it is about, in words.
        headings: By name of figure.
        lines: In the paper's order.
    """

    protocol: str
    description: str
    patients: str
    headings: dict[str, str]
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class BenchmarkTable:
    """Table 1.

    Attributes:
        baseline: Name of the row that the others are held against.
        on: `held-out` or `test`.
        parts: One a protocol; on test patients that share an image with training, a second one without them.
        costs: By name of row.
        notes: What keeps rows from being compared, one sentence each.
        resampling: How the intervals were drawn.
    """

    baseline: str
    on: On
    parts: tuple[Part, ...]
    costs: dict[str, Cost]
    notes: tuple[str, ...]
    resampling: Resampling


def build_table(
    results: Sequence[Result],
    protocols: Sequence[str] | None = None,
    *,
    baseline: str | None = None,
    on: On | None = None,
    resampling: Resampling = DRAWS,
) -> BenchmarkTable:
    """Make the table.

    Args:
        results: Of any number of rows and seeds.
        protocols: Their names, in order; None for all.
        baseline: Name of a row, or the last part of it; None takes the first of `rows/unet`, `unet` that is there, otherwise the first row.
        on: Which patients; None takes held-out patients where there are any.
        resampling: How to draw the intervals.

    Raises:
        InputError: The baseline or a protocol is not there, no result has scores of such patients, or results are of different scales.
    """
    names = [protocol.name for protocol in protocols_named("all" if protocols is None else protocols)]
    on = on or ("held-out" if any(result.held_out is not None for result in results) else "test")
    rows = _by_row([result for result in results if (result.held_out if on == "held-out" else result.test) is not None])
    if not rows:
        remedy = "run the jobs with --test" if on == "test" else "run the jobs with --hold-out or --fold"
        msg = f"no result has scores on {on} patients; {remedy}"
        raise InputError(msg)
    refuse_sizes_apart(rows)
    chosen = _baseline(baseline, rows)
    shared = sorted({pair.test for results in rows.values() for result in results for pair in result.shared}) if on == "test" else []
    parts = []
    for name in names:
        parts.append(_part(rows, chosen, on, name, (), resampling))
        if shared:
            parts.append(_part(rows, chosen, on, name, shared, resampling))
    costs = {row: _cost(results) for row, results in rows.items()}
    scored = {row: [{score.patient for score in scores} for scores in replicates(found, on, names[0])] for row, found in rows.items()}
    notes = [*notes_on(rows, chosen), *notes_on_patients(scored, chosen), *_twins(rows, on), *_on_paper(rows, names, on)]
    return BenchmarkTable(chosen, on, tuple(parts), costs, tuple(notes), resampling)


def _by_row(results: Sequence[Result]) -> dict[str, list[Result]]:
    names = sorted({result.row for result in results}, key=paper_order)
    return {name: [result for result in results if result.row == name] for name in names}


def _baseline(asked: str | None, rows: Mapping[str, Sequence[Result]]) -> str:
    wanted = [asked] if asked is not None else ["rows/unet", "unet"]
    for name in wanted:
        found = [row for row in rows if row == name] or [row for row in rows if row.rpartition("/")[2] == name]
        if found:
            return found[0]
    if asked is not None:
        msg = f"no row is called '{asked}'; the results hold {', '.join(rows)}"
        raise InputError(msg)
    return next(iter(rows))


def _part(
    rows: Mapping[str, Sequence[Result]], baseline: str, on: On, protocol: str, shared: Collection[str], resampling: Resampling
) -> Part:
    headings = FIGURES | ALSO.get(protocol, {})
    trained = {row: [without(list(scores), shared) for scores in replicates(results, on, protocol)] for row, results in rows.items()}
    source = {row: baseline if are_same_trainings(rows[row], rows[baseline]) else row for row in rows}
    differences = {
        row: compare_rows((source[row], trained[row]), (baseline, trained[baseline]), protocol, list(FIGURES), resampling)
        for row in rows
        if row != baseline
    }
    for figure in FIGURES:
        of_figure = corrected({row: found[figure] for row, found in differences.items() if figure in found})
        for row, difference in of_figure.items():
            differences[row][figure] = difference
    lines = [_line(results[0], trained[row], on, protocol, differences.get(row, {}), resampling) for row, results in rows.items()]
    people = "held-out patients" if on == "held-out" else "test patients"
    return Part(
        protocol, PROTOCOLS[protocol].description, people + (f" without {', '.join(shared)}" if shared else ""), headings, tuple(lines)
    )


def _line(
    result: Result,
    trained: Sequence[Sequence[CaseScore]],
    on: On,
    protocol: str,
    differences: dict[str, Difference],
    resampling: Resampling,
) -> Line:
    headings = FIGURES | ALSO.get(protocol, {})
    beside = protocol == paper_table().protocol and _as_in_paper(result, on)
    printed = paper_row(result.row) if beside else None
    values = {} if printed is None else {figure: printed.figure(figure) for figure in headings}
    return Line(
        result.row,
        result.title,
        result.policy,
        len(trained),
        len({score.patient for scores in trained for score in scores}),
        summarise_row(result.row, trained, protocol, list(headings), resampling),
        differences,
        {figure: value for figure, value in values.items() if value is not None},
        beside and mistaken_twin(result.row) is not None,
    )


def _as_in_paper(result: Result, on: On) -> bool:
    """Whether the paper's figures are of these patients: ACDC's test set."""
    return on == "test" and result.test is not None and result.test.data.lower().startswith(PAPERS_DATA)


def _cost(results: Sequence[Result]) -> Cost:
    scored = [part for result in results for part in (result.held_out, result.test) if part is not None]
    slices = sum(part.slices for part in scored)
    first = results[0]
    return Cost(
        first.parameters,
        first.flops,
        first.edge,
        float(np.mean([result.train_seconds for result in results])),
        1000 * sum(part.inference_seconds for part in scored) / slices if slices else None,
        first.updates // first.members,
    )


def _twins(rows: Mapping[str, Sequence[Result]], on: On) -> list[str]:
    """Name the test patients that were trained on under another name."""
    pairs = {(pair.test, pair.training) for results in rows.values() for result in results for pair in result.shared}
    return (
        [f"test patient {test} has the images of training patient {training}" for test, training in sorted(pairs)] if on == "test" else []
    )


def _on_paper(rows: Mapping[str, Sequence[Result]], protocols: Sequence[str], on: On) -> list[str]:
    """Say where the paper's figures are that a reader looks for in vain."""
    printed = [row for row in rows if paper_row(row) is not None or mistaken_twin(row) is not None]
    if not printed or paper_table().protocol not in protocols:
        return []
    if not any(_as_in_paper(rows[row][0], on) for row in printed):
        return ["the paper's figures are of ACDC's test patients, and stand beside scores of these alone"]
    return [
        f"{row}: the paper's figures of this row were made with the mistake of its code; they belong to {twin}"
        for row in printed
        if (twin := mistaken_twin(row)) is not None
    ]


def table_to_dict(table: BenchmarkTable) -> dict[str, Any]:
    """JSON-able form; what is undefined is None."""
    return {
        "baseline": table.baseline,
        "on": table.on,
        "draws": {
            "unit": "patient and training",
            "rounds": table.resampling.rounds,
            "seed": table.resampling.seed,
            "level": table.resampling.level,
        },
        "parts": [
            {
                "protocol": part.protocol,
                "description": part.description,
                "patients": part.patients,
                "rows": [
                    {
                        "row": line.row,
                        "title": line.title,
                        "policy": line.policy,
                        "trainings": line.trainings,
                        "patients": line.patients,
                        "figures": {name: summary.to_dict() for name, summary in line.figures.items()},
                        "differences": {name: difference.to_dict() for name, difference in line.differences.items()},
                        "paper": line.paper,
                    }
                    for line in part.lines
                ],
            }
            for part in table.parts
        ],
        "costs": {
            row: {
                "parameters": cost.parameters,
                "flops": cost.flops,
                "edge": cost.edge,
                "train_seconds": cost.train_seconds,
                "milliseconds_per_slice": cost.milliseconds_per_slice,
                "steps": cost.steps,
            }
            for row, cost in table.costs.items()
        },
        "notes": list(table.notes),
    }
