"""`shortaxis figures`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shortaxis.cli.console import print_json, progress, show


def figures(
    number: Annotated[int, typer.Argument(metavar="2|3|4", min=2, max=4, help="Figure of the paper.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Vector graphics as .svg or .pdf, or a .png.")],
    results: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder with the results of `shortaxis benchmark run`.")] = None,
    model: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Figures 2 and 3: a model. Without --results, 3 takes the released one."),
    ] = None,
    data: Annotated[
        str | None, typer.Option(metavar="KIND:PATH", help="Figure 2 with --model: patients to score, without those it was trained on.")
    ] = None,
    everybody: Annotated[bool, typer.Option("--all", help="Figure 2 with --model: score patients that it was trained on, too.")] = False,
    case: Annotated[
        str | None, typer.Option(metavar="KIND:PATH/NAME", help="Figure 3: an annotated frame; by default one of the phantom.")
    ] = None,
    row: Annotated[str | None, typer.Option(help="Figure 3 with --results: the row whose model is shown.")] = None,
    solo: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Figure 3: model of a network trained alone; may be given again.")
    ] = None,
    protocol: Annotated[str, typer.Option(help="Figures 2 and 4: reference, paper or, for 4, clinical.")] = "reference",
    on: Annotated[str | None, typer.Option(help="Figure 4: held-out or test; by default held-out patients where there are any.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    json: Annotated[bool, typer.Option("--json", help="Print the path of the figure as JSON to stdout.")] = False,
) -> None:
    """Draw figure 2 (weights), 3 (end slices of one case) or 4 (size, FLOPs and DSC) of the paper.

    [dim]Examples:[/]

    shortaxis figures 4 --results results --out cost.svg

    shortaxis figures 3 --model run/model.safetensors --case acdc:acdc/testing/patient114_frame11 --out case.pdf
    """
    from shortaxis.benchmark.figures.draw import PHANTOM_CASE, figure_2, figure_3, figure_4
    from shortaxis.benchmark.figures.style import check_format, save_figure

    check_format(out)
    if on not in (None, "held-out", "test"):
        msg = f"--on is held-out or test, not {on}."
        raise typer.BadParameter(msg)
    with progress(f"Figure {number}") as report:
        if number == 2:
            figure = figure_2(
                results=results,
                model=model,
                data=data,
                everybody=everybody,
                protocol=protocol,
                device=device,
                on_frame=lambda done, of: report(done, of, "sweeping weights"),
            )
        elif number == 3:
            figure = figure_3(results=results, row=row, model=model, solo=solo or (), case=case or PHANTOM_CASE, device=device)
        else:
            if results is None:
                msg = "Missing --results."
                raise typer.BadParameter(msg)
            figure = figure_4(results, protocol=protocol, on=on)  # type: ignore[arg-type]
        save_figure(figure, out)
    if json:
        print_json({"figure": number, "path": str(out)})
    else:
        show(f"Figure {number} lies in {out}")
