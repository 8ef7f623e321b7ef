"""`shortaxis split`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from shortaxis.cli.console import print_json, show


def split(
    data: Annotated[str, typer.Argument(metavar="DATA", help="Data set, KIND:PATH, such as acdc:acdc/training.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="JSON file to write.")],
    hold_out: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Hold out N patients of each group, of a small group at most half.")
    ] = None,
    fold: Annotated[int | None, typer.Option(metavar="K", min=0, help="Hold out fold K, counted from 0.")] = None,
    folds: Annotated[int, typer.Option(metavar="N", min=2, help="Number of folds.")] = 5,
    seed: Annotated[int, typer.Option(help="Draws the patients.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print the split as JSON to stdout.")] = False,
) -> None:
    """Split the patients of a data set, evenly over the groups and without leaks.

    Patients with identical images always fall on one side.

    [dim]Examples:[/]

    shortaxis split acdc:acdc/training --hold-out 4 --out split.json

    shortaxis split acdc:acdc/training --fold 0 --folds 5 --out fold0.json
    """
    from shortaxis.datasets import open_dataset
    from shortaxis.datasets.split_choice import choose_split
    from shortaxis.errors import InputError

    chosen = choose_split(open_dataset(data), fold=fold, folds=folds, per_group=hold_out, seed=seed)
    if chosen is None:
        msg = "say how to split: --hold-out N or --fold K"
        raise InputError(msg)
    chosen.to_json(out)
    if json:
        print_json(asdict(chosen))
    else:
        show(f"{len(chosen.train)} patients to train on, {len(chosen.held_out)} held out: {', '.join(chosen.held_out)}")
