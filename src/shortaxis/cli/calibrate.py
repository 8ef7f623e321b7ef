"""`shortaxis calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shortaxis.cli.console import print_json, progress, show


def calibrate(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Model file (.safetensors).")],
    data: Annotated[str, typer.Option(metavar="KIND:PATH", help="Data set, such as acdc:acdc/training.")],
    split: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The run's split.json: only the patients that it names are used.")
    ] = None,
    sibling: Annotated[
        Path | None,
        typer.Option(
            "--for",
            metavar="FILE",
            help="Give it to this model: the same recipe, or MODEL trained further, on all patients.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="By default MODEL.calibration.json beside the model that it is for.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    json: Annotated[bool, typer.Option("--json", help="Print the calibration as JSON to stdout.")] = False,
) -> None:
    """Learn from annotated patients when an end slice is to be checked, and how wide the intervals of the indices must be.

    Threshold, intervals and figures come from the held-out patients. Those that the model was trained on only teach what a poor slice
    looks like.

    [dim]Examples:[/]

    shortaxis calibrate run/model.safetensors --data acdc:acdc/training --split run/split.json

    shortaxis calibrate held-out.safetensors --for release.safetensors --data acdc:acdc/training --split run/split.json
    """
    import itertools
    from dataclasses import asdict

    from shortaxis.datasets import open_dataset
    from shortaxis.datasets.splits import Split
    from shortaxis.datasets.watching import watched
    from shortaxis.quality.calibration import calibrate_file, calibration_path

    dataset = open_dataset(data)
    if split is not None:
        chosen = Split.from_json(split)
        dataset = dataset.select((*chosen.train, *chosen.held_out))
    with progress("Calibrating") as report:
        count = itertools.count(1)
        calibration = calibrate_file(model, watched(dataset, lambda name: report(next(count), len(dataset), name)), device, sibling=sibling)
    path = calibration_path(sibling or model) if out is None else out
    calibration.save(path)
    if json:
        print_json(asdict(calibration))
        return
    facts = calibration.trust.provenance
    show(
        f"{path}: {facts['end_slices']} end slices of {len(facts['patients'])} held-out patients, {facts['poor_end_slices']} of them poor\n"
        f"Each judged unseen: AUROC {_number(facts['auroc_end_slices'])}, "
        f"caught {_number(facts['caught_dsc_below_0.7'])} of the end slices with DSC < 0.7, "
        f"flagged {_number(facts['flagged_good'])} of the good ones"
    )


def _number(value: float | None) -> str:
    return "−" if value is None else f"{value:.2f}"
