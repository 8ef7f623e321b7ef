"""`shortaxis demo`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shortaxis.cli.console import print_json, progress, show

if TYPE_CHECKING:
    from rich.table import Table

    from shortaxis.demo import Demonstration


def demo(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for study, labels, indices, report and picture.")] = Path("demo"),
    group: Annotated[str, typer.Option(help="Group of the virtual patient: NOR, DCM, HCM, MINF or RV.")] = "NOR",
    seed: Annotated[int, typer.Option(min=0, help="Chooses the patient.")] = 0,
    model: Annotated[Path | None, typer.Option(metavar="FILE", help="Model file; by default the released model.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON to stdout.")] = False,
) -> None:
    """Make a virtual patient, segment the cine, and hold volumes and ejection fraction against the truth.

    Needs no data. A phantom's scores say that everything works, and nothing about patients.

    [dim]Example:[/]

    shortaxis demo --group HCM --seed 3 --out demo
    """
    from shortaxis.demo import run_demo

    with progress("Demonstration") as report:
        found = run_demo(out, group=group, seed=seed, model=model, device=device, on_progress=report)
    if json:
        print_json(found.to_dict())
        return
    dsc = found.evaluation.results["clinical"].overall["dsc_average"].value
    show(
        _table(found),
        f"DSC against the exact masks: {dsc:.1f} % (protocol clinical, ED and ES)",
        "",
        f"Look at {out / 'report.html'} in a browser; then try:",
    )
    show(f"  shortaxis segment {out / 'study.nii.gz'} --ed {found.end_diastole} --es {found.end_systole} --out labels")


def _table(found: Demonstration) -> Table:
    from rich.table import Table

    table = Table(title=f"Virtual patient {found.name}", title_justify="left", box=None, pad_edge=False)
    table.add_column("")
    for heading in ("Measured", "Analytic", "Difference"):
        table.add_column(heading, justify="right")
    table.add_column("", style="dim")
    for row in found.measured:
        measured, analytic = row["measured"], row["analytic"]
        values = (
            ("−", f"{analytic:.1f}", "−") if measured is None else (f"{measured:.1f}", f"{analytic:.1f}", f"{measured - analytic:+.1f}")
        )
        side, _, name = row["index"].partition("_")
        table.add_row(f"{side.upper()} {name.upper() if name != 'mass' else name}", *values, row["unit"])
    return table
