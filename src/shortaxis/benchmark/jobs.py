"""The jobs of a benchmark: each trains one row with one seed, scores it, and leaves one JSON file; finished ones are never repeated."""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from shortaxis import __version__
from shortaxis.benchmark.budgets import steps_within
from shortaxis.benchmark.describing import describe, spent
from shortaxis.benchmark.kept import read_kept
from shortaxis.benchmark.leaks import shared_with
from shortaxis.benchmark.provenance import UNKNOWN, provenance
from shortaxis.benchmark.result import RESULT, Result, read_result, write_result
from shortaxis.benchmark.rows import with_steps
from shortaxis.benchmark.scoring import score_model
from shortaxis.benchmark.sweep import is_swept, sweep_within
from shortaxis.benchmark.unfinished import UNFINISHED, save_unfinished
from shortaxis.errors import InputError
from shortaxis.inference.device import choose_device
from shortaxis.inference.predictor import Model, load_model
from shortaxis.io.atomic import atomic_path, write_json
from shortaxis.plugins import loaded_plugins
from shortaxis.training.difference import difference
from shortaxis.training.recipe import recipe_from_dict, recipe_to_dict
from shortaxis.training.run import spec_of, train
from shortaxis.training.stages import MODEL, holds_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from shortaxis.benchmark.experiment import Experiment, Job
    from shortaxis.training.loop import Progress
    from shortaxis.training.recipe import Recipe

    Report = Callable[[float, str], None]

ASKED: Final = "job.json"
RUN: Final = "run"
ERROR: Final = "error.txt"
SCORING_SHARE: Final = 0.2
"""Share of a job's limit that is kept for reading the data and for scoring."""


