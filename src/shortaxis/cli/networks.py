"""`shortaxis networks`."""

from __future__ import annotations

from typing import Annotated

import typer

from shortaxis.cli.console import print_json, show


def networks(
    recipe: Annotated[str | None, typer.Argument(metavar="[RECIPE]", help="Count the members of this recipe, on its own grid.")] = None,
    size: Annotated[
        int | None, typer.Option(min=16, max=1024, help="Edge of the slice in pixels; by default 224, or the recipe's.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON to stdout.")] = False,
) -> None:
    """Count parameters and arithmetic of the networks, or of a recipe's ensemble.

    FLOPs are those of one slice forward, a multiplication and an addition being two.

    [dim]Examples:[/]

    shortaxis networks

    shortaxis networks release
    """
    from rich.table import Table

    from shortaxis.training.costs import count_recipe, count_registered

    rows = count_registered(size or 224) if recipe is None else count_recipe(recipe, size)
    if json:
        print_json(rows)
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("Network")
    for heading in ("Slice", "Parameters\n[dim]M[/]", "FLOPs\n[dim]G[/]"):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(row["name"], f"{row['size']}²", f"{row['parameters'] / 1e6:.3f}", f"{row['flops'] / 1e9:.2f}")
    show(table)
