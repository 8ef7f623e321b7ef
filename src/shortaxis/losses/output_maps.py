"""Losses of networks with several output maps, taken of the logits of all maps together: MUTATION of MERIT, the sigmoids of FCT."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Protocol

import torch
import torch.nn.functional as F

from shortaxis.errors import InputError
from shortaxis.losses.squared_dice import squared_dice
from shortaxis.losses.terms import SMALLEST, cross_entropy, one_hot, weighted_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


class OfMaps(Protocol):
    """A loss of the maps of one network.

    Args:
        maps: Logits, float (B, C, H / s, W / s) each, s = 1 for the first.
        labels: int64 (B, H, W).
        weight: float32 (B,), as for `Loss`.
    """

    def __call__(self, maps: Sequence[Tensor], labels: Tensor, weight: Tensor, /) -> Tensor:
        """Return a scalar."""
        ...


@dataclass(frozen=True)
class MapsLoss:
    """A loss that looks at all maps of a network; of probabilities alone it is the loss of a network with the one map that gives them.

    Attributes:
        of_maps: The loss.
    """

    of_maps: OfMaps

    def __call__(self, probabilities: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
        """Return a scalar; see `Loss`."""
        return self.of_maps([probabilities.clamp(min=SMALLEST).log()], labels, weight)


def mutation(maps: Sequence[Tensor], labels: Tensor, weight: Tensor) -> Tensor:
    """MUTATION (Rahman and Marculescu, MIDL 2023): `0.3 CE + 0.7 Dice` of the sum of each non-empty subset of the maps, all added.

    Four maps have 15 such subsets; Dice is `squared_dice`.

    Raises:
        InputError: A map is not as large as the labels.
    """
    if any(one.shape[-2:] != labels.shape[-2:] for one in maps):
        sizes = ", ".join(f"{one.shape[-2]}x{one.shape[-1]}" for one in maps)
        msg = f"the loss 'mutation' adds maps of one size, but the network gives {sizes}; choose another loss"
        raise InputError(msg)
    losses = []
    for subset in subsets([_in_full(one) for one in maps]):
        probabilities = torch.softmax(torch.stack(subset).sum(dim=0), dim=1)
        losses.append(0.3 * cross_entropy(probabilities, labels, weight) + 0.7 * squared_dice(probabilities, labels, weight))
    return torch.stack(losses).sum()


def subsets(maps: Sequence[Tensor]) -> list[tuple[Tensor, ...]]:
    """All non-empty subsets, small ones first."""
    return [chosen for count in range(1, len(maps) + 1) for chosen in combinations(maps, count)]


def sigmoids(maps: Sequence[Tensor], labels: Tensor, weight: Tensor) -> Tensor:
    """FCT (Tragakis et al., WACV 2023): binary cross-entropy of a sigmoid for every class, of every map.

    Each map weighs half as much as the one before it, 4/7, 2/7 and 1/7 where there are three. Labels of a map that is s times coarser are
    every s-th label.
    """
    shares = [0.5**index for index in range(len(maps))]
    losses = []
    for share, logits in zip(shares, maps, strict=True):
        stride = labels.shape[-1] // logits.shape[-1]
        said = _in_full(logits)
        truth = one_hot(labels[:, ::stride, ::stride], said)
        entropy = F.binary_cross_entropy_with_logits(said, truth, reduction="none").mean(dim=(1, 2, 3))
        losses.append(share / sum(shares) * weighted_mean(entropy, weight))
    return torch.stack(losses).sum()


def _in_full(logits: Tensor) -> Tensor:
    """Logits in float32 at least, also under autocast."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))
