"""Score predicted labels against annotated ones under named protocols: in memory, or file by file from two folders."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.table import Table

from shortaxis import __version__
from shortaxis.datasets.pairs import LabelPair, find_pairs
from shortaxis.errors import InputError
from shortaxis.io.nifti import read_labels, read_nifti
from shortaxis.labels import ACDC, FOREGROUND, LabelScheme
from shortaxis.metrics.bootstrap import Estimate, Resampling
from shortaxis.metrics.case import Case, CaseScore
from shortaxis.metrics.protocols import INDICES, Protocol, protocols_named

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

SCHEMA_VERSION: Final = 1
"""Version of the JSON that `Evaluation.to_dict` gives; it rises when a reader of the old one would break."""

_SHOWN: Final = 3


@dataclass(frozen=True, eq=False)
class ProtocolResult:
    """What one protocol found.

    Attributes:
        name: Name of the protocol.
        description: What it computes, in a line.
        overall: The figures over all cases, by name.
        strata: The same by `phase` and `group` and their values, where the cases differ in them.
        cases: One JSON-able row a case.
        patients: One JSON-able row a patient; empty where the protocol has no figures per patient.
    """

    name: str
    description: str
    overall: dict[str, Estimate]
    strata: dict[str, dict[str, dict[str, Estimate]]]
    cases: list[dict[str, Any]]
    patients: list[dict[str, Any]]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return {
            "description": self.description,
            "overall": _figures(self.overall),
            "strata": {by: {value: _figures(part) for value, part in parts.items()} for by, parts in self.strata.items()},
            "cases": self.cases,
            "patients": self.patients,
        }

    def table(self) -> Table:
        """The overall figures with their intervals; the title names the protocol."""
        table = Table(title=f"Protocol {self.name}", caption=self.description, title_justify="left", caption_justify="left")
        for heading in ("", "Average", *(structure.name for structure in FOREGROUND)):
            table.add_column(heading, justify="left" if not heading else "right")
        for quantity in ("dsc", "hd95", "assd"):
            if f"{quantity}_average" in self.overall:
                row = [
                    self.overall[f"{quantity}_{column}"] for column in ("average", *(structure.name.lower() for structure in FOREGROUND))
                ]
                table.add_row(f"{quantity.upper()} [{row[0].unit}]".replace("[", r"\["), *(_cell(figure) for figure in row))
        for name, heading in (("ec", "EC"), ("trusted_slices", "Trusted slices")):
            if name in self.overall:
                table.add_row(rf"{heading} \[%]", _cell(self.overall[name]))
        shown = [index for index in INDICES if f"{index}_bias" in self.overall and self.overall[f"{index}_bias"].n]
        if shown:
            table.add_section()
            table.add_row("", *(rf"[bold]{heading}[/]" for heading in ("Bias", "SD", "MAE", "r")))
        for index in shown:
            row = [self.overall[f"{index}_{statistic}"] for statistic in ("bias", "sd", "mae", "r")]
            label = index.upper().replace("_", " ").replace("MASS", "mass")
            table.add_row(rf"{label} \[{row[0].unit}]", *(_cell(figure) for figure in row))
        return table


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Figures under one or more protocols, which never share a table.

    Attributes:
        results: By name of the protocol.
        n_cases: Frames that were scored.
        n_patients: Patients that they belong to.
        resampling: How the intervals were drawn.
        missing: Names of annotated frames without a prediction; they are in no figure.
        unused: Predicted files without an annotated one.
    """

    results: dict[str, ProtocolResult]
    n_cases: int
    n_patients: int
    resampling: Resampling
    missing: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form; what is undefined is None."""
        return {
            "schema_version": SCHEMA_VERSION,
            "shortaxis_version": __version__,
            "protocols": list(self.results),
            "n_cases": self.n_cases,
            "n_patients": self.n_patients,
            "bootstrap": {"unit": "patient", **asdict(self.resampling)},
            "missing": list(self.missing),
            "unused": list(self.unused),
            "results": {name: result.to_dict() for name, result in self.results.items()},
        }

    def table(self) -> Table:
        """One table a protocol, one below the other."""
        grid = Table.grid(padding=(0, 0, 1, 0))
        for result in self.results.values():
            grid.add_row(result.table())
        patients = f"{self.n_cases} frames of {self.n_patients} patients"
        interval = f"{100 * self.resampling.level:g} % intervals from {self.resampling.rounds} draws of patients"
        grid.add_row(
            f"{patients}; {interval}; −: undefined; n of m: only n could enter"
            + (f"; {len(self.missing)} frames without a prediction" if self.missing else "")
        )
        return grid


def evaluate_cases(cases: Iterable[Case], protocols: Sequence[str] | str = "all", *, resampling: Resampling | None = None) -> Evaluation:
    """Score cases in memory; each is let go before the next is asked for.

    Args:
        cases: The frames and their predictions.
        protocols: Names of protocols, or `all`.
        resampling: How to draw the intervals; `Resampling(rounds=0)` leaves them out.

    Returns:
        The figures.

    Raises:
        InputError: There is no case, no such protocol, or a case is malformed.
    """
    chosen = protocols_named(protocols)
    scores: dict[str, list[CaseScore]] = {protocol.name: [] for protocol in chosen}
    for case in cases:
        for protocol in chosen:
            scores[protocol.name].append(protocol.score(case))
    first = scores[chosen[0].name]
    if not first:
        msg = "there is no case to evaluate; give at least one annotated frame with a prediction"
        raise InputError(msg)
    resampling = resampling or Resampling()
    results = {protocol.name: _result(protocol, scores[protocol.name], resampling) for protocol in chosen}
    return Evaluation(results, len(first), len({score.patient for score in first}), resampling)


def evaluate_folders(
    prediction: Path | str,
    truth: Path | str,
    protocols: Sequence[str] | str = "all",
    *,
    scheme: LabelScheme = ACDC,
    allow_missing: bool = False,
    exclude: Collection[str] = (),
    resampling: Resampling | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Score the label files of one folder against those of another.

    How files pair is said in `shortaxis.datasets.pairs`. Of a 4D file each phase with annotated foreground is a case.

    Args:
        prediction: Folder of predicted NIfTI labels, or one file.
        truth: ACDC folder, any folder of NIfTI labels, or one file; spacing is read here.
        protocols: Names of protocols, or `all`.
        scheme: Label scheme of both sides.
        allow_missing: Leave annotated frames without a prediction out, and list them, instead of refusing.
        exclude: Patients to leave out.
        resampling: How to draw the intervals.
        progress: Called with the number of files done and of all, after each.

    Returns:
        The figures.

    Raises:
        InputError: A path or a prediction is missing, a file cannot be read, two shapes differ, or a label is not in the scheme.
    """
    protocols_named(protocols)  # before hours of reading
    pairs, unused = find_pairs(Path(prediction), Path(truth))
    unknown = set(exclude) - {pair.patient for pair in pairs}
    if unknown:
        msg = f"{truth}: has no patient '{min(unknown)}' to exclude; its patients are named like '{pairs[0].patient}'"
        raise InputError(msg)
    pairs = [pair for pair in pairs if pair.patient not in exclude]
    missing = tuple(pair.name for pair in pairs if pair.prediction is None)
    if missing and (len(missing) == len(pairs) or not allow_missing):
        first = ", ".join(missing[:_SHOWN]) + (" …" if len(missing) > _SHOWN else "")
        msg = (
            f"{prediction}: has no prediction for {len(missing)} of the {len(pairs)} annotated frames ({first}); "
            "predict them, name the files as the annotated ones, or allow missing ones (--allow-missing)"
        )
        raise InputError(msg)
    found = [(pair, pair.prediction) for pair in pairs if pair.prediction is not None]

    def cases() -> Iterator[Case]:
        for done, (pair, path) in enumerate(found, start=1):
            yield from _read_cases(pair, path, scheme)
            if progress is not None:
                progress(done, len(found))

    scored = evaluate_cases(cases(), protocols, resampling=resampling)
    return Evaluation(scored.results, scored.n_cases, scored.n_patients, scored.resampling, missing, tuple(str(path) for path in unused))


