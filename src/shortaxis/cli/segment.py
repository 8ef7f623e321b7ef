"""`shortaxis segment`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shortaxis.cli.console import FINDINGS, INPUT_ERROR, INTERNAL_ERROR, complain, is_terminal, note, progress, show
from shortaxis.endocardium import Endocardium

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.table import Table

    from shortaxis.segmenting import Outcome, StudyEnd

SHOWN = {
    "lv_edv": ("LV EDV", "ml"),
    "lv_esv": ("LV ESV", "ml"),
    "lv_ef": ("LV EF", "%"),
    "lv_mass": ("LV mass", "g"),
    "rv_edv": ("RV EDV", "ml"),
    "rv_esv": ("RV ESV", "ml"),
    "rv_ef": ("RV EF", "%"),
}

_NOT_OF_THE_RESULT = ("quiet", "verbose", "overwrite", "store")
"""Options that a report does not repeat."""


def segment(
    context: typer.Context,
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT",
            help="NIfTI files (3D frames, 4D cines), DICOM studies, folders of them, data sets (KIND:PATH), or a study on a DICOMweb "
            "server (dicomweb+https://HOST/PATH/studies/UID).",
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for labels, indices, reports, summary.csv and segment.json.")],
    model: Annotated[Path | None, typer.Option(metavar="FILE", help="Model file; by default the released model.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    ed: Annotated[int | None, typer.Option(help="End-diastolic frame of the given cine, counted from 1 as ACDC does; else found.")] = None,
    es: Annotated[int | None, typer.Option(help="End-systolic frame of the given cine, counted from 1; else found.")] = None,
    rv_ed: Annotated[
        int | None, typer.Option(help="The RV's own end-diastolic frame of the given cine, counted from 1; else found on the RV curve.")
    ] = None,
    rv_es: Annotated[
        int | None, typer.Option(help="The RV's own end-systolic frame of the given cine, counted from 1; else found on the RV curve.")
    ] = None,
    cine: Annotated[bool, typer.Option("--cine", help="Of ACDC patients, segment the 4D cine besides the frames.")] = False,
    series: Annotated[
        str | None,
        typer.Option(metavar="SERIES", help="Number or UID of the DICOM series to take; `shortaxis doctor` lists them. Else found."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Skip what an earlier run into DIR has finished, also one that was killed; try failures again.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files in DIR that were edited since they were written, or that no run wrote.")
    ] = False,
    no_report: Annotated[bool, typer.Option("--no-report", help="Write no report.html and no report.json.")] = False,
    dicom_seg: Annotated[
        str | None,
        typer.Option(
            metavar="PHASES",
            help="Of DICOM studies write DICOM-SEG into NAME.seg: ed-es or all. It is part of the patient's study and names the patient.",
        ),
    ] = None,
    dicom_sr: Annotated[
        bool,
        typer.Option("--dicom-sr", help="Of DICOM studies write the indices as DICOM SR (TID 1500), with the DICOM-SEG it refers to."),
    ] = False,
    dicom_pdf: Annotated[bool, typer.Option("--dicom-pdf", help="Of DICOM studies write the report as DICOM encapsulated PDF.")] = False,
    pdf: Annotated[bool, typer.Option("--pdf", help="Write the report as NAME.report.pdf too.")] = False,
    store: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Store the DICOM results on a DICOMweb server, dicomweb+https://HOST/PATH: those asked for, else SEG, SR and PDF.",
        ),
    ] = None,
    keep_identifiers: Annotated[
        bool, typer.Option("--keep-identifiers", help="Name the patient of a DICOM study in the report, and paths in full.")
    ] = False,
    save_probabilities: Annotated[bool, typer.Option("--save-probabilities", help="Write NAME.probabilities.nii.gz (float32).")] = False,
    save_uncertainty: Annotated[
        bool, typer.Option("--save-uncertainty", help="Write σ and ω̄ of each member: NAME.sigma.nii.gz, NAME.omega.nii.gz.")
    ] = False,
    no_clean: Annotated[bool, typer.Option("--no-clean", help="Keep small islands, not only the largest part of each structure.")] = False,
    no_temporal: Annotated[
        bool,
        typer.Option("--no-temporal", help="Take each phase of a cine by itself; mend nothing that flickers."),
    ] = False,
    endocardium: Annotated[
        Endocardium,
        typer.Option(
            help="Where the border of the LV cavity is drawn: on the inner side of the trabeculae, or at the compact myocardium with the "
            "trabeculae in the cavity."
        ),
    ] = Endocardium.TRABECULAE,
    views: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Ask about each frame in N views, turned a little, and take the mean: 5 is a little better at 5 times the work.",
        ),
    ] = 1,
    scheme: Annotated[str, typer.Option(help="Integers of the labels: acdc (1 RV, 2 MYO, 3 LV) or mnms (1 LV, 2 MYO, 3 RV).")] = "acdc",
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; by default OMP_NUM_THREADS, or all cores.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print warnings and errors only, and what --json asks for.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Print a line for every study, with its flags, on a terminal too.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print segment.json to stdout.")] = False,
) -> None:
    """Segment images; labels keep the input's name and lie on its own grid. Beside them: indices and a report for each study.

    Of ACDC patients the frames are segmented, or the cine where ED and ES are no files of their own; [i]_gt[/] files never are.
    Files X_ED and X_ES are one study. A study that fails is left out and named (exit code 1); if none succeeds, the exit code is 2 and
    nothing is written. Where nothing was found in a study, or outputs were edited since, the exit code is 1 too.
    No output but DICOM objects names the patient, unless --keep-identifiers is given.

    [dim]Examples:[/]

    shortaxis segment cine.nii.gz --ed 1 --es 12 --out labels

    shortaxis segment acdc/testing --out predicted --resume

    shortaxis segment dicom/study --out labels --dicom-seg ed-es

    shortaxis segment mnms:mnms --out labels

    shortaxis segment dicomweb+https://pacs/dicom-web/studies/1.2.3 --out labels --store dicomweb+https://pacs/dicom-web
    """
    if quiet and verbose:
        msg = "--quiet and --verbose exclude each other."
        raise typer.BadParameter(msg)
    from shortaxis.labels import scheme_named
    from shortaxis.pacs.dicomweb import fetched
    from shortaxis.pacs.storing import StudyStorer
    from shortaxis.segmenting import Wishes, segment_inputs

    storer = None if store is None else StudyStorer(store, out)
    everything = storer is not None and not (dicom_seg or dicom_sr or dicom_pdf)
    wishes = Wishes(
        scheme=scheme_named(scheme),
        probabilities=save_probabilities,
        uncertainty=save_uncertainty,
        clean=not no_clean,
        temporal=not no_temporal,
        endocardium=endocardium,
        views=views,
        end_diastole=ed,
        end_systole=es,
        rv_end_diastole=rv_ed,
        rv_end_systole=rv_es,
        cine=cine,
        report=not no_report,
        dicom_seg=dicom_seg,
        dicom_sr=dicom_sr or everything,
        dicom_pdf=dicom_pdf or everything,
        pdf=pdf,
        keep_identifiers=keep_identifiers,
        series=series,
    )
    log = not quiet and (verbose or not is_terminal())
    with fetched(inputs) as paths, progress("Segmenting", quiet=quiet) as report:
        outcome = segment_inputs(
            paths,
            out,
            model=model,
            device=device,
            threads=threads,
            wishes=wishes,
            resume=resume,
            overwrite=overwrite,
            command=["shortaxis", "segment", *_options(context, keep_paths=keep_identifiers)],
            raise_errors=context.find_root().params["debug"],
            on_progress=report,
            on_study=_all_of(_logger(verbose=verbose) if log else None, None if storer is None else storer.add),
        )
    for message in () if storer is None else storer.store():
        complain(message)
    _conclude(outcome, out, json=json, quiet=quiet, logged=log)
    if storer is not None and storer.n_failed:
        raise typer.Exit(FINDINGS)


def _options(context: typer.Context, *, keep_paths: bool) -> list[str]:
    """The options as they were given, paths reduced to names unless these are kept."""
    from shortaxis.segmenting.wishes import shown_series

    words: list[str] = []
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.param_type_name != "option" or source is None or source.name != "COMMANDLINE":
            continue
        value = context.params[parameter.name or ""]
        if parameter.name in _NOT_OF_THE_RESULT:
            continue
        if parameter.name == "series" and not keep_paths:
            value = shown_series(value)
        shown = value.name if isinstance(value, Path) and not keep_paths else str(value)
        words += [parameter.opts[0]] if value is True else [parameter.opts[0], shown]
    return words


def _all_of(*listeners: Callable[[StudyEnd], None] | None) -> Callable[[StudyEnd], None]:
    """Call one after the other."""

    def on_study(end: StudyEnd) -> None:
        for listener in listeners:
            if listener is not None:
                listener(end)

    return on_study


def _logger(*, verbose: bool) -> Callable[[StudyEnd], None]:
    """Print a line a study to stderr when it is done; of those that were done before, only when asked for all."""

    def on_study(end: StudyEnd) -> None:
        place = f"{end.number}/{end.total} {end.row['study']}"
        if end.failure is not None:
            complain(f"{end.failure.message} ({place}, left out after {end.row['seconds']:.1f} s)")
        elif verbose or not end.skipped:
            note(f"{place}: {_line(end, verbose=verbose)}")

    return on_study


def _line(end: StudyEnd, *, verbose: bool) -> str:
    row = end.row
    values = [f"{name} {row['values'][key]:.0f} {unit}" for key, (name, unit) in SHOWN.items() if key in row["values"]]
    said = [", ".join(values)] if values else ["ED and ES are not known"]
    if empty := row.get("nothing_found_in"):
        said = [f"nothing was found in {' and '.join(empty)}"]
    if row["flags"]:
        said.append(_count(len(row["flags"]), "flag", "flags") + (f" ({' '.join(row['flags'])})" if verbose else ""))
    if row["to_check"]:
        said.append(f"{_count(len(row['to_check']), 'slice', 'slices')} to check" + (f" ({' '.join(row['to_check'])})" if verbose else ""))
    before = "done before, " if end.skipped else ""
    return f"{before}{row['seconds']:.1f} s: {'; '.join(said)}"


def _conclude(outcome: Outcome, out: Path, *, json: bool, quiet: bool, logged: bool) -> None:
    none_begun = outcome.manifest is None and not outcome.seconds
    for failure in outcome.failures if none_begun or not logged else []:
        complain(failure.message)
    if outcome.manifest is None or not outcome.segmented + outcome.skipped:
        raise typer.Exit(INTERNAL_ERROR if any(failure.internal for failure in outcome.failures) else INPUT_ERROR)
    if json:
        typer.echo(outcome.manifest.read_text(encoding="utf-8"), nl=False)
    elif not quiet:
        parts = [_table(outcome.first)] if outcome.first else []
        show(*parts, f"[dim]{_summary(outcome)}, all in {out}[/]")
    if outcome.failures or outcome.n_empty or outcome.n_edited:
        raise typer.Exit(FINDINGS)


def _table(studies: list[dict[str, Any]]) -> Table:
    """The indices of each study; a dash where one is not known."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("Study", no_wrap=True)
    for heading, unit in SHOWN.values():
        table.add_column(f"{heading}\n[dim]{unit}[/]", justify="right")
    table.add_column("Flags\n ", justify="right")
    table.add_column("Slices\n[dim]to check[/]", justify="right")
    for study in studies:
        values = (study["values"].get(name) for name in SHOWN)
        to_check = "−" if study["to_check"] is None else str(len(study["to_check"]))
        table.add_row(study["study"], *("−" if value is None else f"{value:.0f}" for value in values), str(len(study["flags"])), to_check)
    return table


def _summary(outcome: Outcome) -> str:
    studies, images = _count(outcome.segmented, "study", "studies"), _count(outcome.images, "image", "images")
    more = outcome.segmented - len(outcome.first)
    shown = f", {more} more in summary.csv" if more else ""
    skipped = f", {outcome.skipped} skipped that were done before" if outcome.skipped else ""
    failed = f", {len(outcome.failures)} left out" if outcome.failures else ""
    empty = f", {outcome.n_empty} in which nothing was found" if outcome.n_empty else ""
    edited = f", {outcome.n_edited} edited since" if outcome.n_edited else ""
    return f"{studies}, {images} in {outcome.seconds:.1f} s{shown}{skipped}{failed}{empty}{edited}"


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
