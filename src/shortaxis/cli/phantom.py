"""`shortaxis phantom`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shortaxis.cli.console import progress, show


def phantom(
    out: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to fill.")],
    n: Annotated[int, typer.Option("-n", "--patients", min=1, help="Number of virtual patients.")] = 5,
    layout: Annotated[str, typer.Option(help="acdc, mnms or nnunet.")] = "acdc",
    seed: Annotated[int, typer.Option(min=0, help="Chooses the patients.")] = 0,
    phases: Annotated[int, typer.Option(min=2, help="Phases of each cine.")] = 20,
) -> None:
    """Write virtual patients, with exact labels, as a folder in the layout of ACDC, M&Ms or nnU-Net.

    The five groups of ACDC take turns: NOR, DCM, HCM, MINF, RV.

    [dim]Example:[/]

    shortaxis phantom phantoms --patients 10 --layout acdc
    """
    from shortaxis.datasets.phantom import write_phantoms

    with progress("Rendering"):
        write_phantoms(out, n, layout=layout, seed=seed, n_phases=phases)
    show(f"{n} virtual patients in {out}; open them as {layout}:{out}")
