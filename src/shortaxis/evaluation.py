"""Score predicted labels against annotated ones under named protocols: in memory, or file by file from two folders."""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from rich.table import Table

from shortaxis import __version__
from shortaxis.datasets import kind_of
from shortaxis.datasets.pairs import LabelPair, find_pairs
from shortaxis.errors import DataWarning, InputError
from shortaxis.io.nifti import read_labels, read_nifti
from shortaxis.io.same_grid import grid_difference
from shortaxis.labels import ACDC, FOREGROUND, LabelScheme, Structure, as_scheme
from shortaxis.metrics.bootstrap import Estimate, Resampling
from shortaxis.metrics.case import Case, CaseScore
from shortaxis.metrics.overlap import exchanged
from shortaxis.metrics.protocols import INDICES, Protocol, protocols_named

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

SCHEMA_VERSION: Final = 1
"""Version of the JSON that `Evaluation.to_dict` gives; it rises when a reader of the old one would break."""

_SHOWN: Final = 3
_NO_INDEX: Final = "here no index, since ED and ES are not known"


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
        shown = [index for index in INDICES if f"{index}_bias" in self.overall and self.overall[f"{index}_bias"].n]
        caption = self.description if shown or f"{next(iter(INDICES))}_bias" not in self.overall else f"{self.description}; {_NO_INDEX}"
        table = Table(title=f"Protocol {self.name}", caption=caption, title_justify="left", caption_justify="left")
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
        off_grid: Predicted files whose header puts them elsewhere than their annotations; they are in the figures, voxel by voxel.
        unphased: Patients of whom neither ED nor ES is known; they are in no index.
        exchanged: For each true structure the predicted one that fits it, where the two sides seem to order their labels differently;
            otherwise empty.
    """

    results: dict[str, ProtocolResult]
    n_cases: int
    n_patients: int
    resampling: Resampling
    missing: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    off_grid: tuple[str, ...] = ()
    unphased: tuple[str, ...] = ()
    exchanged: Mapping[Structure, Structure] = field(default_factory=dict)

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
            "off_grid": list(self.off_grid),
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

    Warns:
        DataWarning: The two sides seem to order their labels differently.
    """
    result = _evaluate(cases, protocols, resampling)
    _warn_of_exchange(result.exchanged, "translate both sides with `LabelScheme.to_canonical`")
    return result


def _evaluate(cases: Iterable[Case], protocols: Sequence[str] | str, resampling: Resampling | None) -> Evaluation:
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
    patients = {score.patient for score in first}
    unphased = patients - {score.patient for score in first if score.phase in {"ED", "ES"}}
    found = exchanged(np.sum([score.confusion for score in first], axis=0))
    return Evaluation(results, len(first), len(patients), resampling, unphased=tuple(sorted(unphased)), exchanged=found)


