"""`shortaxis evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shortaxis.cli.console import note, print_json, progress, show


def evaluate(
    prediction: Annotated[Path, typer.Argument(metavar="PRED", help="Folder of predicted labels, or one file.")],
    truth: Annotated[
        str, typer.Argument(metavar="GT", help="ACDC folder, any folder of annotated labels, one file, or KIND:PATH of a data set.")
    ],
    protocol: Annotated[str, typer.Option(help="reference, paper, clinical, several with commas, or all.")] = "all",
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write all figures, per case and overall, as JSON.")] = None,
    scheme: Annotated[
        str, typer.Option(help="Integers of the labels on both sides: acdc, mnms, or an order such as rv=3,myo=2,lv=1.")
    ] = "acdc",
    pred_scheme: Annotated[str | None, typer.Option(metavar="SCHEME", help="Those of PRED, where they are others.")] = None,
    truth_scheme: Annotated[str | None, typer.Option(metavar="SCHEME", help="Those of GT, where they are others.")] = None,
    allow_missing: Annotated[bool, typer.Option("--allow-missing", help="Leave annotated frames without a prediction out.")] = False,
    exclude: Annotated[list[str] | None, typer.Option(metavar="PATIENT", help="Leave this patient out; may be given again.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print all figures as JSON to stdout.")] = False,
) -> None:
    """Score label files under named protocols, with intervals from a bootstrap over patients.

    Files pair by name; [i]_gt[/], [i]_pred[/] and [i]_seg[/] at its end do not matter. Volumes and EF need
    ED and ES: from a data set, from ACDC's [i]Info.cfg[/], or from names such as [i]patient101_ED.nii.gz[/].

    [dim]Example:[/]

    shortaxis evaluate predicted acdc/testing --protocol clinical --out clinical.json
    """
    from shortaxis.evaluation import evaluate_folders
    from shortaxis.io.atomic import write_json

    protocols = protocol if protocol == "all" else protocol.split(",")
    with progress("Scoring") as report:
        result = evaluate_folders(
            prediction,
            truth,
            protocols,
            scheme=scheme,
            pred_scheme=pred_scheme,
            truth_scheme=truth_scheme,
            allow_missing=allow_missing,
            exclude=exclude or (),
            progress=lambda done, total: report(done, total, ""),
        )
    if out is not None:
        write_json(out, result.to_dict())
    if json:
        print_json(result.to_dict())
    else:
        show(result.table())
    if result.missing:
        note(f"{len(result.missing)} annotated frames have no prediction and are in no figure, such as {result.missing[0]}")
    if result.unphased and "clinical" in result.results:
        note(
            f"ED and ES are not known of {len(result.unphased)} of {result.n_patients} patients, such as {result.unphased[0]}, and their "
            "indices left out; name the annotated files PATIENT_ED and PATIENT_ES, or keep ACDC's Info.cfg beside PATIENT_frameNN"
        )
