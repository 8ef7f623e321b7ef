"""Eq. 2 of the paper as a rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from shortaxis.ensemble.pooling import Pooled, fixed_pooling
from shortaxis.ensemble.rules.rule import check_switches
from shortaxis.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Fixed:
    """Eq. 2 with prior weights.

    Attributes:
        weights: One non-negative weight a member, summing to one; None means equal weights.
        outer_softmax: See `fixed_pooling`.
    """

    weights: tuple[float, ...] | None = None
    outer_softmax: bool = True

    def __post_init__(self) -> None:
        # Written so that NaN, which compares false with everything, is refused too.
        if self.weights is not None and not (all(weight >= 0 for weight in self.weights) and abs(sum(self.weights) - 1) <= 1e-6):
            msg = f"fixed pooling: the weights {list(self.weights)} must be non-negative and sum to one"
            raise InputError(msg)
        check_switches(self, "outer_softmax")

    def __call__(self, members: Tensor, averaging: Tensor, frame_of_slice: Tensor) -> Pooled:  # noqa: ARG002
        """Pool by Eq. 2."""
        weights = self.weights or (1.0 / len(members),) * len(members)
        if len(weights) != len(members):
            msg = f"fixed pooling has {len(weights)} weights for {len(members)} members; give one weight a member"
            raise InputError(msg)
        # Filled on the device: a list would be copied there at every step, and waited for.
        omega = torch.cat([members.new_full((1,), weight) for weight in weights])
        return fixed_pooling(members, omega, averaging, outer_softmax=self.outer_softmax)
