"""The one JSON file of a finished job: everything about it, and every figure in a form from which it can be computed again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from shortaxis.errors import InputError
from shortaxis.io.atomic import atomic_path
from shortaxis.metrics.case import CaseScore

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

SCHEMA_VERSION: Final = 1
"""It rises when a reader of the old format would break."""

RESULT: Final = "result.json"
_HEAD: Final = {"name", "patient", "phase", "group", "confusion"}
_ON_ONE_LINE: Final = 5
"""Depth from which a part of the JSON stands on one line: a case is one line, so that changes can be read."""


class Shared(msgspec.Struct, frozen=True):
    """Two names for one heart.

    Attributes:
        training: Patient that was trained on.
        test: Test patient with an identical image.
    """

    training: str
    test: str


class ProtocolScores(msgspec.Struct, frozen=True):
    """What one protocol found.

    Attributes:
        description: What it computes.
        overall: Its figures, as `Estimate.to_dict` gives them.
        cases: One row a frame, with its `confusion`: the 4×4 counts [true class, predicted class], row after row.
        without_shared: `overall` without the test patients whose image was trained on; None where there is none.
    """

    description: str
    overall: dict[str, dict[str, Any]]
    cases: list[dict[str, Any]]
    without_shared: dict[str, dict[str, Any]] | None = None

    def scores(self) -> list[CaseScore]:
        """Rebuild what the protocol kept of each case."""
        return [
            CaseScore(
                row["name"],
                row["patient"],
                row["phase"],
                row["group"],
                np.array(row["confusion"], np.int64).reshape(4, 4),
                {key: np.nan if value is None else value for key, value in row.items() if key not in _HEAD},
            )
            for row in self.cases
        ]


class ScoredSet(msgspec.Struct, frozen=True):
    """A set of patients that was segmented and scored.

    Attributes:
        data: Name of the data set.
        patients: Names of the patients.
        frames: Number of frames.
        slices: Number of slices.
        inference_seconds: Time to segment all frames, from the image in memory to labels on its own grid, reading and scoring excepted.
        protocols: Scores by name of the protocol.
    """

    data: str
    patients: list[str]
    frames: int
    slices: int
    inference_seconds: float
    protocols: dict[str, ProtocolScores]


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """A job that was trained and scored.

    Attributes:
        schema_version: Version of this format.
        row: Name of the row.
        title: The recipe's line for people.
        policy: How the members came by their training.
        recipe: The recipe in full, with the seed and the schedule that were trained.
        seed: Of the training.
        budget: As asked for: `steps=N`, `minutes=M` or `recipe`.
        scale: Name of the scale that the recipe was brought to, or None where it is as the row has it.
        train_patients: Who was trained on, by any member; not those whom the recipe keeps aside.
        held_out_patients: Who was held out.
        fold: Fold that was held out, counted from 0, or None.
        folds: Number of folds, or None.
        training_data: Name of the data set.
        complete: Whether the training came to the end of its schedule; otherwise the limit of the job cut it short. Once there are test
            scores the job is final either way.
        steps: Optimizer steps done, all members together.
        total_steps: Optimizer steps of the whole training; members that are trained apart each have steps of their own.
        members: Number of networks in the model.
        updates: Steps of the whole training, one counted for each step and each network of the model that it changes.
        updates_besides: The same of networks that are no part of the model.
        slices: Slices trained on, padding excepted, with repetition.
        train_seconds: Wall time of the training, all sittings together, reading and scoring excepted.
        parameters: Trained values of all members together.
        flops: Operations to segment one slice, a multiplication and an addition being two.
        edge: Edge in pixels of the slice that `flops` is of.
        hardware: Device in words.
        torch: Version.
        shortaxis: Version.
        commit: Commit of the clone that ran, `unknown` where git does not tell it, or None outside a clone.
        modified: Whether files of the clone differed from the commit; None where the commit is not known.
        date: Day of the scoring (UTC).
        held_out: Scores of the held-out patients, or None.
        test: Scores of the test patients, who are scored once, or None.
        shared: Test patients whose image was trained on under another name, or kept aside to choose weights by.
        notice: What a reader of the scores must be told, such as that weights were chosen by the held-out patients; None where nothing.
        weight_sweep: DSC of Fixed pooling against the weight of the first member, where it was asked for, or None.
        plugins: Code of the user's own that ran with it, as `shortaxis.plugins.loaded_plugins` tells it.
    """

    schema_version: int
    row: str
    title: str
    policy: str
    recipe: dict[str, Any]
    seed: int
    budget: str
    train_patients: list[str]
    held_out_patients: list[str]
    fold: int | None
    folds: int | None
    training_data: str
    complete: bool
    steps: int
    total_steps: int
    members: int
    updates: int
    updates_besides: int
    slices: int
    train_seconds: float
    parameters: int
    flops: int
    edge: int
    hardware: str
    torch: str
    shortaxis: str
    commit: str | None
    modified: bool | None
    date: str
    scale: str | None = None
    held_out: ScoredSet | None = None
    test: ScoredSet | None = None
    shared: list[Shared] = []
    notice: str | None = None
    weight_sweep: dict[str, Any] | None = None
    plugins: list[dict[str, str]] = []


def case_row(score: CaseScore) -> dict[str, Any]:
    """JSON-able row of a case with its confusion counts; `ProtocolScores.scores` is the inverse."""
    return score.to_dict() | {"confusion": score.confusion.ravel().tolist()}


def write_result(path: Path, result: Result) -> None:
    """Write a result, whole or not at all.

    Raises:
        InputError: The file cannot be written.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(_indented(msgspec.to_builtins(result)) + "\n", encoding="utf-8")


