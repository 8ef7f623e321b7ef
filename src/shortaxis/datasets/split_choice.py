"""The split that a user asks for in words: a file, a fold, or a hold-out; and the one that a run's folder already holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from shortaxis.datasets.splits import Split, hold_out, k_fold, refuse_leaks
from shortaxis.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from shortaxis.datasets.dataset import Dataset

KEPT: Final = "split.json"


def choose_split(
    dataset: Dataset,
    *,
    file: Path | str | None = None,
    fold: int | None = None,
    folds: int = 5,
    per_group: int | None = None,
    seed: int = 0,
) -> Split | None:
    """Find the split asked for, and refuse it where it leaks.

    Args:
        dataset: What to split.
        file: JSON file of a split.
        fold: Number of the fold to hold out, counted from 0.
        folds: Number of folds.
        per_group: Patients to hold out of each group.
        seed: Draws folds and hold-out.

    Returns:
        The split, or None where none is asked for.

    Raises:
        InputError: More than one is asked for, it leaks, or it cannot be read or drawn.
    """
    if sum(asked is not None for asked in (file, fold, per_group)) > 1:
        msg = "--split, --fold and --hold-out each name a split; give one of them"
        raise InputError(msg)
    split = None
    if file is not None:
        split = Split.from_json(file)
    elif fold is not None:
        if not 0 <= fold < folds:
            msg = f"--fold {fold}: folds are counted from 0 to {folds - 1}; give one of them, or more --folds"
            raise InputError(msg)
        split = k_fold(dataset, folds, seed)[fold]
    elif per_group is not None:
        split = hold_out(dataset, per_group=per_group, seed=seed)
    if split is not None:
        refuse_leaks(split, dataset)
    return split


def keep_split(run: Path, split: Split | None) -> None:
    """Leave the split of a run in its folder as `split.json`; a run without one takes away what an earlier run left."""
    if split is None:
        (run / KEPT).unlink(missing_ok=True)
    else:
        split.to_json(run / KEPT)


def split_of_run(run: Path, asked: Split | None) -> Split | None:
    """Give the split that a run's folder holds, when it goes on; without one, that which is asked for.

    Args:
        run: The run's folder.
        asked: The split asked for, or None where none is: the run then keeps its own.

    Raises:
        InputError: The run was started with another split.
    """
    path = run / KEPT
    kept = Split.from_json(path) if path.is_file() else None
    if kept is None or asked is None:
        return kept or asked
    if (set(kept.train), set(kept.held_out)) != (set(asked.train), set(asked.held_out)):
        msg = f"{path}: the run was started with another split; leave the split out to go on with it, or choose another --out"
        raise InputError(msg)
    return kept
