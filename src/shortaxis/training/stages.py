"""Training the stages of a policy one after another, within the budget of one sitting; a later sitting goes on where this one stopped."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import torch

from shortaxis.ensemble.model_file import ModelSpec, read_model, read_spec, save_model
from shortaxis.errors import InputError
from shortaxis.training.deep_supervision import with_deep_supervision
from shortaxis.training.difference import difference
from shortaxis.training.loop import Run, refuse_other_run, schedule_length
from shortaxis.training.pretraining import load_pretrained
from shortaxis.training.recipe import recipe_from_dict, recipe_to_dict
from shortaxis.training.run_log import RunLog

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from shortaxis.ensemble import StreamingEnsemble
    from shortaxis.training.loop import Progress
    from shortaxis.training.policies import Stage, TrainingSet
    from shortaxis.training.processes import Processes
    from shortaxis.training.recipe import Recipe

CHECKPOINT: Final = "checkpoint.safetensors"
MODEL: Final = "model.safetensors"


def spec_of(recipe: Recipe, card: dict[str, Any] | None = None) -> ModelSpec:
    """Say which model a recipe makes; each of its members is named on its own."""
    members = [{"network": group.network, "options": group.options} for group in recipe.members for _ in range(group.count)]
    return ModelSpec(recipe.name, members, recipe.pooling, recipe.grid, card or {}, recipe.augmenting)


def holds_run(out: Path) -> bool:
    """Whether a run was begun in a folder: the checkpoint of its own or of one of its stages lies there."""
    return (out / CHECKPOINT).exists() or any(out.glob(f"*/{CHECKPOINT}"))


@dataclass
class Budget:
    """What a sitting may use; None is without limit.

    Attributes:
        seconds: Of training.
        steps: Of the optimizer.
    """

    seconds: float | None = None
    steps: int | None = None

    def spend(self, seconds: float, steps: int) -> None:
        """Take off what was used."""
        self.seconds = None if self.seconds is None else self.seconds - seconds
        self.steps = None if self.steps is None else self.steps - steps

    @property
    def is_spent(self) -> bool:
        """Whether nothing is left."""
        return (self.seconds is not None and self.seconds <= 0) or (self.steps is not None and self.steps <= 0)


class Course:
    """All stages of a run.

    Args:
        stages: In the order in which they are trained.
        training: What all of them choose their frames from.
        out: The run's folder; each stage has its own below it.
        processes: This process among its peers.
        start: Networks whose weights the members start with, by their position in the recipe; None starts from random ones.
        on_progress: Called with every report; steps and seconds are those of the whole run.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        training: TrainingSet,
        out: Path,
        processes: Processes,
        *,
        start: StreamingEnsemble | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self.stages, self.training, self.out, self.processes = stages, training, out, processes
        self.start, self.on_progress = start, on_progress
        self.frames = [training.frames_of(stage.patients) for stage in stages]
        depths = training.resident.depths
        self.lengths = [
            schedule_length(stage.recipe, [depths[frame] for frame in frames], processes.count)[0]
            for stage, frames in zip(stages, self.frames, strict=True)
        ]
        self.done: list[tuple[int, float]] = []
        """Steps and seconds of the stages that were begun."""

    @property
    def total(self) -> int:
        """Optimizer steps of all stages."""
        return sum(self.lengths)

    @property
    def step(self) -> int:
        """Optimizer steps done so far, all sittings together."""
        return sum(steps for steps, _ in self.done)

    @property
    def seconds(self) -> float:
        """Wall time spent in training so far, all sittings together."""
        return sum(seconds for _, seconds in self.done)

    def facts(self) -> dict[str, Any]:
        """What is trained, for the run's record: `updates` counts one for each step and each member that it changes."""
        rows = [(stage, steps * len(stage.members)) for stage, steps in zip(self.stages, self.lengths, strict=True)]
        named = [
            {"name": stage.name, "members": [index + 1 for index in stage.members], "steps": steps, "patients": list(stage.patients)}
            for (stage, _), steps in zip(rows, self.lengths, strict=True)
            if stage.name
        ]
        kept, passing = (sum(updates for stage, updates in rows if stage.kept is wanted) for wanted in (True, False))
        return {"updates": {"in_the_model": kept, "besides": passing}} | ({"stages": named} if named else {})

    def refuse_other_runs(self) -> None:
        """Refuse to go on from what lies in the run's folder where that was begun otherwise; nothing is written.

        Raises:
            InputError: A checkpoint or the model of a stage is of another recipe or other patients, or is damaged.
        """
        for stage, frames in zip(self.stages, self.frames, strict=True):
            folder = self.out / stage.name
            if stage.name and (folder / MODEL).exists():
                _refuse_other_stage(folder / MODEL, stage)
            elif (folder / CHECKPOINT).exists():
                refuse_other_run(folder / CHECKPOINT, stage.recipe, len(frames), self.processes.count)

    def train(self, budget: Budget, *, resume: bool) -> list[tuple[Stage, StreamingEnsemble]] | None:
        """Train what is not trained yet.

        Args:
            budget: What this sitting may use; it is spent.
            resume: Go on from the checkpoints that lie there.

        Returns:
            Each stage with its averaged weights, or None where the budget was spent before.

        Raises:
            InputError: A checkpoint or the model of a stage belongs to another run or is damaged, or the loss is no longer finite.
        """
        trained: list[tuple[Stage, StreamingEnsemble]] = []
        for index, stage in enumerate(self.stages):
            ensemble = self._finished(stage) if resume else None
            if ensemble is None:
                if index and self.processes.any(budget.is_spent):
                    return None
                earlier = next((done for other, done in trained if other.name == stage.start), None)
                ensemble = self._trained(index, budget, earlier, resume=resume)
                if ensemble is None:
                    return None
            trained.append((stage, ensemble))
        return trained

    def _finished(self, stage: Stage) -> StreamingEnsemble | None:
        """What a stage left when it was done; the run's own folder holds the model of the whole run instead."""
        path = self.out / stage.name / MODEL
        if not stage.name or not path.exists():
            return None
        ensemble, spec = read_model(path)
        self.done.append((spec.card["steps"], spec.card["training_seconds"]))
        return ensemble

    def _trained(self, index: int, budget: Budget, earlier: StreamingEnsemble | None, *, resume: bool) -> StreamingEnsemble | None:
        """Train a stage, from the weights of an `earlier` one where it has one; None where it is not done when the budget is spent."""
        stage, folder = self.stages[index], self.out / self.stages[index].name
        torch.manual_seed(stage.recipe.seed)
        spec = spec_of(stage.recipe)
        ensemble = spec.build()
        load_pretrained(ensemble, stage.recipe)
        if earlier is not None:
            ensemble.load_state_dict(earlier.state_dict())
        elif self.start is not None:
            for member, position in zip(ensemble.members, stage.members, strict=True):
                member.load_state_dict(self.start.members[position].state_dict(), strict=False)  # `train` has found that they fit
        ensemble = ensemble.to(self.processes.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        resident = self.training.resident
        data = resident.take(self.frames[index]) if self.frames[index] != list(range(len(resident.depths))) else resident
        run = (stage.run or Run)(stage.recipe, ensemble, data, folder / CHECKPOINT, self.processes)
        run.loss = with_deep_supervision(run.loss, ensemble)
        if resume and (folder / CHECKPOINT).exists():
            run.resume()
        before, steps_before, seconds_before = (run.step, run.seconds), self.step, self.seconds
        with _log(folder, run) as log:
            run.on_progress = lambda progress: self._report(progress, log, steps_before, seconds_before)
            complete = run.train(seconds=budget.seconds, steps=budget.steps)
        budget.spend(run.seconds - before[1], run.step - before[0])
        self.done.append((run.step, run.seconds))
        if not complete:
            return None
        averaged = run.average.module
        if stage.name and self.processes.is_first:  # read back, so that nothing depends on whether the run was cut off here
            card = {
                "recipe": recipe_to_dict(stage.recipe),
                "train_patients": list(stage.patients),
                "steps": run.step,
                "training_seconds": round(run.seconds, 1),
            }
            save_model(folder / MODEL, averaged, replace(spec, card=card))
            return read_model(folder / MODEL)[0]
        return averaged

    def _report(self, progress: Progress, log: RunLog | None, steps: int, seconds: float) -> None:
        if log is not None:
            log.write(progress)
            if self.on_progress is not None:
                self.on_progress(replace(progress, step=steps + progress.step, total=self.total, seconds=seconds + progress.seconds))


def _refuse_other_stage(path: Path, stage: Stage) -> None:
    card = read_spec(path).card
    kept = recipe_to_dict(recipe_from_dict(card.get("recipe"), str(path))) | {"train_patients": card.get("train_patients")}
    found = difference(kept, recipe_to_dict(stage.recipe) | {"train_patients": list(stage.patients)})
    if found is not None:
        other = f"this stage was trained by another recipe or on other patients ({found})"
        msg = f"{path}: {other}; resume with the same, or choose another --out"
        raise InputError(msg)


def _log(folder: Path, run: Run) -> AbstractContextManager[RunLog | None]:
    return RunLog(folder, resume_at=run.step) if run.processes.is_first else nullcontext()
