"""One training run from data to a model file: what `shortaxis train` does."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import torch

import shortaxis
from shortaxis.datasets.split_choice import keep_split
from shortaxis.ensemble.model_file import ModelSpec, file_sha256, read_model, save_model
from shortaxis.errors import InputError
from shortaxis.inference.device import device_in_words
from shortaxis.io.atomic import write_json
from shortaxis.training.loop import Run
from shortaxis.training.processes import joined_processes
from shortaxis.training.recipe import recipe_to_dict
from shortaxis.training.resident import load_resident
from shortaxis.training.run_log import RunLog
from shortaxis.training.validation import validate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from shortaxis.datasets.dataset import Dataset
    from shortaxis.datasets.splits import Split
    from shortaxis.ensemble import StreamingEnsemble
    from shortaxis.training.loop import Progress
    from shortaxis.training.recipe import Recipe


@dataclass(frozen=True)
class RunResult:
    """How a sitting ended.

    Attributes:
        complete: Whether the schedule is done; otherwise the run can be resumed.
        model: The model file, or None while the run is not complete.
        validation: Scores on the held-out patients under every protocol, or None.
        step: Optimizer steps done.
        total: Optimizer steps of the whole run.
    """

    complete: bool
    model: Path | None
    validation: dict[str, Any] | None
    step: int
    total: int


def spec_of(recipe: Recipe, card: dict[str, Any] | None = None) -> ModelSpec:
    """Say which model a recipe makes; each of its members is named on its own."""
    members = [{"network": group.network, "options": group.options} for group in recipe.members for _ in range(group.count)]
    return ModelSpec(recipe.name, members, recipe.pooling, recipe.grid, card or {})


def train(
    recipe: Recipe,
    dataset: Dataset,
    out: Path,
    *,
    split: Split | None = None,
    device: str = "auto",
    minutes: float | None = None,
    steps: int | None = None,
    resume: bool = False,
    start_from: Path | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> RunResult:
    """Train a recipe, and score it on the held-out patients when it is done.

    Args:
        recipe: What to train.
        dataset: Annotated frames; the held-out ones among them.
        out: Folder for `run.json`, `split.json`, `log.jsonl`, TensorBoard events, `checkpoint.safetensors`, and at the end
            `model.safetensors` and `validation.json`.
        split: Which patients to train on and which to hold out; None trains on all.
        device: See `choose_device`.
        minutes: Budget of wall time for this sitting, reading the data excepted; the run saves itself and can be resumed.
        steps: Budget of optimizer steps for this sitting.
        resume: Go on from the checkpoint in `out`, from the start where there is none.
        start_from: A model file whose weights the members start with, in place of random ones. What it was trained on is not asked: a score
            on patients that it has seen is worth nothing.
        on_progress: Called with every report of the loop, in the first process.

    Raises:
        InputError: `out` holds another run, the data, the recipe or the device are unfit, or `start_from` has other members.
    """
    checkpoint = out / "checkpoint.safetensors"
    if checkpoint.exists() and not resume:
        msg = f"{out} already holds a run; add --resume to go on with it, or choose another --out"
        raise InputError(msg)
    training = dataset if split is None else dataset.select(split.train)
    with ExitStack() as stack:
        processes = stack.enter_context(joined_processes(device))
        torch.manual_seed(recipe.seed)
        spec = spec_of(recipe)
        ensemble = spec.build() if start_from is None else _started(start_from, spec)
        ensemble.to(processes.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        data = load_resident(training, spec.build_grid(), processes.device)
        run = Run(recipe, ensemble, data, checkpoint, processes)
        if resume and checkpoint.exists():
            run.resume()
        facts = _facts(recipe, training, split, processes.device)
        if start_from is not None:
            facts["start_from"] = {"file": start_from.name, "sha256": file_sha256(start_from)}
        if processes.is_first:
            write_json(out / "run.json", facts)
            keep_split(out, split)
        with _log(out, run) as log:
            run.on_progress = lambda progress: _report(progress, log, on_progress)
            complete = run.train(seconds=None if minutes is None else minutes * 60, steps=steps)
        if not complete or not processes.is_first:
            return RunResult(complete, None, None, run.step, run.total)
        spec = spec_of(recipe, facts | {"steps": run.step, "training_seconds": round(run.seconds, 1)})
        averaged = run.average.module
        scores = None
        if split is not None and split.held_out:
            scores = validate(averaged, spec, dataset.select(split.held_out), device=processes.device)
            write_json(out / "validation.json", scores)
        model = out / "model.safetensors"
        save_model(model, averaged, spec)
        return RunResult(complete, model, scores, run.step, run.total)


def _started(path: Path, spec: ModelSpec) -> StreamingEnsemble:
    """The recipe's ensemble with the weights of a model file, whose pooling rule and grid may be others."""
    ensemble, found = read_model(path)
    if found.members != spec.members:
        msg = f"{path}: has other members than the recipe '{spec.name}'; start from a model of the same members, or from none"
        raise InputError(msg)
    started = spec.build()
    started.members.load_state_dict(ensemble.members.state_dict())
    return started


def _log(out: Path, run: Run) -> AbstractContextManager[RunLog | None]:
    return RunLog(out, resume_at=run.step) if run.processes.is_first else nullcontext()


def _report(progress: Progress, log: RunLog | None, on_progress: Callable[[Progress], None] | None) -> None:
    if log is not None:
        log.write(progress)
        if on_progress is not None:
            on_progress(progress)


def _facts(recipe: Recipe, training: Dataset, split: Split | None, device: torch.device) -> dict[str, Any]:
    return {
        "recipe": recipe_to_dict(recipe),
        "data": training.name,
        "train_patients": list(training.patients),
        "held_out_patients": [] if split is None else list(split.held_out),
        "train_frames": len(training),
        "shortaxis": shortaxis.__version__,
        "torch": torch.__version__,
        "hardware": device_in_words(device),
        "date": datetime.now(UTC).date().isoformat(),
    }