def _read_cases(pair: LabelPair, prediction: Path, scheme: LabelScheme) -> Iterator[Case]:
    study = read_nifti(pair.truth)
    truths = scheme.to_canonical(study.pixels, source=str(pair.truth))
    predictions = read_labels(prediction, scheme, like=study)
    if study.n_phases == 1:
        yield Case(pair.name, pair.patient, truths[0], predictions[0], study.spacing, pair.phase, pair.group)
        return
    for phase, (truth, predicted) in enumerate(zip(truths, predictions, strict=True)):
        if truth.any():
            yield Case(f"{pair.name}_phase{phase:02d}", pair.patient, truth, predicted, study.spacing, None, pair.group)


def _result(protocol: Protocol, scores: list[CaseScore], resampling: Resampling) -> ProtocolResult:
    strata = {}
    for by in ("phase", "group"):
        parts: dict[str, list[CaseScore]] = {}
        for score in scores:
            parts.setdefault(str(getattr(score, by) or "unknown"), []).append(score)
        if len(parts) > 1:
            strata[by] = {
                value: {name: figure for name, figure in protocol.summarise(part, resampling).items() if figure.n}
                for value, part in sorted(parts.items())
            }
    return ProtocolResult(
        protocol.name,
        protocol.description,
        protocol.summarise(scores, resampling),
        strata,
        [score.to_dict() for score in scores],
        protocol.patient_rows(scores),
    )


def _figures(figures: dict[str, Estimate]) -> dict[str, dict[str, Any]]:
    return {name: figure.to_dict() for name, figure in figures.items()}


def _cell(figure: Estimate) -> str:
    """The value, its interval below, and what it rests on where something could not enter: narrow enough for five columns in a terminal."""
    content = figure.to_dict()
    digits = 2 if figure.unit else 3
    lines = ["−" if content["value"] is None else f"{figure.value:.{digits}f}"]
    if content["low"] is not None:
        lines.append(f"[dim]{figure.low:.{digits}f} to {figure.high:.{digits}f}[/]")
    if figure.undefined:
        lines.append(f"[dim]{figure.n} of {figure.n + figure.undefined}[/]")
    return "\n".join(lines)
