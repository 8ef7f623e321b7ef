"""`shortaxis calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from shortaxis.cli.console import print_json, progress, show


def calibrate(
    models: Annotated[
        list[Path],
        typer.Argument(metavar="MODEL...", help="Model files (.safetensors), such as the folds of a cross-validation; several need --for."),
    ],
    data: Annotated[str, typer.Option(metavar="KIND:PATH", help="Data set, such as acdc:acdc/training.")],
    split: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The run's split.json: only the patients that it names are used.")
    ] = None,
    target: Annotated[
        Path | None,
        typer.Option(
            "--for",
            metavar="FILE",
            help="Give it to this model: of the same architecture, trained on all patients.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="By default MODEL.calibration.json beside the model that it is for.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    json: Annotated[bool, typer.Option("--json", help="Print the calibration as JSON to stdout.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print how well it does as Markdown tables to stdout.")] = False,
) -> None:
    """Learn from annotated patients when a slice is to be checked, how wide intervals must be, and which scans are known.

    Each patient is judged by the first model that was not trained on it; a patient that all models have seen is left out.

    [dim]Examples:[/]

    shortaxis calibrate run/model.safetensors --data acdc:acdc/training --split run/split.json

    shortaxis calibrate fold0.safetensors fold1.safetensors --for release.safetensors --data acdc:acdc/training
    """
    import itertools
    from dataclasses import asdict

    from shortaxis.datasets import open_dataset
    from shortaxis.datasets.splits import Split
    from shortaxis.quality.calibrating import calibrate_files
    from shortaxis.quality.calibration import calibration_path
    from shortaxis.quality.calibration_tables import markdown_tables
    from shortaxis.reports.wording import plural

    dataset = open_dataset(data)
    if split is not None:
        chosen = Split.from_json(split)
        dataset = dataset.select((*chosen.train, *chosen.held_out))
    with progress("Calibrating") as report:
        count = itertools.count(1)
        of_all = len(dataset.patients)
        calibration = calibrate_files(models, dataset, device, target=target, on_patient=lambda name: report(next(count), of_all, name))
    path = calibration_path(target or models[0]) if out is None else out
    calibration.save(path)
    if json:
        print_json(asdict(calibration))
        return
    if markdown:
        typer.echo(markdown_tables(calibration))
        return
    patients = calibration.trust.provenance["patients"]
    show(f"{path}: learnt from {plural(len(patients), 'wholly annotated patient')} that the networks had not seen")
    for source, figures in calibration.trust.provenance["end_slices"].items():
        show(_in_words(source, figures))


def _in_words(source: str, figures: dict[str, Any]) -> str:
    """One line on the end slices of one source, each judged by a forest that has not seen its patient."""
    return (
        f"Scans {source}: {figures['slices']} end slices, {figures['poor']} of them poor; AUROC {_number(figures['auroc'])}, "
        f"caught {_number(figures['caught_dsc_below_0.7'])} of those with DSC < 0.7, "
        f"flagged {_number(figures['flagged_good'])} of the good ones"
    )


def _number(value: float | None) -> str:
    return "−" if value is None else f"{value:.2f}"
