"""Training runs in which members are to forget where a slice comes from: by a reversed gradient, or by unlearning."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor, nn

from shortaxis.errors import DataWarning, InputError
from shortaxis.io.atomic import write_json
from shortaxis.losses import TotalLoss
from shortaxis.training.checkpoint import load_checkpoint, save_checkpoint
from shortaxis.training.domains import DomainPredictor, confusion_loss, domain_loss, reverse_gradient
from shortaxis.training.loop import Run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch.optim import Optimizer

    from shortaxis.training.batches import BatchPlan

FACTS: Final = "domains.json"
"""Says how often the predictors find the domain, and how often chance would."""
_MEMORY: Final = 0.95
HEAD: Final = "head"
"""The layer of a network behind which its logits come; what goes into it are the features."""


@dataclass
class DomainRun(Run):
    """A run that knows the domain of each frame and has a predictor of domains for each member.

    Attributes:
        domains: Index of the domain of every frame of `data`.
        count: Number of domains.
        rate: Learning rate of the predictors, by Adam.

    Raises:
        InputError: A member has no layer called `head`, or several processes share the run.
    """

    domains: Sequence[int] = ()
    count: int = 2
    rate: float = 1e-4
    features: list[Tensor] = field(default_factory=list)
    """What went into the head of each member in its last run."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.processes.count > 1:
            msg = f"the policy of '{self.recipe.name}' trains in one process; start it without torchrun"
            raise InputError(msg)
        heads = [head_of(member, self.recipe.name) for member in self.ensemble.members]
        self.features = [torch.empty(0)] * len(heads)
        for index, head in enumerate(heads):
            head.register_forward_pre_hook(self._keep(index))
        predictors = [DomainPredictor(_channels(head), self.count) for head in heads]
        self.predictors = nn.ModuleList(predictors).to(self.device)
        self.predicting = torch.optim.Adam(self.predictors.parameters(), lr=self.rate)
        self.domain_of_frame = torch.tensor(list(self.domains), device=self.device)
        self.found: Tensor | None = None
        """Share of slices whose domain the predictors have found of late, before they learnt from them; a moving average."""

    def _keep(self, index: int) -> Any:
        def keep(_head: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            self.features[index] = inputs[0]

        return keep

    def of_batch(self, plan: BatchPlan) -> tuple[Tensor, Tensor]:
        """The domain int64 (B,) and the weight float32 (B,) of each slice of a batch."""
        frames, owner, valid = (torch.from_numpy(part).to(self.device) for part in (plan.frames, plan.frame_of_slice, plan.valid))
        return self.domain_of_frame[frames[owner]], valid.float()

    def predicted(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Logits of the domain (B, D), a member each."""
        return [predictor(values.float()) for predictor, values in zip(self.predictors, features, strict=True)]

    def count_found(self, predicted: Sequence[Tensor], domains: Tensor, weight: Tensor) -> None:
        """Take in how often the predictors are right."""
        right = torch.stack([(logits.argmax(dim=1) == domains).float() for logits in predicted]).mean(dim=0)
        share = (right * weight).sum() / weight.sum().clamp(min=1)
        self.found = share if self.found is None else torch.lerp(self.found, share, 1 - _MEMORY)

    def parts(self) -> dict[str, Optimizer]:
        """Optimizers beside that of the run, by the name of the file that keeps their state."""
        return {"domain-predictors": self.predicting}

    def save(self) -> None:
        """Write the checkpoint, and beside it the predictors and their optimizer."""
        if self.checkpoint is not None and self.processes.is_first:
            for name, optimizer in self.parts().items():
                path, state = _beside(self.checkpoint, name), {"step": self.step}
                save_checkpoint(path, module=self.predictors, average=nn.Module(), optimizer=optimizer, state=state)
            if self.found is not None:
                facts = {"step": self.step, "found": round(float(self.found), 4), "chance": round(1 / self.count, 4)}
                write_json(self.checkpoint.with_name(FACTS), facts)
        super().save()

    def resume(self) -> None:
        """Go on from the checkpoint.

        Raises:
            InputError: As `Run.resume`, or the predictors' file is missing or damaged.
        """
        super().resume()
        assert self.checkpoint is not None, "the run has refused to resume without"
        for name, optimizer in self.parts().items():
            path = _beside(self.checkpoint, name)
            state = load_checkpoint(path, module=self.predictors, average=nn.Module(), optimizer=optimizer)
            if state["step"] != self.step:
                message = f"{path}: is of step {state['step']}, the run of step {self.step}, since saving was cut off; it goes on with both"
                warnings.warn(message, DataWarning, stacklevel=3)


@dataclass(frozen=True)
class AdversarialLoss(TotalLoss):
    """The loss of the run, plus that of the domain predictors behind a reversed gradient, a mean over the members.

    Attributes:
        inner: The loss of the run.
        run: Says domains, features and strength.
    """

    inner: TotalLoss | None = None
    run: AdversarialRun | None = None

    def __call__(self, probabilities: Tensor, members: Tensor, labels: Tensor, valid: Tensor, ends: Tensor) -> Tensor:
        """Return a scalar; the arguments are those of `TotalLoss`."""
        assert self.inner is not None
        assert self.run is not None
        run = self.run
        turned = [reverse_gradient(values, run.strength()) for values in run.features]
        predicted = run.predicted(turned)
        losses = [domain_loss(logits, run.batch_domains, valid.float()) for logits in predicted]
        run.count_found(predicted, run.batch_domains, valid.float())
        return self.inner(probabilities, members, labels, valid, ends) + torch.stack(losses).mean()

    def leave_out(self, labels: Tensor, annotated: Tensor) -> None:
        """As the loss of the run does; the domain of a slice is known whatever is annotated."""
        assert self.inner is not None
        self.inner.leave_out(labels, annotated)


@dataclass
class AdversarialRun(DomainRun):
    """Features are trained to segment well and to hide the domain, the predictors to find it, all in one step.

    The strength of the reversed gradient rises as `2 / (1 + exp(-10 p)) - 1` with the share p of the run that is done.
    """

    batch_domains: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.long))
    """The domain of each slice of the batch."""

    def strength(self) -> float:
        """λ at this step, in [0, 1)."""
        return 2 / (1 + math.exp(-10 * self.step / max(self.total, 1))) - 1

    def _tuned_step(self, module: nn.Module, plan: BatchPlan, rate: float, generator: torch.Generator) -> Tensor:
        if not isinstance(self.loss, AdversarialLoss):
            self.loss = AdversarialLoss(self.loss.loss, inner=self.loss, run=self)
        self.batch_domains, _ = self.of_batch(plan)
        self.predicting.zero_grad(set_to_none=True)
        loss = super()._tuned_step(module, plan, rate, generator)
        self.predicting.step()
        return loss


@dataclass
class UnlearningRun(DomainRun):
    """Iterative unlearning (Dinsdale et al., NeuroImage 228, 2021): segment; then find the domain; then make that impossible.

    Up to the share `first` of the run, encoder, segmenter and predictor learn together; behind it each step has three: the loss on
    encoder and segmenter; the domain loss on the predictors, from features that are held fast; and β times the confusion loss on the
    encoder alone.

    Attributes:
        first: Share of the run in which nothing is unlearnt.
        beta: β.
        encoder_rate: Learning rate of the unlearning, by Adam.
    """

    first: float = 1 / 3
    beta: float = 10.0
    encoder_rate: float = 1e-4

    def __post_init__(self) -> None:
        super().__post_init__()
        heads = {id(value) for member in self.ensemble.members for value in getattr(member, HEAD).parameters()}
        self.encoder = [value for value in self.ensemble.members.parameters() if id(value) not in heads]
        self.unlearning = torch.optim.Adam(self.encoder, lr=self.encoder_rate)
        self.seen: tuple[Any, ...] = ()
        self.ensemble.register_forward_pre_hook(self._keep_inputs, with_kwargs=True)

    def _keep_inputs(self, _module: nn.Module, inputs: tuple[Any, ...], options: dict[str, Any]) -> None:
        self.seen = (inputs, options)

    def parts(self) -> dict[str, Optimizer]:
        """Optimizers beside that of the run, by the name of the file that keeps their state."""
        return super().parts() | {"unlearning": self.unlearning}

    def _tuned_step(self, module: nn.Module, plan: BatchPlan, rate: float, generator: torch.Generator) -> Tensor:
        loss = super()._tuned_step(module, plan, rate, generator)
        domains, weight = self.of_batch(plan)
        self._find_domains(domains, weight)
        if self.step >= self.first * self.total:
            self._confuse(weight)
        self.features = [values.detach() for values in self.features]
        return loss

    def _find_domains(self, domains: Tensor, weight: Tensor) -> None:
        """One step of the predictors; nothing else changes."""
        self.predicting.zero_grad(set_to_none=True)
        predicted = self.predicted([values.detach() for values in self.features])
        self.count_found(predicted, domains, weight)
        losses = [domain_loss(logits, domains, weight) for logits in predicted]
        torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
        self.predicting.step()

    def _confuse(self, weight: Tensor) -> None:
        """One step of the encoders; neither heads nor predictors change, and running statistics stay as the step of the loss left them."""
        inputs, options = self.seen
        statistics = [value.clone() for value in self.ensemble.buffers()]
        with self._precision():
            self.ensemble(*inputs, **options)
        self.unlearning.zero_grad(set_to_none=True)
        losses = [confusion_loss(logits, weight) for logits in self.predicted(self.features)]
        (self.beta * torch.stack(losses).sum()).backward()  # type: ignore[no-untyped-call]
        self.unlearning.step()
        with torch.no_grad():
            for value, before in zip(self.ensemble.buffers(), statistics, strict=True):
                value.copy_(before)


def head_of(member: nn.Module, recipe: str) -> nn.Module:
    """The layer of a member behind which its logits come.

    Raises:
        InputError: It has none that is called `head`.
    """
    head = getattr(member, HEAD, None)
    if not isinstance(head, nn.Conv2d):
        takers = "unet, depth-unet, deeplabv3plus, fcnn2d, fcnn3d or resnet34-unet"
        kind = type(member).__name__
        msg = f"the policy of '{recipe}' needs networks with a last convolution called `{HEAD}`, such as {takers}, not {kind}"
        raise InputError(msg)
    return head


def _channels(head: nn.Module) -> int:
    assert isinstance(head, nn.Conv2d)
    return head.in_channels


def _beside(checkpoint: Path, name: str) -> Path:
    return checkpoint.with_name(f"{name}.safetensors")
