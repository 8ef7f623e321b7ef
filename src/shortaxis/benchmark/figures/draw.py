"""The three figures as they are asked for: from a folder of results, or from models and data named one by one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from shortaxis.benchmark.figures.case_study import draw_case, member_names, read_case, study_case
from shortaxis.benchmark.figures.cost import draw_cost
from shortaxis.benchmark.figures.weights import draw_weights, sweeps_of
from shortaxis.benchmark.jobs import RUN
from shortaxis.benchmark.repooling import unseen_by
from shortaxis.benchmark.result import RESULT, Result, read_result, read_results
from shortaxis.benchmark.statistics import DRAWS
from shortaxis.benchmark.sweep import sweep_weights
from shortaxis.benchmark.table import build_table
from shortaxis.datasets import open_dataset
from shortaxis.ensemble.model_file import read_spec
from shortaxis.errors import InputError
from shortaxis.inference.device import choose_device
from shortaxis.inference.predictor import load_model

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.figure import Figure

    from shortaxis.benchmark.table import On

PHANTOM_CASE: Final = "phantom:5/phantom002_ED"
"""A dilated heart, of nobody, whose end slices show all structures."""
PREFERRED: Final = ("3unet-uncertainty", "2unet-uncertainty", "4unet-uncertainty")
"""Rows whose model Fig. 3 shows, where results hold several; the first is the paper's."""
MOST_SOLO: Final = 3


def figure_2(
    *,
    results: Path | None = None,
    model: Path | None = None,
    data: str | None = None,
    everybody: bool = False,
    protocol: str = "reference",
    device: str = "auto",
    on_frame: Callable[[int, int], None] = lambda _done, _all: None,
) -> Figure:
    """Fig. 2 from the sweeps in results, or from one model of two members and annotated patients.

    Args:
        results: Folder of `shortaxis benchmark run --sweep`.
        model: The model, instead.
        data: Its patients; those that it was trained on are left out.
        everybody: Leave nobody out.
        protocol: `reference` or `paper`.
        device: See `choose_device`.
        on_frame: Called with the number of frames done and of all.

    Raises:
        InputError: Neither or both are given, they hold no sweep of this protocol, or the model was trained on all of the patients.
    """
    if (results is None) == (model is None) or (model is None) != (data is None):
        msg = "Fig. 2 needs either --results, or --model together with --data"
        raise InputError(msg)
    if results is not None:
        return draw_weights(sweeps_of(read_results(results)), protocol=protocol)
    assert model is not None
    assert data is not None
    opened = load_model(model, choose_device(device))
    dataset = open_dataset(data)
    if not everybody:
        dataset = unseen_by(opened, dataset)
    sweep = sweep_weights(opened, dataset, on_frame)
    patients = f"{'' if everybody else 'unseen '}patients of {Path(data).name} (n = {len(dataset.patients)})"
    return draw_weights({opened.spec.name: [sweep]}, protocol=protocol, patients=patients)


def figure_3(
    *,
    results: Path | None = None,
    row: str | None = None,
    model: Path | None = None,
    solo: Sequence[Path] = (),
    case: str = PHANTOM_CASE,
    device: str = "auto",
) -> Figure:
    """Fig. 3 of one frame, by the models that lie in results or by those named.

    Args:
        results: Folder of `shortaxis benchmark run`; models of its first ensemble in `PREFERRED`, and of its single networks, are taken.
        row: Row of `results` whose model is shown instead.
        model: An ensemble; without it and without `results` the released one.
        solo: Other models, each of one network trained alone.
        case: See `read_case`.
        device: See `choose_device`.

    Raises:
        InputError: Both `results` and `model` are given, there is no such row or case, or a model cannot be read.
    """
    if results is not None and model is not None:
        msg = "Fig. 3 takes its models either from --results or from --model; leave one out"
        raise InputError(msg)
    if results is not None:
        model, found = _models_of(results, row)
        solo = [*solo, *found]
    chosen = choose_device(device)
    ensemble = load_model(model, chosen)
    alone = [(_solo_name(path, index), load_model(path, chosen)) for index, path in enumerate(solo, start=1)]
    frame = read_case(case)
    columns, prediction = study_case(frame, ensemble, alone)
    title = f"{frame.name}, end slices, by {ensemble.spec.name}"
    return draw_case(frame, columns, prediction, names=member_names(ensemble.spec), title=title)


def figure_4(results: Path, *, protocol: str = "reference", on: On | None = None) -> Figure:
    """Fig. 4 from results.

    Raises:
        InputError: There are no results, or none with scores on such patients.
    """
    found = read_results(results)
    return draw_cost(build_table(found, [protocol], on=on, resampling=DRAWS), found)


def _models_of(results: Path, row: str | None) -> tuple[Path, list[Path]]:
    """The model of an ensemble, and those of single networks, of jobs whose model still lies in their folder."""
    jobs = [(read_result(path), path.parent / RUN / "model.safetensors") for path in sorted(results.rglob(RESULT))]
    present = [(result, model) for result, model in jobs if model.is_file()]
    several = [(result, model) for result, model in present if (result.members > 1 if row is None else _is_row(result, row))]
    if not several:
        what = "no finished job of an ensemble" if row is None else f"no finished job of the row '{row}'"
        msg = f"{results}: holds {what} with its model; run it first, or give --model"
        raise InputError(msg)
    result, model = min(several, key=lambda job: _preference(job[0]))
    return model, [path for other, path in present if other.members == 1 and other.row != result.row][:MOST_SOLO]


def _is_row(result: Result, row: str) -> bool:
    return row in {result.row, result.row.rpartition("/")[2]}


def _preference(result: Result) -> tuple[int, int]:
    last = result.row.rpartition("/")[2]
    return (PREFERRED.index(last) if last in PREFERRED else len(PREFERRED), result.seed)


def _solo_name(path: Path, index: int) -> str:
    spec = read_spec(path)
    return f"{member_names(spec)[0]} {index}" if len(spec.members) == 1 else spec.name
