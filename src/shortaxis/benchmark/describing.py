"""What a result says of a job besides its scores: what was trained on whom, for how long, at what cost, by which code."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import torch

import shortaxis
from shortaxis.benchmark.provenance import provenance
from shortaxis.benchmark.result import SCHEMA_VERSION, Result
from shortaxis.benchmark.scoring import model_cost
from shortaxis.inference.device import device_in_words
from shortaxis.plugins import loaded_plugins
from shortaxis.training.policies.weights_search import patients_aside
from shortaxis.training.recipe import recipe_to_dict
from shortaxis.training.run import FACTS

if TYPE_CHECKING:
    from pathlib import Path

    from shortaxis.benchmark.experiment import Experiment, Job
    from shortaxis.datasets.dataset import Dataset
    from shortaxis.inference.predictor import Model
    from shortaxis.training.recipe import Recipe
    from shortaxis.training.run import RunResult


def describe(job: Job, experiment: Experiment, recipe: Recipe, model: Model, ended: RunResult, run: Path) -> Result:
    """Describe a job that was trained; scores are added later.

    Args:
        job: What was done.
        experiment: What it has in common with the others.
        recipe: What was trained, with its schedule.
        model: What came of it.
        ended: How the sitting ended.
        run: Folder of the training.
    """
    split = job.split
    facts = json.loads((run / FACTS).read_text(encoding="utf-8"))
    seconds, slices = spent(run)
    return Result(
        schema_version=SCHEMA_VERSION,
        row=job.row.name,
        title=recipe.title,
        policy=job.row.policy,
        recipe=recipe_to_dict(recipe),
        seed=job.seed,
        budget=str(experiment.budget),
        train_patients=who_was_trained_on(facts, recipe, job.training(experiment.data)),
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
        **of_scoring(model),
        scale=experiment.scale,
        notice=facts.get("notice"),
    )


def of_scoring(model: Model) -> dict[str, Any]:
    """Fields of a result that say what a model costs, and which code scores it where and when."""
    (commit, modified), (parameters, flops) = provenance(), model_cost(model)
    return {
        "parameters": parameters,
        "flops": flops,
        "edge": model.grid.size,
        "hardware": device_in_words(model.device),
        "torch": str(torch.__version__),
        "shortaxis": shortaxis.__version__,
        "commit": commit,
        "modified": modified,
        "date": datetime.now(UTC).date().isoformat(),
        "plugins": loaded_plugins(),
    }


def who_was_trained_on(facts: dict[str, Any], recipe: Recipe, training: Dataset) -> list[str]:
    """Patients that some member was trained on: a bootstrap leaves patients out, and so does `[search]`, which keeps some aside.

    Args:
        facts: The run's record.
        recipe: What was trained.
        training: All that the run was given.
    """
    if "stages" in facts:
        return sorted({patient for stage in facts["stages"] for patient in stage["patients"]})
    return sorted(set(training.patients) - patients_aside(recipe, training))


def spent(run: Path) -> tuple[float, int]:
    """Seconds and slices of all trainings below a run's folder, all sittings together; a policy that trains members apart has several."""
    seconds, slices = 0.0, 0
    for log in sorted(run.rglob("log.jsonl")):
        lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
        seconds += max((line["seconds"] for line in lines), default=0.0)
        slices += sum(line["slices"] for line in lines)
    return seconds, slices
