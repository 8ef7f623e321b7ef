"""`shortaxis segment`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shortaxis.cli.console import FINDINGS, INPUT_ERROR, complain, print_json, progress, show

if TYPE_CHECKING:
    from rich.table import Table

SHOWN = {
    "lv_edv": ("LV EDV", "ml"),
    "lv_esv": ("LV ESV", "ml"),
    "lv_ef": ("LV EF", "%"),
    "lv_mass": ("LV mass", "g"),
    "rv_edv": ("RV EDV", "ml"),
    "rv_esv": ("RV ESV", "ml"),
    "rv_ef": ("RV EF", "%"),
}


def segment(
    inputs: Annotated[
        list[Path], typer.Argument(metavar="INPUT", help="NIfTI files (3D frames, 4D cines), DICOM studies, folders of them, ACDC folders.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for labels, indices.json and segment.json.")],
    model: Annotated[Path | None, typer.Option(metavar="FILE", help="Model file; by default the released model.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    ed: Annotated[int | None, typer.Option(help="End-diastolic frame of the given cine, counted from 1 as ACDC does; else found.")] = None,
    es: Annotated[int | None, typer.Option(help="End-systolic frame of the given cine, counted from 1; else found.")] = None,
    cine: Annotated[bool, typer.Option("--cine", help="Of ACDC patients, segment the 4D cine besides the frames.")] = False,
    save_probabilities: Annotated[bool, typer.Option("--save-probabilities", help="Write NAME.probabilities.nii.gz (float32).")] = False,
    save_uncertainty: Annotated[
        bool, typer.Option("--save-uncertainty", help="Write σ and ω̄ of each member: NAME.sigma.nii.gz, NAME.omega.nii.gz.")
    ] = False,
    no_clean: Annotated[bool, typer.Option("--no-clean", help="Keep small islands, not only the largest part of each structure.")] = False,
    scheme: Annotated[str, typer.Option(help="Integers of the labels: acdc (1 RV, 2 MYO, 3 LV) or mnms (1 LV, 2 MYO, 3 RV).")] = "acdc",
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; by default OMP_NUM_THREADS, or all cores.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print segment.json to stdout.")] = False,
) -> None:
    """Segment images; labels keep the input's name and lie on its own grid.

    Of ACDC patients the frames are segmented, or the cine where ED and ES are no files of their own; [i]_gt[/] files never are.
    An input that is unfit is left out and named at the end (exit code 1); if none is fit, the exit code is 2 and nothing is written.

    [dim]Examples:[/]

    shortaxis segment cine.nii.gz --ed 1 --es 12 --out labels

    shortaxis segment acdc/testing --out predicted

    shortaxis segment dicom/study --out labels
    """
    from shortaxis.labels import scheme_named
    from shortaxis.segmenting import Wishes, segment_inputs

    wishes = Wishes(scheme_named(scheme), save_probabilities, save_uncertainty, not no_clean, ed, es)
    with progress("Segmenting") as report:
        outcome = segment_inputs(inputs, out, model=model, device=device, threads=threads, cine=cine, wishes=wishes, on_progress=report)
    for failure in outcome.failures:
        complain(failure)
    if not outcome.manifest.get("segmented"):
        raise typer.Exit(INPUT_ERROR)
    if json:
        print_json(outcome.manifest)
    else:
        show(_table(outcome.manifest["studies"]), f"[dim]{_summary(outcome.manifest)}, labels and indices in {out}[/]")
    if outcome.failures:
        raise typer.Exit(FINDINGS)


def _table(studies: list[dict[str, Any]]) -> Table:
    """The indices of each study; a dash where one is not known."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("Study", no_wrap=True)
    for heading, unit in SHOWN.values():
        table.add_column(f"{heading}\n[dim]{unit}[/]", justify="right")
    for study in studies:
        if "error" not in study:
            values = (study["values"].get(name) for name in SHOWN)
            table.add_row(study["study"], *("−" if value is None else f"{value:.0f}" for value in values))
    return table


def _summary(manifest: dict[str, Any]) -> str:
    images = _count(sum(len(study.get("images", ())) for study in manifest["studies"]), "image", "images")
    failed = f", {manifest['failed']} left out" if manifest["failed"] else ""
    return f"{_count(manifest['segmented'], 'study', 'studies')}, {images} in {manifest['seconds']:.1f} s{failed}"


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
