"""`shortaxis export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shortaxis.cli.console import print_json, show


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished training run.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The .safetensors file to write.")],
    full: Annotated[bool, typer.Option("--full", help="Keep float32; by default weights are stored as float16, half the size.")] = False,
    fact: Annotated[
        list[str] | None, typer.Option(metavar="NAME=TEXT", help="More for the model's card, such as commit=1a2b3c; may be repeated.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the model's card as JSON to stdout.")] = False,
) -> None:
    """Write the model of a run as one small file, with the scores on its held-out patients in the header.

    [dim]Example:[/]

    shortaxis export run --out my-model.safetensors --fact "licence=for non-commercial research"
    """
    from shortaxis.training.export import export_run, read_facts

    card = export_run(run, out, half=not full, facts=read_facts(fact or ()))
    if json:
        print_json(card)
    else:
        show(f"{out}: {out.stat().st_size / 2**20:.1f} MiB; look at it with `shortaxis model {out}`")
