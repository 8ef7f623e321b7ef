"""The loss of the released model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shortaxis.losses.terms import cross_entropy, soft_dsc

if TYPE_CHECKING:
    from torch import Tensor


def dice_cross_entropy(probabilities: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
    """Mean over the foreground classes of 1 - DSC, plus the mean cross-entropy."""
    return (1 - soft_dsc(probabilities, labels, weight)[1:]).mean() + cross_entropy(probabilities, labels, weight)
