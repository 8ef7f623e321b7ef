"""The whole of what a step minimises: the loss of the pooled output (Eq. 1), and what a recipe may add to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from shortaxis.losses.diversity import Diversity
    from shortaxis.losses.terms import Loss


@dataclass(frozen=True)
class TotalLoss:
    """`L(ŷ) + a · mean_i L(ŷ_i) + b · diversity(ŷ_1 … ŷ_N)`.

    Attributes:
        loss: L.
        member_weight: a; 0 in the paper.
        diversity: The diversity term; None in the paper.
        diversity_weight: b.
        end_weight: Weight of the end slices of each frame, where all others weigh 1; 1 in the paper.
    """

    loss: Loss
    member_weight: float = 0.0
    diversity: Diversity | None = None
    diversity_weight: float = 0.0
    end_weight: float = 1.0

    def __call__(self, probabilities: Tensor, members: Tensor, labels: Tensor, valid: Tensor, ends: Tensor) -> Tensor:
        """Return a scalar.

        Args:
            probabilities: float32 (B, C, H, W), pooled.
            members: float32 (N, B, C, H, W).
            labels: int64 (B, H, W).
            valid: bool (B,), False for padding.
            ends: bool (B,), True for the first two and the last two slices of a stack.
        """
        weight = self.slice_weights(valid, ends)
        total = self.loss(probabilities, labels, weight)
        if self.member_weight:
            total = total + self.member_weight * member_loss(self.loss, members, labels, weight)
        if self.diversity is not None:
            total = total + self.diversity_weight * self.diversity(members, labels, weight)
        return total

    def leave_out(self, labels: Tensor, annotated: Tensor) -> None:
        """Leave what is not annotated out of whatever the loss looks at besides the arguments of its next call; here there is nothing.

        Args:
            labels: int64 (B, H, W), `UNKNOWN` where nothing is known.
            annotated: bool (B, C), the classes that are annotated in each slice.
        """

    def slice_weights(self, valid: Tensor, ends: Tensor) -> Tensor:
        """How much each slice counts, float32 (B,); the arguments are those of a call."""
        weight = valid.float()
        return weight if self.end_weight == 1 else weight * (1 + (self.end_weight - 1) * ends.float())


def member_loss(loss: Loss, members: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
    """Average of `loss` over the members' own probabilities (N, B, C, H, W): deep supervision of the ensemble."""
    return torch.stack([loss(member, labels, weight) for member in members]).mean()
