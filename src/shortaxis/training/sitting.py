"""One sitting of a training run as it is asked for on the command line: by names of recipe, data and split."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import msgspec

from shortaxis.datasets import open_dataset
from shortaxis.datasets.split_choice import choose_split, split_of_run
from shortaxis.datasets.watching import watched
from shortaxis.training.recipe import load_recipe
from shortaxis.training.run import RunResult, train
from shortaxis.training.stages import holds_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from shortaxis.training.loop import Progress


def train_sitting(
    recipe: str,
    data: str,
    out: Path,
    *,
    split_file: Path | None = None,
    fold: int | None = None,
    folds: int = 5,
    per_group: int | None = None,
    seed: int | None = None,
    device: str = "auto",
    minutes: float | None = None,
    steps: int | None = None,
    resume: bool = False,
    start_from: Path | None = None,
    validate: bool = True,
    finder: Path | None = None,
    on_read: Callable[[str], None] = lambda _name: None,
    on_progress: Callable[[Progress], None] | None = None,
) -> RunResult:
    """Train a recipe on a data set, with a split that does not leak and that the run's folder keeps as `split.json`.

    Args:
        recipe: Name or path of a recipe.
        data: Data set, as `shortaxis.open_dataset` takes it.
        out: The run's folder.
        split_file: See `choose_split`, as for `fold`, `folds` and `per_group`. A run that goes on keeps its own split.
        fold: Fold to hold out, counted from 0.
        folds: Number of folds.
        per_group: Patients to hold out of each group.
        seed: In place of the recipe's; folds and hold-out are drawn with seed 0 whatever it is.
        device: See `shortaxis.training.train`, as for the rest.
        minutes: Budget of wall time for this sitting.
        steps: Budget of steps for this sitting.
        resume: Go on with the run in `out`.
        start_from: See `shortaxis.training.train`.
        validate: See `shortaxis.training.train`.
        finder: See `shortaxis.training.train`.
        on_read: Called with the name of each frame that was read.
        on_progress: Called with every report of the loop.

    Returns:
        How the sitting ended.

    Raises:
        InputError: Recipe, data, split, device or `out` are unfit.
    """
    chosen = load_recipe(recipe)
    if seed is not None:
        chosen = msgspec.structs.replace(chosen, seed=seed)
    dataset = watched(open_dataset(data), on_read)
    started = holds_run(out)
    split = choose_split(dataset, file=split_file, fold=fold, folds=folds, per_group=per_group)
    if started and resume:
        split = split_of_run(out, split)
    return train(
        chosen,
        dataset,
        out,
        split=split,
        device=device,
        minutes=minutes,
        steps=steps,
        resume=resume,
        start_from=start_from,
        validate=validate,
        finder=finder,
        on_progress=on_progress,
    )


def result_to_dict(result: RunResult) -> dict[str, Any]:
    """JSON-able form of how a sitting ended."""
    return {**asdict(result), "model": None if result.model is None else str(result.model)}