class _Asked(msgspec.Struct):
    """What `ASKED` holds: what was asked for, and the recipe that came of it."""

    asked: dict[str, Any]
    recipe: dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Attributes:
        job: Its place, such as `rows/unet/seed-0`.
        state: `done` now, `kept` from an earlier call, `unfinished` at the limit of the job, or `failed`.
        path: The result, or None where it failed.
        error: Why it failed.
        notes: What is to be known of its end, one sentence each.
    """

    job: str
    state: Literal["done", "kept", "unfinished", "failed"]
    path: Path | None
    error: str | None = None
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        path = None if self.path is None else str(self.path)
        return {"job": self.job, "state": self.state, "path": path, "error": self.error, "notes": list(self.notes)}


def run_jobs(
    experiment: Experiment,
    on_progress: Callable[[float, int, str], None] = lambda _done, _all, _text: None,
    on_outcome: Callable[[Outcome], None] = lambda _outcome: None,
) -> list[Outcome]:
    """Run every job that is not finished; one that fails does not stop the others.

    Args:
        experiment: What to run.
        on_progress: Called with the jobs done (a fraction while one runs), the jobs of the whole, and what is being done.
        on_outcome: Called with what became of each job as soon as it is known.

    Returns:
        One entry a job.
    """
    jobs, outcomes = experiment.jobs(), []
    for index, job in enumerate(jobs):

        def report(share: float, text: str, index: int = index, place: str = job.place) -> None:
            on_progress(index + share, len(jobs), f"{place}: {text}")

        outcomes.append(_attempt(job, experiment, report))
        on_outcome(outcomes[-1])
        on_progress(index + 1, len(jobs), "")
    return outcomes


def _attempt(job: Job, experiment: Experiment, report: Report) -> Outcome:
    path = experiment.out / job.place / RESULT
    before = path.stat().st_mtime_ns if path.is_file() else None
    try:
        result = run_job(job, experiment, report)
    except Exception as error:  # whatever goes wrong in one job, the others are worth having
        told = isinstance(error, InputError)
        failure = str(error) if told else f"{type(error).__name__}: {error} (traceback in {path.with_name(ERROR)})"
        if not told:
            with atomic_path(path.with_name(ERROR)) as temporary:
                temporary.write_text(traceback.format_exc(), encoding="utf-8")
        return Outcome(job.place, "failed", None, failure)
    path.with_name(ERROR).unlink(missing_ok=True)
    kept = before == path.stat().st_mtime_ns
    final = result.complete or result.test is not None
    state: Literal["done", "kept", "unfinished"] = "kept" if kept and final else "done" if result.complete else "unfinished"
    return Outcome(job.place, state, path, notes=tuple(_notes(result, job, experiment, kept=kept)))


def _notes(result: Result, job: Job, experiment: Experiment, *, kept: bool) -> Iterator[str]:
    reached = f"step {result.steps} of {result.total_steps}"
    if not result.complete and result.test is not None:
        yield f"its test score is known, so that it is final at {reached} and is not trained on"
    elif not result.complete and kept:
        yield f"its limit is spent at {reached}; raise --minutes-per-job to go on"
    if kept and not _is_code_of_now(result):
        yield "the code that made it may not be the code of now; remove its folder to have it run anew"
    if _lacks_sweep(result, job, experiment):
        yield "its limit left no time for the sweep of weights; raise --minutes-per-job to have it"


def _is_code_of_now(result: Result) -> bool:
    """Whether a result was surely made by this very code."""
    made = (result.shortaxis, result.commit, result.modified, result.plugins)
    now = (__version__, *provenance(), loaded_plugins())
    return made == now and not result.modified and result.commit != UNKNOWN


def run_job(job: Job, experiment: Experiment, report: Report = lambda _share, _text: None) -> Result:
    """Train and score one job, going on from where an earlier call left it.

    A job whose test score is known is final, complete or not: it is never trained on, since nobody is to choose by that score when to stop.

    Args:
        job: What to do.
        experiment: What it has in common with the others.
        report: Called with the share done and what is being done.

    Returns:
        The result, which also lies in the job's folder.

    Raises:
        InputError: The folder holds a job that was asked for otherwise, or the training refuses.
    """
    clock = _Clock(experiment, experiment.out / job.place / RUN)
    folder = experiment.out / job.place
    recipe = settle(job, experiment, folder)
    path = folder / RESULT
    result = read_result(path) if path.is_file() else None
    if result is None or not (result.complete or result.test is not None or clock.left(1 - SCORING_SHARE) == 0):
        result = _train(job, experiment, recipe, clock, report)
    result = _with_test(result, job, experiment, report)
    return _with_sweep(result, job, experiment, clock)


class _Clock:
    """Wall time that is left of a job's limit; the training of earlier calls counts, by the run's own record."""

    def __init__(self, experiment: Experiment, run: Path) -> None:
        limit = experiment.minutes_per_job
        self.limit = None if limit is None else 60 * limit
        self.begun = time.monotonic() - spent(run)[0]

    def left(self, share: float = 1.0) -> float | None:
        """Seconds of a share of the limit that are left; None without a limit."""
        return None if self.limit is None else max(self.limit * share - (time.monotonic() - self.begun), 0.0)


def _train(job: Job, experiment: Experiment, recipe: Recipe, clock: _Clock, report: Report) -> Result:
    """Train on, and score the held-out patients."""
    run = experiment.out / job.place / RUN
    left = clock.left(1 - SCORING_SHARE)
    ended = train(
        recipe,
        experiment.data,
        run,
        split=job.split,
        device=experiment.device,
        minutes=None if left is None else left / 60,
        resume=True,
        validate=False,  # they are scored here
        on_progress=lambda now: report(0.9 * now.step / now.total, _in_words(now)),
    )
    file = save_unfinished(run, recipe) if ended.model is None else ended.model
    device = choose_device(experiment.device)
    # Members are trained one after the other: where the last was not begun, there is nothing to score.
    model = Model(spec_of(recipe).build(), spec_of(recipe), device) if file is None else load_model(file, device)
    result = describe(job, experiment, recipe, model, ended, run)
    if job.split is not None and file is not None:
        held_out = experiment.data.select(job.split.held_out)
        scored = score_model(model, held_out, on_frame=lambda done, of: report(0.9 + 0.05 * done / of, "scoring held-out patients"))
        result = msgspec.structs.replace(result, held_out=scored)
    write_result(run.with_name(RESULT), result)
    return result


def _with_test(result: Result, job: Job, experiment: Experiment, report: Report) -> Result:
    """Score the test patients, once; what was scored stays as it is."""
    if experiment.test is None:
        return result
    if result.test is not None:
        if set(result.test.patients) != set(experiment.test.patients):
            msg = f"{experiment.out / job.place}: was scored on other test patients; choose another --out"
            raise InputError(msg)
        return result
    model = _model(result, job, experiment)
    if model is None:
        return result
    shared = shared_with(experiment.shared, job.training(experiment.data).patients)
    scored = score_model(
        model,
        experiment.test,
        shared={pair.test for pair in shared},
        on_frame=lambda done, of: report(0.95 + 0.05 * done / of, "scoring test patients"),
    )
    result = msgspec.structs.replace(result, test=scored, shared=shared)
    write_result(experiment.out / job.place / RESULT, result)
    return result


def _with_sweep(result: Result, job: Job, experiment: Experiment, clock: _Clock) -> Result:
    """Add the sweep of Fig. 2 where it was asked for and there is time left for it; all scores are written by then."""
    if not _lacks_sweep(result, job, experiment) or job.split is None:
        return result
    model = _model(result, job, experiment)
    held_out = experiment.data.select(job.split.held_out)
    sweep = None if model is None else sweep_within(model, held_out, clock.left())
    if sweep is None:
        return result
    result = msgspec.structs.replace(result, weight_sweep=sweep)
    write_result(experiment.out / job.place / RESULT, result)
    return result


def _lacks_sweep(result: Result, job: Job, experiment: Experiment) -> bool:
    return experiment.sweep and is_swept(job.row.recipe) and result.held_out is not None and result.weight_sweep is None


def _model(result: Result, job: Job, experiment: Experiment) -> Model | None:
    """The model that a result is of; None where members were not all trained."""
    path = experiment.out / job.place / RUN / (MODEL if result.complete else UNFINISHED)
    return load_model(path, choose_device(experiment.device)) if path.is_file() else None


def settle(job: Job, experiment: Experiment, folder: Path) -> Recipe:
    """Fix in the job's folder what is asked for, and give the recipe that is trained.

    A budget in minutes becomes steps once a row, by a measurement on this machine, so that all its jobs have one schedule and keep it.

    Raises:
        InputError: The folder holds a job that was asked for otherwise, or its record cannot be read.
    """
    recipe = msgspec.structs.replace(job.row.recipe, seed=job.seed)
    split = job.split
    asked = {
        "recipe": recipe_to_dict(recipe),
        "budget": str(experiment.budget),
        "data": experiment.data.name,
        "train_patients": sorted(experiment.data.patients) if split is None else list(split.train),
        "held_out_patients": [] if split is None else list(split.held_out),
    }
    path = folder / ASKED
    begun = holds_run(folder / RUN) or (folder / RESULT).is_file()  # what failed before its first checkpoint may be asked for anew
    if begun and path.is_file():
        kept = read_kept(path, _Asked, "what was asked of an earlier job", "remove its folder to have it run anew, or choose another --out")
        found = difference(kept.asked, asked)
        if found is not None:
            msg = f"{folder}: holds a job that was asked for otherwise ({found}); choose another --out, or remove the folder"
            raise InputError(msg)
        return recipe_from_dict(kept.recipe, str(path))
    budgeted = _budgeted(recipe, job, experiment)
    write_json(path, {"asked": asked, "recipe": recipe_to_dict(budgeted)})
    return budgeted


def _budgeted(recipe: Recipe, job: Job, experiment: Experiment) -> Recipe:
    budget = experiment.budget
    if budget.unit == "recipe":
        return recipe
    if budget.unit == "steps":
        return with_steps(recipe, int(budget.amount))
    training, folder = job.training(experiment.data), experiment.out / job.row.name
    return with_steps(recipe, steps_within(job.row, budget, training, folder, experiment.device))


def _in_words(now: Progress) -> str:
    return f"step {now.step}/{now.total}, loss {now.loss:.4f}, {now.slices_per_second:.0f} slices/s"
