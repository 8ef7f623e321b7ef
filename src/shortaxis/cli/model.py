"""`shortaxis model`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shortaxis.cli.console import print_json, show


def model(
    path: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="Model file; by default the released model.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print everything as JSON to stdout.")] = False,
) -> None:
    """Tell what a model file is: members, pooling, grid, where it was trained and on whom.

    [dim]Examples:[/]

    shortaxis model

    shortaxis model run/model.safetensors --json
    """
    from rich.table import Table

    from shortaxis.ensemble.description import describe_model
    from shortaxis.inference import released_model_path

    facts = describe_model(released_model_path() if path is None else path)
    if json:
        print_json(facts)
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    card = facts.pop("card")
    for name, value in (facts | card).items():
        table.add_row(name.replace("_", " "), _in_words(value))
    show(table)


def _in_words(value: object) -> str:
    """A value in a few words; whatever is long stands in full in the JSON."""
    if isinstance(value, dict):
        return (
            f"{value['name']} (all of it: --json)"
            if "name" in value
            else ", ".join(f"{key} {_in_words(part)}" for key, part in value.items())
        )
    if isinstance(value, list):
        return ", ".join(map(_in_words, value)) if len(value) <= 8 else f"{len(value)}: {_in_words(value[:3])} …"
    return str(value)
