"""`shortaxis train`."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shortaxis.cli.console import is_terminal, note, print_json, progress, show

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.table import Table

    from shortaxis.training.loop import Progress

SECONDS_BETWEEN_LINES = 30.0


def train(
    recipe: Annotated[str | None, typer.Argument(metavar="RECIPE", help="Name of a recipe (see --list), or path of a .toml file.")] = None,
    data: Annotated[str | None, typer.Option(metavar="KIND:PATH", help="Data set, such as acdc:acdc/training or packed:acdc.zip.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="RUN", help="Folder for checkpoint, log, model and scores.")] = None,
    fold: Annotated[int | None, typer.Option(metavar="K", min=0, help="Hold out fold K, counted from 0.")] = None,
    folds: Annotated[int, typer.Option(metavar="N", min=2, help="Number of folds.")] = 5,
    hold_out: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Hold out N patients of each group, of a small group at most half.")
    ] = None,
    split: Annotated[Path | None, typer.Option(metavar="FILE", help="Split as `shortaxis split` wrote it.")] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of the training, in place of the recipe's; folds and hold-out do not change.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    time_budget: Annotated[float | None, typer.Option(metavar="MIN", min=0, help="Stop after so many minutes; --resume goes on.")] = None,
    steps: Annotated[int | None, typer.Option(metavar="N", min=1, help="Stop after so many steps; --resume goes on.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    start_from: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Start with the weights of this model file, which must fit the recipe's members.")
    ] = None,
    finder: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Network that finds the heart, for a recipe with an aligned grid; default: the released one."),
    ] = None,
    list_recipes: Annotated[bool, typer.Option("--list", help="List the recipes of the package and leave.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print how it ended as JSON to stdout.")] = False,
) -> None:
    """Train a recipe, and score it on the held-out patients at the end.

    Without --fold, --hold-out or --split all patients are trained on, and nothing is scored. Several GPUs: start it with torchrun.

    [dim]Examples:[/]

    shortaxis train release --data acdc:acdc/training --hold-out 4 --out run

    shortaxis train release --data acdc:acdc/training --out run --resume

    torchrun --nproc-per-node 2 -m shortaxis train release --data packed:acdc.zip --out run
    """
    if list_recipes:
        _list(json)
        return
    for value, name in ((recipe, "RECIPE"), (data, "--data"), (out, "--out")):
        if value is None:
            msg = f"Missing {name}."
            raise typer.BadParameter(msg)
    assert recipe is not None
    assert data is not None
    assert out is not None

    from shortaxis.training.sitting import result_to_dict, train_sitting

    with progress(f"Training {recipe}") as report:
        result = train_sitting(
            recipe,
            data,
            out,
            split_file=split,
            fold=fold,
            folds=folds,
            per_group=hold_out,
            seed=seed,
            device=device,
            minutes=time_budget,
            steps=steps,
            resume=resume,
            start_from=start_from,
            finder=finder,
            on_read=lambda name: report(0, None, f"reading {name}"),
            on_progress=_reporter(report),
        )
    if os.environ.get("RANK", "0") != "0":  # under torchrun one process speaks for all
        return
    if json:
        print_json(result_to_dict(result))
    elif not result.complete:
        show(f"Stopped at step {result.step} of {result.total}; go on with the same command and --resume")
    else:
        show(*([_table(result.validation)] if result.validation else []), f"{result.step} steps done; the model lies in {result.model}")


def _list(json: bool) -> None:
    from rich.table import Table

    from shortaxis.training.recipe import load_recipe, recipe_names

    titles = {name: load_recipe(name).title for name in recipe_names()}
    if json:
        print_json(titles)
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, title in titles.items():
        table.add_row(name, f"[dim]{title}[/]")
    show(table)


def _reporter(report: Callable[[float, float | None, str], None]) -> Callable[[Progress], None]:
    """Show progress in the bar; where there is no terminal, as a line now and then."""
    spoken = [-SECONDS_BETWEEN_LINES]

    def on_progress(now: Progress) -> None:
        state = f"loss {now.loss:.4f}  lr {now.learning_rate:.1e}  {now.slices_per_second:.0f} slices/s"
        report(now.step, now.total, state)
        if not is_terminal() and (time.monotonic() - spoken[0] >= SECONDS_BETWEEN_LINES or now.step == now.total):
            note(f"step {now.step}/{now.total}  {state}  {now.seconds:.0f} s")
            spoken[0] = time.monotonic()

    return on_progress


def _table(validation: dict[str, Any]) -> Table:
    """DSC and EC on the held-out patients, a row a protocol."""
    from rich.table import Table

    table = Table(title="Held-out patients", title_justify="left", box=None, pad_edge=False)
    table.add_column("Protocol")
    columns = {"dsc_average": "DSC", "dsc_rv": "RV", "dsc_myo": "MYO", "dsc_lv": "LV", "ec": "EC"}
    for heading in columns.values():
        table.add_column(f"{heading}\n[dim]%[/]", justify="right")
    for name, result in validation["results"].items():
        values = (result["overall"][column]["value"] for column in columns)
        table.add_row(name, *("−" if value is None else f"{value:.2f}" for value in values))
    return table
