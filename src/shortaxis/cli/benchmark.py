"""`shortaxis benchmark run`, `shortaxis benchmark pooling` and `shortaxis benchmark table`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shortaxis.cli.console import FINDINGS, complain, is_terminal, note, print_json, progress, show

if TYPE_CHECKING:
    from rich.table import Table

    from shortaxis.benchmark.jobs import Outcome

benchmark = typer.Typer(
    no_args_is_help=True,
    help="Train and score the rows of the ablation study, and put their figures side by side.\n\n"
    "[dim]Example:[/]\n\nshortaxis benchmark run --rows ablation --data acdc:acdc/training --hold-out 4 --out results",
)


@benchmark.command()
def run(
    data: Annotated[str, typer.Option(metavar="KIND:PATH", help="What to train on, such as acdc:acdc/training or packed:acdc.zip.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the jobs; those that are finished there are kept.")],
    rows: Annotated[str, typer.Option(help="Recipes by name or path, with commas; or a group: ablation, beyond, all.")] = "ablation",
    seeds: Annotated[str, typer.Option(help="Seeds of the trainings, with commas.")] = "0",
    test: Annotated[str | None, typer.Option(metavar="KIND:PATH", help="Patients that are scored once and never selected on.")] = None,
    hold_out: Annotated[int | None, typer.Option(metavar="N", min=1, help="Hold out N patients of each group.")] = None,
    fold: Annotated[str | None, typer.Option(metavar="K", help="Hold out fold K, counted from 0; several with commas, or all.")] = None,
    folds: Annotated[int, typer.Option(metavar="N", min=2, help="Number of folds.")] = 5,
    budget: Annotated[
        str | None, typer.Option(help="steps=N or minutes=M of training for every row; by default each recipe's own schedule.")
    ] = None,
    minutes_per_job: Annotated[
        float | None,
        typer.Option(
            metavar="MIN", min=0, help="Limit of a job, all calls together; what is trained by then is scored, and said to be incomplete."
        ),
    ] = None,
    sweep: Annotated[
        bool, typer.Option("--sweep", help="For Fig. 2: sweep the weights of rows of two members under Fixed pooling.")
    ] = False,
    scale: Annotated[
        str | None, typer.Option(help="Make every row smaller alike: small is for a CPU. By default rows have the size of their recipes.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    json: Annotated[bool, typer.Option("--json", help="Print what became of each job as JSON to stdout.")] = False,
) -> None:
    """Train rows with several seeds, score each under all protocols, and leave one JSON file a job.

    A job is one row, one seed and one fold. Give the same command again to go on: a finished job is kept, one that was stopped resumes.
    A job whose test score is known is final.
    Exit code 1 means that a job failed; the others were run.

    [dim]Examples:[/]

    shortaxis benchmark run --rows ablation --seeds 0,1,2 --data acdc:acdc/training --hold-out 4 --out results

    shortaxis benchmark run --rows rows/unet,rows/2unet-uncertainty --data acdc:acdc/training --test acdc:acdc/testing --out results
    """
    from shortaxis.benchmark.experiment import open_experiment
    from shortaxis.benchmark.jobs import run_jobs

    numbers = _numbers(seeds)
    with progress("Benchmark") as report:
        experiment = open_experiment(
            rows.split(","),
            data,
            out,
            seeds=numbers,
            test=test,
            per_group=hold_out,
            fold=fold,
            folds=folds,
            budget=budget,
            minutes_per_job=minutes_per_job,
            sweep=sweep,
            scale=scale,
            device=device,
            on_read=lambda name: report(0, None, f"reading {name}"),
        )
        for remark in experiment.remarks():
            note(remark[0].upper() + remark[1:])
        for pair in experiment.shared:
            note(f"Test patient {pair.test} has the images of {pair.training}; scores are given with and without")
        outcomes = run_jobs(experiment, on_progress=report, on_outcome=_tell)
    if json:
        print_json([outcome.to_dict() for outcome in outcomes])
    else:
        show(_outcomes(outcomes), f"shortaxis benchmark table {out} puts all results side by side")
    if any(outcome.state == "failed" for outcome in outcomes):
        raise typer.Exit(FINDINGS)


@benchmark.command()
def pooling(
    data: Annotated[str, typer.Option(metavar="KIND:PATH", help="What to score, such as acdc:acdc/training or packed:acdc.zip.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="New folder of the results, one for each row and choice of members.")],
    model: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Model whose members are pooled anew; by default the released one."),
    ] = None,
    rows: Annotated[
        str | None, typer.Option(help="Recipes whose pooling and views to try, with commas; by default those for two UNets.")
    ] = None,
    everybody: Annotated[
        bool, typer.Option("--all", help="Score all patients of the data, also those that the model was trained on.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    json: Annotated[bool, typer.Option("--json", help="Print the paths of the results as JSON to stdout.")] = False,
) -> None:
    """Pool the members of a trained model by other rules, and score each: what a rule is worth where nothing else changes.

    Nothing is trained. The results are read by `benchmark table` and by `figures 4`.

    [dim]Example:[/]

    shortaxis benchmark pooling --model run/model.safetensors --data acdc:acdc/training --out pooled
    """
    from shortaxis.benchmark.repooling import POOLINGS, repooled, score_repooled, unseen_by
    from shortaxis.benchmark.rows import rows_named
    from shortaxis.datasets import open_dataset
    from shortaxis.inference.device import choose_device
    from shortaxis.inference.predictor import load_model

    with progress("Pooling") as report:
        loaded = load_model(model, choose_device(device))
        models = repooled(loaded, rows_named(POOLINGS if rows is None else rows.split(",")))
        dataset = open_dataset(data)
        source = "the released model" if model is None else model.name
        paths = score_repooled(models, dataset if everybody else unseen_by(loaded, dataset), out, source, report)
    if json:
        print_json([str(path) for path in paths])
    else:
        note(f"{len(paths)} results; shortaxis benchmark table {out} puts them side by side")


@benchmark.command()
def nnunet(
    data: Annotated[str, typer.Option(metavar="KIND:PATH", help="What to train on, such as acdc:acdc/training.")],
    test: Annotated[str, typer.Option(metavar="KIND:PATH", help="Patients that are scored.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of everything that nnU-Net writes, and of nnunet.json.")],
    configurations: Annotated[str, typer.Option(help="nnU-Net's configurations with commas; their softmax is averaged.")] = "2d,3d_fullres",
    folds: Annotated[int, typer.Option(metavar="N", min=2, help="Number of folds, drawn by patient.")] = 5,
    trainer: Annotated[str, typer.Option(help="nnU-Net's trainer; nnUNetTrainer_100epochs is a shorter one.")] = "nnUNetTrainer",
    device: Annotated[str, typer.Option(help="cuda, cpu or mps.")] = "cuda",
    seed: Annotated[int, typer.Option(min=0, help="Draws the folds.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print the scores as JSON to stdout.")] = False,
) -> None:
    """Train nnU-Net itself (pip install 'shortaxis[nnunet]') and score it under all protocols; the same command goes on.

    [dim]Example:[/]

    shortaxis benchmark nnunet --data acdc:acdc/training --test acdc:acdc/testing --out nnunet --trainer nnUNetTrainer_100epochs
    """
    from shortaxis.benchmark.nnunet import RESULT, NnUNetOptions, NnUNetRow
    from shortaxis.datasets import open_dataset

    options = NnUNetOptions(tuple(configurations.split(",")), folds, trainer, device, seed)
    scored = NnUNetRow(open_dataset(data), open_dataset(test), out, options, on_step=note).run()
    if json:
        print_json({name: scores.overall for name, scores in scored.protocols.items()})
    else:
        note(f"scores of {scored.frames} frames in {out / RESULT}")


@benchmark.command()
def table(
    results: Annotated[Path, typer.Argument(metavar="DIR", help="Folder with the results of `shortaxis benchmark run`.")],
    protocol: Annotated[str, typer.Option(help="reference, paper, clinical, several with commas, or all.")] = "all",
    format_: Annotated[str, typer.Option("--format", help="text, markdown, latex or csv.")] = "text",
    baseline: Annotated[str | None, typer.Option(metavar="ROW", help="Row to hold the others against; by default rows/unet.")] = None,
    on: Annotated[str | None, typer.Option(help="held-out or test; by default held-out patients where there are any.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print everything as JSON to stdout.")] = False,
) -> None:
    """Print Table 1 from the JSON files of finished jobs, with intervals, differences to a baseline, and the paper's figures.

    Figures of two protocols never share a table.

    [dim]Example:[/]

    shortaxis benchmark table results --protocol reference --format markdown --baseline rows/unet
    """
    from shortaxis.benchmark.result import read_results
    from shortaxis.benchmark.table import build_table, table_to_dict
    from shortaxis.benchmark.table_formats import FORMATS, as_text

    for value, known, option in ((format_, ("text", *FORMATS), "--format"), (on, (None, "held-out", "test"), "--on")):
        if value not in known:
            msg = f"{option} is one of {', '.join(name for name in known if name)}, not {value}."
            raise typer.BadParameter(msg)
    protocols = None if protocol == "all" else protocol.split(",")
    built = build_table(read_results(results), protocols, baseline=baseline, on=on)  # type: ignore[arg-type]
    if json:
        print_json(table_to_dict(built))
    elif format_ == "text":
        show(*as_text(built))
    else:
        typer.echo(FORMATS[format_](built), nl=False)


def _numbers(seeds: str) -> list[int]:
    parts = [part.strip() for part in seeds.split(",")]
    if not all(part.isdecimal() for part in parts):
        msg = f"--seeds takes whole numbers with commas, such as 0,1,2, not '{seeds}'."
        raise typer.BadParameter(msg)
    return [int(part) for part in parts]


def _tell(outcome: Outcome) -> None:
    """Say at once what failed; where nobody watches a bar, say also what is done."""
    if outcome.error is not None:
        complain(outcome.error, f"{outcome.job} failed")
    elif not is_terminal():
        note(f"{outcome.job}: {outcome.state}")
    for told in outcome.notes:
        note(f"{outcome.job}: {told}")


def _outcomes(outcomes: list[Outcome]) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("Job", "State", "Result"):
        table.add_column(heading, overflow="fold")
    for outcome in outcomes:
        words: dict[str, Any] = {"failed": f"[red]{outcome.state}[/]", "unfinished": f"[yellow]{outcome.state}[/]"}
        table.add_row(outcome.job, words.get(outcome.state, outcome.state), "" if outcome.path is None else str(outcome.path))
    return table
