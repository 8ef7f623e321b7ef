"""`shortaxis soup`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shortaxis.cli.console import print_json, show


def soup(
    models: Annotated[
        list[Path], typer.Argument(metavar="MODEL…", help="Model files that were trained from one start, which may be among them.")
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The .safetensors file to write.")],
    full: Annotated[bool, typer.Option("--full", help="Keep float32; by default weights are stored as float16, half the size.")] = False,
    fact: Annotated[
        list[str] | None, typer.Option(metavar="NAME=TEXT", help="More for the model's card, such as commit=1a2b3c; may be repeated.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the model's card as JSON to stdout.")] = False,
) -> None:
    """Average the weights of models that were trained on from one start: many trainings at the cost of running one.

    [dim]Example:[/]

    shortaxis train rows/unet --data acdc:ACDC --out a --start-from start/model.safetensors --seed 1

    shortaxis train rows/unet --data acdc:ACDC --out b --start-from start/model.safetensors --seed 2

    shortaxis soup a/model.safetensors b/model.safetensors --out soup.safetensors
    """
    from shortaxis.ensemble.soup import soup_of_files
    from shortaxis.training.export import read_facts

    card = soup_of_files(models, out, half=not full, facts=read_facts(fact or ()))
    if json:
        print_json(card)
    else:
        show(f"{out}: {out.stat().st_size / 2**20:.1f} MiB of {len(models)} models; look at it with `shortaxis model {out}`")
