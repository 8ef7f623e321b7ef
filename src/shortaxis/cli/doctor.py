"""`shortaxis doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shortaxis.cli.console import FINDINGS, INPUT_ERROR, complain, print_json, show

if TYPE_CHECKING:
    from shortaxis.inspection import Finding, Inspection

MOST_SHOWN = 5
"""Parts that are shown whole; of more only those with something wrong."""
_COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}


def doctor(
    inputs: Annotated[
        list[Path],
        typer.Argument(metavar="INPUT", help="NIfTI files, DICOM studies, ACDC folders, data sets, model files; folders of them."),
    ],
    series: Annotated[
        str | None, typer.Option(metavar="SERIES", help="Number or UID of the DICOM series to look at as `segment --series` would take it.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print all that was found for a program to read.")] = False,
) -> None:
    """Say what an input is, what is in it, what is wrong with it and how to mend that. No network runs.

    Exit code 0 means that nothing is wrong, 1 that there are errors or warnings, 2 that there is no such input.

    [dim]Examples:[/]

    shortaxis doctor cine.nii.gz

    shortaxis doctor dicom/study --json
    """
    from rich.padding import Padding

    from shortaxis.errors import InputError
    from shortaxis.inspection import inspect_input, inspect_pieces

    inspections: list[Inspection] = []
    missing = False
    if len(inputs) > 1:
        inspections, inputs = inspect_pieces(inputs)
    for path in inputs:
        try:
            inspections.append(inspect_input(path, series=series))
        except InputError as error:
            complain(error)
            missing = True
    if json:
        print_json([inspection.to_dict() for inspection in inspections])
    else:
        for inspection in inspections:
            show(*(Padding(line, (0, 0, 0, indent)) for indent, line in _lines(inspection)))
    if missing:
        raise typer.Exit(INPUT_ERROR)
    if not all(inspection.is_clean for inspection in inspections):
        raise typer.Exit(FINDINGS)


def _lines(inspection: Inspection, indent: int = 0) -> list[tuple[int, str]]:
    """Lines in rich's markup, each with its indent."""
    from rich.markup import escape

    lines = [(indent, f"[bold]{escape(str(inspection.path))}[/]  {escape(inspection.kind)}")]
    inner = indent + 2
    for name, value in inspection.facts.items():
        rows = value if isinstance(value, list) and value and isinstance(value[0], str) else [_say(value)]
        head = name.replace("_", " ")
        lines += [(inner, f"[dim]{'' if number else head:18}[/]{escape(row)}") for number, row in enumerate(rows)]
    lines += [(inner, _line(finding)) for finding in inspection.findings]
    parts = inspection.parts if len(inspection.parts) <= MOST_SHOWN else [part for part in inspection.parts if not part.is_clean]
    for part in parts:
        lines += _lines(part, inner)
    if len(parts) < len(inspection.parts):
        lines.append((inner, f"[dim]and {len(inspection.parts) - len(parts)} without fault[/]"))
    if indent == 0:
        lines += [(inner, "[green]nothing is wrong[/]")] if inspection.is_clean else []
        lines += [(inner, f"[dim]next:[/] {escape(inspection.command)}")] if inspection.command else []
    return lines


def _line(finding: Finding) -> str:
    from rich.markup import escape

    remedy = f" [dim]→ {escape(finding.remedy)}[/]" if finding.remedy else ""
    return f"[{_COLOURS[finding.severity]}]{finding.severity}[/]: {escape(finding.message)}{remedy}"


def _say(value: Any) -> str:
    if value is None:
        return "not known"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " × ".join(map(str, value)) if value else "none"
    return str(value)
