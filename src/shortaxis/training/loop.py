"""The training loop: joint training of all members through one loss (Eq. 1), with nothing read back from the device between log lines."""

from __future__ import annotations

import math
import time
import warnings
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from shortaxis.errors import DataWarning, InputError
from shortaxis.labels import N_CLASSES
from shortaxis.losses import DIVERSITIES, LOSSES, TotalLoss
from shortaxis.losses.partial import known_labels, merge_unannotated
from shortaxis.training.augmentation import augment
from shortaxis.training.averaging import AveragedWeights
from shortaxis.training.batches import BatchPlan, iterate_batches, pack_epoch
from shortaxis.training.checkpoint import load_checkpoint, read_state, save_checkpoint
from shortaxis.training.compiling import is_compiled, is_failure_of_compiler, reason_of
from shortaxis.training.difference import difference
from shortaxis.training.optimizers import decay_of, optimizer_of
from shortaxis.training.recipe import recipe_from_dict, recipe_to_dict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from torch.optim import Optimizer

    from shortaxis.ensemble import StreamingEnsemble
    from shortaxis.training.processes import Processes
    from shortaxis.training.recipe import Recipe
    from shortaxis.training.resident import ResidentSet

LOG_EVERY = 25
SAVE_EVERY_SECONDS = 60.0


@dataclass
class Progress:
    """Where a run stands after some steps.

    Attributes:
        step: Optimizer steps done.
        total: Optimizer steps of the whole run.
        loss: Mean loss since the last report.
        learning_rate: At this step.
        slices_per_second: Real slices, without padding, since the last report, over all processes.
        seconds: Wall time spent in training so far, all sittings together.
        slices: Real slices of this process since the last report.
    """

    step: int
    total: int
    loss: float
    learning_rate: float
    slices_per_second: float
    seconds: float
    slices: int = 0