def evaluate_folders(
    prediction: Path | str,
    truth: Path | str,
    protocols: Sequence[str] | str = "all",
    *,
    scheme: LabelScheme | str = ACDC,
    pred_scheme: LabelScheme | str | None = None,
    truth_scheme: LabelScheme | str | None = None,
    allow_missing: bool = False,
    exclude: Collection[str] = (),
    resampling: Resampling | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Score the label files of one folder against those of another.

    How files pair is said in `shortaxis.datasets.pairs`. Of a 4D file each phase with annotated foreground is a case.

    Args:
        prediction: Folder of predicted NIfTI labels, or one file.
        truth: ACDC folder, any folder of NIfTI labels, one file, or a data set `KIND:PATH`; spacing is read here.
        protocols: Names of protocols, or `all`.
        scheme: Label scheme of both sides: a scheme, the name of one, or an order such as `rv=3,myo=2,lv=1`. A data set `KIND:PATH` says
            its own; then this is that of the predictions.
        pred_scheme: That of the predictions, where it is another.
        truth_scheme: That of the annotated labels, where it is another.
        allow_missing: Leave annotated frames without a prediction out, and list them, instead of refusing.
        exclude: Patients to leave out.
        resampling: How to draw the intervals.
        progress: Called with the number of files done and of all, after each.

    Returns:
        The figures.

    Raises:
        InputError: A path or a prediction is missing, a file cannot be read, two shapes differ, a label is not in the scheme, or a scheme
            is not understood.

    Warns:
        DataWarning: The two sides seem to order their labels differently, or predictions lie on another grid than their annotations
            (spacing, direction or origin).
    """
    protocols_named(protocols)  # before hours of reading
    schemes = as_scheme(scheme if pred_scheme is None else pred_scheme), as_scheme(scheme if truth_scheme is None else truth_scheme)
    if truth_scheme is not None and kind_of(truth):
        msg = f"{truth}: says itself what its labels mean; leave truth_scheme (--truth-scheme) out"
        raise InputError(msg)
    pairs, unused = find_pairs(Path(prediction), truth)
    unknown = set(exclude) - {pair.patient for pair in pairs}
    if unknown:
        msg = f"{truth}: has no patient '{min(unknown)}' to exclude; its patients are named like '{pairs[0].patient}'"
        raise InputError(msg)
    pairs = [pair for pair in pairs if pair.patient not in exclude]
    missing = tuple(pair.name for pair in pairs if pair.prediction is None)
    if missing and (len(missing) == len(pairs) or not allow_missing):
        others = f"; unpaired predictions there: {len(unused)} ({_first([path.name for path in unused])})" if unused else ""
        files = list(dict.fromkeys(pair.truth.name for pair in pairs if pair.prediction is None))
        msg = (
            f"{prediction}: has no prediction for {len(missing)} of the {len(pairs)} annotated frames ({_first(missing)}){others}; "
            f"predict them, name the files as the annotated ones ({_first(files)}), or allow missing ones (--allow-missing)"
        )
        raise InputError(msg)
    found = [(pair, pair.prediction) for pair in pairs if pair.prediction is not None]
    elsewhere: dict[str, str] = {}

    def cases() -> Iterator[Case]:
        for done, (pair, path) in enumerate(found, start=1):
            yield from _read_cases(pair, path, *schemes, elsewhere)
            if progress is not None:
                progress(done, len(found))

    result = _evaluate(cases(), protocols, resampling)
    result = replace(result, missing=missing, unused=tuple(str(path) for path in unused), off_grid=tuple(elsewhere))
    _warn_of_other_grids(elsewhere, len(found))
    if result.exchanged:
        _warn_of_exchange(result.exchanged, _right_order(result.exchanged, *schemes, fixed=kind_of(truth) is not None))
    return result


def _read_cases(
    pair: LabelPair, prediction: Path, pred_scheme: LabelScheme, truth_scheme: LabelScheme, elsewhere: dict[str, str]
) -> Iterator[Case]:
    """The cases of a pair; where its files lie on two grids, `elsewhere` gets the prediction and how they differ."""
    study = read_nifti(pair.truth, labels=True)
    truths = (pair.scheme or truth_scheme).to_canonical(study.pixels, source=str(pair.truth))
    predictions = read_labels(prediction, pred_scheme, like=study)
    difference = grid_difference(prediction, study)
    if difference is not None:
        elsewhere[str(prediction)] = difference
    if pair.index is not None:
        if pair.index >= len(truths) or not truths[pair.index].any():
            msg = f"{pair.truth}: frame {pair.index} ({pair.phase}, counted from 0) has no labels; correct what the data set says of it"
            raise InputError(msg)
        yield Case(pair.name, pair.patient, truths[pair.index], predictions[pair.index], study.spacing, pair.phase, pair.group)
    elif study.n_phases == 1:
        yield Case(pair.name, pair.patient, truths[0], predictions[0], study.spacing, pair.phase, pair.group)
    else:
        for phase, (truth, predicted) in enumerate(zip(truths, predictions, strict=True)):
            if truth.any():
                yield Case(f"{pair.name}_phase{phase:02d}", pair.patient, truth, predicted, study.spacing, None, pair.group)


def _warn_of_other_grids(elsewhere: Mapping[str, str], of: int) -> None:
    if elsewhere:
        path, difference = next(iter(elsewhere.items()))
        msg = (
            f"{len(elsewhere)} of {of} predictions do not lie on the grid of their annotations, such as {path}: {difference}; they were "
            "scored voxel by voxel all the same, so correct the headers or resample the predictions before you use these scores"
        )
        warnings.warn(msg, DataWarning, stacklevel=3)


def _warn_of_exchange(fits: Mapping[Structure, Structure], remedy: str) -> None:
    moved = [f"what is predicted as {found.name} fits {structure.name}" for structure, found in fits.items() if found is not structure]
    if moved:
        msg = f"predictions and annotations seem to order their labels differently ({', '.join(moved)}, not what bears its name); {remedy}"
        warnings.warn(msg, DataWarning, stacklevel=3)


def _right_order(fits: Mapping[Structure, Structure], pred_scheme: LabelScheme, truth_scheme: LabelScheme, *, fixed: bool) -> str:
    """What to say to score again, if the predictions or, unless they are fixed, the annotations are in another order than was said."""
    predicted = {structure: pred_scheme.values[fits[structure]] for structure in FOREGROUND}
    annotated = {fits[structure]: truth_scheme.values[structure] for structure in FOREGROUND}
    orders = [",".join(f"{structure.name.lower()}={order[structure]}" for structure in FOREGROUND) for order in (predicted, annotated)]
    remedy = f"if the predictions are not in the order {pred_scheme.name}, say --pred-scheme {orders[0]}"
    return remedy if fixed else f"{remedy}, if the annotations are not in the order {truth_scheme.name}, --truth-scheme {orders[1]}"


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")


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
