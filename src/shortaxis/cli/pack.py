"""`shortaxis pack`."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Annotated

import typer

from shortaxis.cli.console import print_json, progress, show


def pack(
    data: Annotated[str, typer.Argument(metavar="DATA", help="Data set, KIND:PATH, such as acdc:acdc/training.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The .zip file to write.")],
    json: Annotated[bool, typer.Option("--json", help="Print what was packed as JSON to stdout.")] = False,
) -> None:
    """Pack a data set into one small file of lossless images, to carry it elsewhere and to open it fast.

    [dim]Example:[/]

    shortaxis pack acdc:acdc/training --out acdc.zip
    """
    from shortaxis.datasets import open_dataset
    from shortaxis.datasets.packed import write_packed
    from shortaxis.datasets.watching import watched

    dataset = open_dataset(data)
    with progress("Packing") as report:
        count = itertools.count(1)
        write_packed(watched(dataset, lambda name: report(next(count), len(dataset), name)), out)
    frames, patients, size = len(dataset), len(dataset.patients), out.stat().st_size
    if json:
        print_json({"file": str(out), "frames": frames, "patients": patients, "bytes": size})
    else:
        show(f"{out}: {frames} frames of {patients} patients, {size / 2**20:.1f} MiB; open it as packed:{out}")
