"""Which scanner a frame comes from, and a network that learns to see it: what domain adaptation is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shortaxis.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shortaxis.datasets.dataset import Dataset

BY: Final = ("vendor", "centre", "field_strength_t")
"""What may tell the domains apart: attributes of `FrameRef`."""
_GRID: Final = 8
_WIDTH: Final = 16


def domains_of(dataset: Dataset, patients: Sequence[str], by: str) -> tuple[list[str], list[int]]:
    """Name the domains of a data set, and the domain of each frame.

    Args:
        dataset: The frames.
        patients: Whose frames are asked for; the frames follow their order, as those of `TrainingSet.frames_of` do.
        by: One of `BY`.

    Returns:
        The names of the domains, sorted, and for each frame the index of its domain.

    Raises:
        InputError: A frame does not say where it comes from, or all come from one domain.
    """
    values: dict[str, list[str]] = {}
    for ref in dataset.refs:
        value = getattr(ref, by)
        if value is None:
            title = by.removesuffix("_t").replace("_", " ")
            msg = f"{ref.name}: its {title} is not known, by which domains are to be told apart; add it to Info.cfg or scanner.cfg"
            raise InputError(msg)
        values.setdefault(ref.patient, []).append(str(value))
    found = [value for patient in patients for value in values[patient]]
    names = sorted(set(found))
    if len(names) < 2:
        msg = f"the data set '{dataset.name}' has one domain ({names[0] if names else 'none'}); adaptation needs frames of at least two"
        raise InputError(msg)
    return names, [names.index(value) for value in found]


class DomainPredictor(nn.Module):
    """Says from the features of a slice which domain it comes from.

    Four 3x3 convolutions with ReLU, batch norm and max-pooling, a projection to one channel, and three linear layers, as Dinsdale et al.
    (NeuroImage 228, 2021) have it; the map is brought to 8x8 in front of the linear layers, so that slices may have any size.

    Args:
        channels: Of the features.
        domains: Number of domains.
    """

    def __init__(self, channels: int, domains: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs in (channels, _WIDTH, _WIDTH, _WIDTH):
            layers += [nn.Conv2d(inputs, _WIDTH, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(_WIDTH), nn.MaxPool2d(2, ceil_mode=True)]
        self.features = nn.Sequential(*layers, nn.Conv2d(_WIDTH, 1, kernel_size=1), nn.ReLU())
        self.head = nn.Sequential(nn.Linear(_GRID**2, 96), nn.ReLU(), nn.Linear(96, 32), nn.ReLU(), nn.Linear(32, domains))

    def forward(self, features: Tensor) -> Tensor:
        """Turn features (B, channels, H, W) into logits (B, domains)."""
        pooled = F.adaptive_avg_pool2d(self.features(features), _GRID)
        logits: Tensor = self.head(pooled.flatten(1))
        return logits


def domain_loss(logits: Tensor, domains: Tensor, weight: Tensor) -> Tensor:
    """Cross-entropy of the domains, averaged by the weights of the slices.

    Args:
        logits: float (B, D).
        domains: int64 (B,).
        weight: float32 (B,), 0 for padding.
    """
    return _mean(F.cross_entropy(logits.float(), domains, reduction="none"), weight)


def confusion_loss(logits: Tensor, weight: Tensor) -> Tensor:
    """Minus the mean over the domains of log p: least where every domain is as likely as any other (Tzeng et al., ICCV 2015)."""
    return _mean(-torch.log_softmax(logits.float(), dim=1).mean(dim=1), weight)


class _Reversal(torch.autograd.Function):
    """The identity, whose gradient is turned round."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, features: Tensor, strength: float) -> Tensor:
        ctx.strength = strength  # type: ignore[attr-defined]
        return features.view_as(features)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.strength * gradients[0], None  # type: ignore[attr-defined]


def reverse_gradient(features: Tensor, strength: float) -> Tensor:
    """Give features as they are; what comes back through them is multiplied by `-strength` (Ganin et al., JMLR 17(59), 2016)."""
    reversed_: Tensor = _Reversal.apply(features, strength)  # type: ignore[no-untyped-call]
    return reversed_


def _mean(per_slice: Tensor, weight: Tensor) -> Tensor:
    return (per_slice * weight).sum() / weight.sum().clamp(min=1)
