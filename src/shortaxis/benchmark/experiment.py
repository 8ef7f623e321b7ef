"""What a benchmark is asked to do: rows, seeds, data and budget, opened and checked before the first job starts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shortaxis.benchmark.leaks import shared_hearts
from shortaxis.benchmark.rows import Budget, Row, rows_named
from shortaxis.benchmark.scales import scale_named
from shortaxis.datasets import open_dataset
from shortaxis.datasets.splits import hold_out, k_fold
from shortaxis.datasets.watching import watched
from shortaxis.errors import InputError
from shortaxis.inference.device import choose_device

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shortaxis.benchmark.result import Shared
    from shortaxis.datasets.dataset import Dataset
    from shortaxis.datasets.splits import Split


@dataclass(frozen=True)
class Job:
    """One row, seed and split: what is trained and scored on its own.

    Attributes:
        row: The row.
        seed: Of the training.
        split: Who is trained on and who held out; None trains on all.
    """

    row: Row
    seed: int
    split: Split | None

    @property
    def place(self) -> str:
        """The job's folder below `out`, which also names the job, such as `rows/unet/seed-0-fold-2`."""
        fold = "" if self.split is None or self.split.fold is None else f"-fold-{self.split.fold}"
        return f"{self.row.name}/seed-{self.seed}{fold}"

    def training(self, data: Dataset) -> Dataset:
        """The part of the data that the training is given."""
        return data if self.split is None else data.select(self.split.train)


@dataclass(frozen=True)
class Experiment:
    """What all jobs have in common.

    Attributes:
        rows: In the paper's order.
        seeds: Seeds of the trainings.
        splits: One entry a fold; one entry None to train on all.
        data: All that may be learnt from, held-out patients among it.
        test: Patients that are scored once, or None.
        shared: Test patients whose image stands in `data` under another name.
        budget: How long every row trains.
        minutes_per_job: Limit of wall time of one job, or None.
        device: See `choose_device`.
        out: Folder of all jobs.
        sweep: Whether rows of Fig. 2 have their weights swept on the held-out patients.
        scale: Name of the scale that the rows were brought to, or None where they have the size of their recipes.
        of_scale: What is to be known of rows at that scale, one sentence each.
    """

    rows: tuple[Row, ...]
    seeds: tuple[int, ...]
    splits: tuple[Split | None, ...]
    data: Dataset
    test: Dataset | None
    shared: tuple[Shared, ...]
    budget: Budget
    minutes_per_job: float | None
    device: str
    out: Path
    sweep: bool = False
    scale: str | None = None
    of_scale: tuple[str, ...] = ()

    def jobs(self) -> list[Job]:
        """All jobs, seed by seed, so that every row has its first result before any has its second."""
        return [Job(row, seed, split) for seed in self.seeds for split in self.splits for row in self.rows]

    def remarks(self) -> list[str]:
        """What the data lack and what a scale does to the rows, one sentence each."""
        sets = (self.data,) if self.test is None else (self.data, self.test)
        found = [
            f"the data set '{data.name}' does not say which frames are ED and ES, so that LVEF is not defined"
            for data in sets
            if any(ref.phase is None for ref in data.refs)
        ]
        return [*found, *self.of_scale]


def open_experiment(
    rows: Sequence[str],
    data: str,
    out: Path,
    *,
    seeds: Sequence[int] = (0,),
    test: str | None = None,
    per_group: int | None = None,
    fold: str | None = None,
    folds: int = 5,
    budget: str | None = None,
    minutes_per_job: float | None = None,
    sweep: bool = False,
    scale: str | None = None,
    device: str = "auto",
    on_read: Callable[[str], None] = lambda _name: None,
) -> Experiment:
    """Open and check all that the jobs need.

    Folds and hold-out are drawn with seed 0 whatever the seeds of the trainings are, so that all rows and seeds hold out the same patients.

    Args:
        rows: See `rows_named`.
        data: Data set, as `shortaxis.open_dataset` takes it.
        out: Folder of all jobs.
        seeds: Seeds of the trainings.
        test: Data set that is scored once.
        per_group: Patients to hold out of each group.
        fold: Fold to hold out, counted from 0; several with commas; `all` for every one.
        folds: Number of folds.
        budget: See `Budget.parse`.
        minutes_per_job: Limit of wall time of one job, all calls together.
        sweep: Sweep the weights of rows of two jointly trained members under Fixed pooling.
        scale: See `scale_named`; None leaves every row the size of its recipe.
        device: See `choose_device`.
        on_read: Called with the name of each frame that was read.

    Raises:
        InputError: Something is unfit, nothing would be scored, or the test set shares a patient with the data.
    """
    if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
        msg = f"--seeds {','.join(map(str, seeds))}: give whole numbers from 0 on, each once"
        raise InputError(msg)
    if per_group is None and fold is None and test is None:
        msg = "nothing would be scored; hold patients out (--hold-out or --fold), or give a test set (--test)"
        raise InputError(msg)
    choose_device(device)
    chosen, parsed = rows_named(rows), Budget.parse(budget)
    of_scale: list[str] = []
    if scale is not None:
        brought = scale_named(scale)
        of_scale, chosen = brought.remarks(chosen), [brought.of_row(row) for row in chosen]
    dataset = watched(open_dataset(data), on_read)
    tested = None if test is None else watched(open_dataset(test), on_read)
    return Experiment(
        tuple(chosen),
        tuple(seeds),
        _splits(dataset, per_group, fold, folds),
        dataset,
        tested,
        () if tested is None else tuple(shared_hearts(dataset, tested)),
        parsed,
        minutes_per_job,
        device,
        Path(out),
        sweep,
        scale,
        tuple(of_scale),
    )


def _splits(dataset: Dataset, per_group: int | None, fold: str | None, folds: int) -> tuple[Split | None, ...]:
    if per_group is not None and fold is not None:
        msg = "--fold and --hold-out each say who is held out; give one of them"
        raise InputError(msg)
    if per_group is not None:
        return (hold_out(dataset, per_group=per_group),)
    if fold is None:
        return (None,)
    numbers = list(range(folds)) if fold == "all" else [int(part) if part.strip().isdecimal() else -1 for part in fold.split(",")]
    if not all(0 <= number < folds for number in numbers):
        msg = f"--fold {fold}: folds are counted from 0 to {folds - 1}; give some of them with commas, or all"
        raise InputError(msg)
    drawn = k_fold(dataset, folds)
    return tuple(drawn[number] for number in dict.fromkeys(numbers))