@dataclass
class Run:
    """The moving parts of one training run.

    Args:
        recipe: What to train.
        ensemble: On its device.
        data: The training set on the same device.
        checkpoint: Where the run saves itself; None saves nothing.
        processes: This process among its peers.
        on_progress: Called every few steps.
    """

    recipe: Recipe
    ensemble: StreamingEnsemble
    data: ResidentSet
    checkpoint: Path | None
    processes: Processes
    on_progress: Callable[[Progress], None] = field(default=lambda _: None)

    def __post_init__(self) -> None:
        self.device = self.data.images.device
        self.step = 0
        self.seconds = 0.0
        self.total, self.warmup = schedule_length(self.recipe, self.data.depths, self.processes.count)
        last = self.recipe.averaging.last
        self.average = AveragedWeights(
            self.ensemble, self.recipe.averaging.decay, first=math.ceil(self.total * (1 - last)) if last else None
        )
        self.optimizer = build_optimizer(self.recipe, self.ensemble)
        self.loss = build_loss(self.recipe)

    def resume(self) -> None:
        """Go on from the checkpoint.

        Raises:
            InputError: The checkpoint is unusable, or belongs to another recipe.
        """
        if self.checkpoint is None:
            msg = "a run without a checkpoint cannot resume; give it a path"
            raise InputError(msg)
        refuse_other_run(self.checkpoint, self.recipe, len(self.data.depths), self.processes.count)
        state = load_checkpoint(self.checkpoint, module=self.ensemble, average=self.average.module, optimizer=self.optimizer)
        self.step, self.seconds = state["step"], state["seconds"]

    def save(self) -> None:
        """Write the checkpoint (the first process only)."""
        if self.processes.is_first and self.checkpoint is not None:
            state: dict[str, Any] = {
                "step": self.step,
                "seconds": self.seconds,
                "frames": len(self.data.depths),
                "processes": self.processes.count,
                "recipe": recipe_to_dict(self.recipe),
            }
            save_checkpoint(self.checkpoint, module=self.ensemble, average=self.average.module, optimizer=self.optimizer, state=state)

    def train(self, *, seconds: float | None = None, steps: int | None = None) -> bool:
        """Train to the end of the schedule, or until the budget of this sitting is spent; then save.

        Args:
            seconds: Wall time for this sitting.
            steps: Steps for this sitting.

        Returns:
            True when the schedule is complete.

        Raises:
            InputError: The loss is no longer finite.
        """
        module = self._training_module()
        last = self.total if steps is None else min(self.total, self.step + steps)
        generator = torch.Generator(self.device)
        meter = _Meter(self)
        begun = saved = time.monotonic()
        before = self.seconds
        for plan in self._plans(last):
            rate = learning_rate(self.recipe, self.step, total=self.total, warmup=self.warmup)
            try:
                loss = self._one_step(module, plan, rate, generator)
            except RuntimeError as error:
                module = self._without_compiler(module, error)
                loss = self._one_step(module, plan, rate, generator)
            meter.add(loss, plan)
            self.step += 1
            now = time.monotonic()
            self.seconds = before + now - begun
            if self.step % LOG_EVERY == 0 or self.step == last:
                meter.report(rate)
            if now - saved > SAVE_EVERY_SECONDS:
                meter.refuse_divergence()
                self.save()
                saved = now
            if seconds is not None and self._is_time_up(now - begun > seconds):
                break
        meter.refuse_divergence()
        self.save()
        return self.step >= self.total

    def _is_time_up(self, mine: bool) -> bool:
        """Whether any process has used up its time; several processes ask each other only now and then, since the answer is waited for."""
        if self.processes.count == 1:
            return mine
        return self.step % LOG_EVERY == 0 and self.processes.any(mine)

    def _plans(self, last: int) -> Any:
        recipe, peers = self.recipe, self.processes
        plans = iterate_batches(
            self.data.depths,
            recipe.batch.frames,
            recipe.batch.slices,
            recipe.seed,
            first=self.step * peers.count,
            count=last * peers.count,
            end_stacks=recipe.batch.end_stacks,
            cut_stacks=recipe.batch.cut_stacks,
        )
        return (plan for index, plan in enumerate(plans) if index % peers.count == peers.index)

    def _training_module(self) -> nn.Module:
        module: nn.Module = self.ensemble.train()
        if is_compiled(self.recipe, self.device):
            module = torch.compile(module)  # type: ignore[assignment]
        if self.processes.count > 1:
            module = DistributedDataParallel(module)
        return module

    def _without_compiler(self, module: nn.Module, error: RuntimeError) -> nn.Module:
        """The module to go on with where compiling failed, which it does before the weights are changed; any other error is raised.

        Several processes do not go on: they would not all fail at the same place, and wait for each other.
        """
        if module is self.ensemble or self.processes.count > 1 or not is_failure_of_compiler(error):
            raise error
        warnings.warn(
            f"the step of '{self.recipe.name}' could not be compiled, so the run goes on uncompiled and slower ({reason_of(error)}); "
            "install what is missing, or set compile = false in the recipe",
            DataWarning,
            stacklevel=2,
        )
        return self.ensemble

    def _one_step(self, module: nn.Module, plan: BatchPlan, rate: float, generator: torch.Generator) -> Tensor:
        seed = step_seed(self.recipe.seed, self.step, self.processes.index)
        torch.manual_seed(seed)
        generator.manual_seed(seed)
        with self._tuned():
            return self._tuned_step(module, plan, rate, generator)

    def _tuned_step(self, module: nn.Module, plan: BatchPlan, rate: float, generator: torch.Generator) -> Tensor:
        slices, owner, frames, valid, ends = (_to_device(torch.from_numpy(part), self.device) for part in plan)
        images, labels = augment(
            self.data.images[slices],
            self.data.labels[slices],
            owner,
            self.data.centres[frames],
            self.data.pixel_mm[frames],
            self.recipe.augmentation,
            generator,
            None if self.data.canvas is None else self.data.canvas.of(frames),
        )
        annotated = self._annotated(frames)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with self._precision():
            output = module(images.to(memory_format=torch.channels_last), owner, n_frames=len(frames), valid=valid)
        probabilities, members = output.probabilities, output.members
        if annotated is not None:
            shown = annotated[owner]
            probabilities, members = (merge_unannotated(values, labels, shown) for values in (probabilities, members))
            self.loss.leave_out(labels, shown)
            labels = known_labels(labels)
        loss = self.loss(probabilities, members, labels, valid, ends)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.recipe.optimizer.clip is not None:
            nn.utils.clip_grad_norm_(self.ensemble.parameters(), self.recipe.optimizer.clip)
        self.optimizer.step()
        self.average.update(self.ensemble, self.step)
        return loss.detach()

    def _annotated(self, frames: Tensor) -> Tensor | None:
        """Which classes are annotated in the frames of a batch, bool (F, C); None where a loss has nothing to leave out."""
        known = self.data.annotated
        if known is not None:
            return known[frames]
        if self.data.canvas is None and not self.recipe.augmentation.view_mm:
            return None
        return torch.ones(len(frames), N_CLASSES, dtype=torch.bool, device=frames.device)

    def _tuned(self) -> AbstractContextManager[Any]:
        """Let cuDNN choose its fastest algorithms; it does so once, since the shape of a batch never changes."""
        return torch.backends.cudnn.flags(enabled=True, benchmark=True) if self.device.type == "cuda" else nullcontext()

    def _precision(self) -> AbstractContextManager[Any]:
        wanted = self.recipe.precision
        if wanted == "bf16-everywhere" or (wanted == "bf16" and self.device.type == "cuda"):
            return torch.autocast(self.device.type, torch.bfloat16)
        return nullcontext()


