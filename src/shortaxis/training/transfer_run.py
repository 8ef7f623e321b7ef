"""A training run that shows some batches as if other scanners had taken them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from shortaxis.networks.resnet34_unet import VendorClassifier
from shortaxis.training.domain_transfer import train_classifier, transfer
from shortaxis.training.loop import Run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

    from shortaxis.training.batches import BatchPlan
    from shortaxis.training.resident import ResidentSet

_AT_ONCE: Final = 32
_SEEDS: Final = 5_000_000
"""Where the draws of this run begin in the sequence of the recipe's seed."""


@dataclass
class TransferRun(Run):
    """A run with a second set of images, each moved to a domain other than its own.

    Attributes:
        domains: Index of the domain of every frame of `data`.
        count: Number of domains.
        share: Share of the batches that show the moved images.
        classifier_steps: Optimizer steps of the classifier.
        widths: Channels of the classifier's stages.
        blocks: Residual blocks of each stage.
    """

    domains: Sequence[int] = ()
    count: int = 2
    share: float = 0.5
    classifier_steps: int = 500
    widths: Sequence[int] = (16, 32, 64, 128)
    blocks: Sequence[int] = (2, 2, 2, 2)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.original = self.data
        self.moved = self._moved()

    def _moved(self) -> ResidentSet:
        """The data with every slice moved to another domain."""
        data, seed = self.data, self.recipe.seed
        domain = torch.tensor(np.repeat(list(self.domains), data.depths), device=self.device)
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(seed)
            classifier = VendorClassifier(self.count, widths=self.widths, blocks=self.blocks).to(self.device)
            train_classifier(classifier, data.images, domain, steps=self.classifier_steps, seed=seed)
        draw = torch.Generator(self.device).manual_seed(seed)
        step = torch.randint(1, self.count, domain.shape, generator=draw, device=self.device)
        target = torch.nn.functional.one_hot((domain + step) % self.count, self.count).float()
        parts = [
            transfer(images, classifier, aims)
            for images, aims in zip(torch.split(data.images, _AT_ONCE), torch.split(target, _AT_ONCE), strict=True)
        ]
        return replace(data, images=torch.cat(parts).to(data.images.dtype))

    def _tuned_step(self, module: nn.Module, plan: BatchPlan, rate: float, generator: torch.Generator) -> Tensor:
        moved = np.random.default_rng((self.recipe.seed, _SEEDS, self.step)).random() < self.share
        self.data = self.moved if moved else self.original
        try:
            return super()._tuned_step(module, plan, rate, generator)
        finally:
            self.data = self.original
