"""The jobs of a benchmark: each trains one row with one seed, scores it, and leaves one JSON file; finished ones are never repeated."""

from __future__ import annotations

import json
import time
import traceback
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
import torch

import shortaxis
from shortaxis.benchmark.leaks import shared_with
from shortaxis.benchmark.provenance import provenance
from shortaxis.benchmark.result import RESULT, SCHEMA_VERSION, Result, read_result, write_result
from shortaxis.benchmark.rows import Budget, with_steps
from shortaxis.benchmark.scoring import model_cost, score_model
from shortaxis.benchmark.speed import training_speed
from shortaxis.benchmark.sweep import sweep_of_row
from shortaxis.benchmark.unfinished import save_unfinished
from shortaxis.errors import InputError
from shortaxis.inference.device import choose_device, device_in_words
from shortaxis.inference.predictor import Model, load_model
from shortaxis.io.atomic import atomic_path, write_json
from shortaxis.training.recipe import recipe_from_dict, recipe_to_dict
from shortaxis.training.run import spec_of, train
from shortaxis.training.stages import holds_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from shortaxis.benchmark.experiment import Experiment, Job
    from shortaxis.training.loop import Progress
    from shortaxis.training.recipe import Recipe
    from shortaxis.training.run import RunResult

    Report = Callable[[float, str], None]

ASKED: Final = "job.json"
RUN: Final = "run"
ERROR: Final = "error.txt"
SCORING_SHARE: Final = 0.2
"""Share of a job's limit that is kept for reading the data and for scoring."""


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Attributes:
        job: Its place, such as `rows/unet/seed-0`.
        state: `done` now, `kept` from an earlier call, `unfinished` at the limit of the job, or `failed`.
        path: The result, or None where it failed.
        error: Why it failed.
    """

    job: str
    state: Literal["done", "kept", "unfinished", "failed"]
    path: Path | None
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return {"job": self.job, "state": self.state, "path": None if self.path is None else str(self.path), "error": self.error}


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
    return Outcome(job.place, "kept" if kept else "done" if result.complete else "unfinished", path)


def run_job(job: Job, experiment: Experiment, report: Report = lambda _share, _text: None) -> Result:
    """Train and score one job, going on from where an earlier call left it.

    Args:
        job: What to do.
        experiment: What it has in common with the others.
        report: Called with the share done and what is being done.

    Returns:
        The result, which also lies in the job's folder.

    Raises:
        InputError: The folder holds a job that was asked for otherwise, or the training refuses.
    """
    begun = time.monotonic()
    folder = experiment.out / job.place
    recipe = settle(job, experiment, folder)
    path = folder / RESULT
    old = read_result(path) if path.is_file() else None
    if old is not None and old.complete:
        return _with_test(old, job, experiment, report)
    limit = experiment.minutes_per_job
    ended = train(
        recipe,
        experiment.data,
        folder / RUN,
        split=job.split,
        device=experiment.device,
        minutes=None if limit is None else max(limit * (1 - SCORING_SHARE) - (time.monotonic() - begun) / 60, 0.0),
        resume=True,
        on_progress=lambda now: report(0.9 * now.step / now.total, _in_words(now)),
    )
    device = choose_device(experiment.device)
    model_file = save_unfinished(folder / RUN, recipe) if ended.model is None else ended.model
    if model_file is None:  # members are trained one after the other, and the last was not begun: there is nothing to score
        untrained = Model(spec_of(recipe).build(), spec_of(recipe), device)
        result = _describe(job, experiment, recipe, untrained, ended)
        write_result(path, result)
        return result
    model = load_model(model_file, device)
    result = _describe(job, experiment, recipe, model, ended)
    if job.split is not None:
        held_out = experiment.data.select(job.split.held_out)
        scored = score_model(model, held_out, on_frame=lambda done, of: report(0.9 + 0.05 * done / of, "scoring held-out patients"))
        result = msgspec.structs.replace(result, held_out=scored, weight_sweep=sweep_of_row(model, recipe, held_out))
    result = _scored_on_test(result, model, experiment, report)
    write_result(path, result)
    return result


def settle(job: Job, experiment: Experiment, folder: Path) -> Recipe:
    """Fix in the job's folder what is asked for, and give the recipe that is trained.

    A budget in minutes becomes steps once, by a measurement on this machine, so that a job that goes on keeps its schedule.

    Raises:
        InputError: The folder holds a job that was asked for otherwise.
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
        kept = json.loads(path.read_text(encoding="utf-8"))
        changed = [key.replace("_", " ") for key, value in asked.items() if kept["asked"][key] != value]
        if changed:
            msg = f"{folder}: holds a job with another {' and another '.join(changed)}; choose another --out, or remove the folder"
            raise InputError(msg)
        return recipe_from_dict(kept["recipe"], str(path))
    budgeted = _budgeted(recipe, experiment.budget, experiment.device)
    write_json(path, {"asked": asked, "recipe": recipe_to_dict(budgeted)})
    return budgeted