def read_result(path: Path) -> Result:
    """Read a result.

    Raises:
        InputError: The file is absent, is no result, or comes from a newer version.
    """
    try:
        text = path.read_bytes()
        version = msgspec.json.decode(text, type=_Version).schema_version
        if version != SCHEMA_VERSION:
            msg = f"{path}: results of format {version} are not known to this version (it reads {SCHEMA_VERSION}); update shortaxis"
            raise InputError(msg)
        return msgspec.json.decode(text, type=Result)
    except OSError as error:
        msg = f"{path}: cannot be read ({error.strerror}); give a result that `shortaxis benchmark run` wrote"
        raise InputError(msg) from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        msg = f"{path}: is no result of a benchmark job ({error}); remove the file and run the job again"
        raise InputError(msg) from error


def read_results(folder: Path) -> list[Result]:
    """Read every result below a folder: `result.json` of job folders, and results gathered under other names.

    JSON files of other kinds, which carry no `row`, are passed over.

    Raises:
        InputError: The folder is absent or holds no result, or one of them is damaged.
    """
    if not folder.is_dir():
        msg = f"{folder}: no such folder; give the --out folder of `shortaxis benchmark run`"
        raise InputError(msg)
    results = [read_result(path) for path in sorted(folder.rglob("*.json")) if path.name == RESULT or _is_result(path)]
    if not results:
        msg = f"{folder}: holds no result of a benchmark job; run `shortaxis benchmark run --out {folder}` first"
        raise InputError(msg)
    return results


class _Version(msgspec.Struct, frozen=True):
    schema_version: int


class _Kind(msgspec.Struct, frozen=True):
    schema_version: int
    row: str


def _is_result(path: Path) -> bool:
    try:
        msgspec.json.decode(path.read_bytes(), type=_Kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, OSError):
        return False
    return True


def without(scores: list[CaseScore], patients: Collection[str]) -> list[CaseScore]:
    """The scores of all but these patients."""
    return [score for score in scores if score.patient not in patients]


def _indented(content: Any, depth: int = 0) -> str:
    """JSON, indented down to the rows of cases."""
    if depth >= _ON_ONE_LINE or not isinstance(content, dict | list) or not content:
        return json.dumps(content, ensure_ascii=False, allow_nan=False)
    pad, end = "\n" + " " * (depth + 1), "\n" + " " * depth
    if isinstance(content, dict):
        parts = [f"{json.dumps(key, ensure_ascii=False)}: {_indented(value, depth + 1)}" for key, value in content.items()]
        return "{" + pad + ("," + pad).join(parts) + end + "}"
    if not isinstance(content[0], dict | list):
        return json.dumps(content, ensure_ascii=False, allow_nan=False)
    return "[" + pad + ("," + pad).join(_indented(part, depth + 1) for part in content) + end + "]"