def refuse_other_run(checkpoint: Path, recipe: Recipe, frames: int, processes: int) -> None:
    """Refuse to go on from the checkpoint of another run; no tensor of it is read.

    Args:
        checkpoint: The file.
        recipe: Of the run that would go on.
        frames: Number of frames that it is trained on.
        processes: Number of processes that share it.

    Raises:
        InputError: The checkpoint is of another recipe, other data or another number of processes, or is missing or damaged.
    """
    state = read_state(checkpoint)
    kept = recipe_to_dict(recipe_from_dict(state["recipe"], str(checkpoint)))
    found = difference(kept | {"frames": state["frames"]}, recipe_to_dict(recipe) | {"frames": frames})
    if found is not None:
        msg = (
            f"{checkpoint}: this run was started with another recipe or other data ({found}); resume with the same, or choose another --out"
        )
        raise InputError(msg)
    if state["processes"] != processes:
        msg = f"{checkpoint}: this run was started with {state['processes']} processes, not {processes}; resume with as many"
        raise InputError(msg)


class _Meter:
    """Sums the loss on the device and reads it back once a report."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._reset()

    def _reset(self) -> None:
        self.loss: Tensor | None = None
        self.steps = 0
        self.slices = 0
        self.since = time.monotonic()

    def add(self, loss: Tensor, plan: BatchPlan) -> None:
        self.loss = loss if self.loss is None else self.loss + loss
        self.steps += 1
        self.slices += int(plan.valid.sum())

    def refuse_divergence(self) -> None:
        """End the run before a weight that is not finite can reach a checkpoint."""
        if self.loss is not None and not math.isfinite(float(self.loss)):
            run = self.run
            msg = f"the loss of '{run.recipe.name}' is no longer finite at step {run.step}; lower optimizer.learning_rate in the recipe"
            raise InputError(msg)

    def report(self, rate: float) -> None:
        run = self.run
        self.refuse_divergence()
        mean = 0.0 if self.loss is None else float(self.loss) / self.steps
        speed = self.slices * run.processes.count / (time.monotonic() - self.since)
        run.on_progress(Progress(run.step, run.total, mean, rate, speed, run.seconds, self.slices))
        self._reset()


def step_seed(seed: int, step: int, process: int) -> int:
    """Seed of all that is drawn in one step of one process: resuming needs no stored random state."""
    return int(np.random.SeedSequence((seed, step, process)).generate_state(1, np.uint64)[0] >> 1)


def schedule_length(recipe: Recipe, depths: Sequence[int], processes: int = 1) -> tuple[int, float]:
    """Optimizer steps of a run on frames of these depths, and of its warm-up."""
    batch, schedule = recipe.batch, recipe.schedule
    per_epoch = math.ceil(len(pack_epoch(depths, batch.frames, batch.slices, recipe.seed, epoch=0)) / processes)
    total = schedule.steps or per_epoch * (schedule.epochs or 0)
    return total, per_epoch * schedule.warmup_epochs + schedule.warmup_steps


def learning_rate(recipe: Recipe, step: int, *, total: int, warmup: float) -> float:
    """Learning rate of a step (counted from 0): linear warm-up, then the recipe's decay towards `total`."""
    peak, schedule = recipe.optimizer.learning_rate, recipe.schedule
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    return peak * decay_of(schedule, (step - warmup) / max(total - warmup, 1))


def build_loss(recipe: Recipe) -> TotalLoss:
    """Build what a step minimises.

    Raises:
        InputError: The loss or the diversity term is unknown.
    """
    options = recipe.loss
    diversity = None if options.diversity is None else DIVERSITIES.named(options.diversity)
    return TotalLoss(LOSSES.named(options.name), options.member_weight, diversity, options.diversity_weight, options.end_weight)


def build_optimizer(recipe: Recipe, ensemble: StreamingEnsemble) -> Optimizer:
    """Build the one optimizer of all members."""
    return optimizer_of(recipe.optimizer, list(ensemble.parameters()))


def _to_device(values: Tensor, device: torch.device) -> Tensor:
    return values.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else values