def _budgeted(recipe: Recipe, budget: Budget, device: str) -> Recipe:
    if budget.unit == "recipe":
        return recipe
    if budget.unit == "steps":
        return with_steps(recipe, int(budget.amount))
    speed = training_speed(recipe, device=device, steps=10, warm_up=10)
    return with_steps(recipe, max(1, int(60 * budget.amount * speed.steps / speed.seconds)))


def _with_test(result: Result, job: Job, experiment: Experiment, report: Report) -> Result:
    """Add the test patients to a finished job that was run without them; what was scored stays as it is."""
    if experiment.test is None:
        return result
    if result.test is not None:
        if set(result.test.patients) != set(experiment.test.patients):
            msg = f"{experiment.out / job.place}: was scored on other test patients; choose another --out"
            raise InputError(msg)
        return result
    model = load_model(experiment.out / job.place / RUN / "model.safetensors", choose_device(experiment.device))
    result = _scored_on_test(result, model, experiment, report)
    write_result(experiment.out / job.place / RESULT, result)
    return result


def _scored_on_test(result: Result, model: Model, experiment: Experiment, report: Report) -> Result:
    if experiment.test is None:
        return result
    shared = shared_with(experiment.shared, result.train_patients)
    scored = score_model(
        model,
        experiment.test,
        shared={pair.test for pair in shared},
        on_frame=lambda done, of: report(0.95 + 0.05 * done / of, "scoring test patients"),
    )
    return msgspec.structs.replace(result, test=scored, shared=shared)


def _describe(job: Job, experiment: Experiment, recipe: Recipe, model: Model, ended: RunResult) -> Result:
    split, (commit, modified), (parameters, flops) = job.split, provenance(), model_cost(model)
    run = experiment.out / job.place / RUN
    facts = json.loads((run / "run.json").read_text(encoding="utf-8"))
    seconds, slices = _trained(run)
    return Result(
        schema_version=SCHEMA_VERSION,
        row=job.row.name,
        title=recipe.title,
        policy=job.row.policy,
        recipe=recipe_to_dict(recipe),
        seed=job.seed,
        budget=str(experiment.budget),
        train_patients=sorted(experiment.data.patients) if split is None else list(split.train),
        held_out_patients=[] if split is None else list(split.held_out),
        fold=None if split is None else split.fold,
        folds=None if split is None else split.of,
        training_data=experiment.data.name,
        complete=ended.complete,
        steps=ended.step,
        total_steps=ended.total,
        members=len(model.ensemble.members),
        updates=facts["updates"]["in_the_model"],
        updates_besides=facts["updates"]["besides"],
        slices=slices,
        train_seconds=round(seconds, 1),
        parameters=parameters,
        flops=flops,
        edge=model.grid.size,
        hardware=device_in_words(model.device),
        torch=str(torch.__version__),
        shortaxis=shortaxis.__version__,
        commit=commit,
        modified=modified,
        date=datetime.now(UTC).date().isoformat(),
        notice=facts.get("notice"),
    )


def _trained(run: Path) -> tuple[float, int]:
    """Seconds and slices of all trainings below a run's folder, of which a policy that trains members apart has several."""
    seconds, slices = 0.0, 0
    for log in sorted(run.rglob("log.jsonl")):
        lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
        seconds += max((line["seconds"] for line in lines), default=0.0)
        slices += sum(line["slices"] for line in lines)
    return seconds, slices


def _in_words(now: Progress) -> str:
    return f"step {now.step}/{now.total}, loss {now.loss:.4f}, {now.slices_per_second:.0f} slices/s"
