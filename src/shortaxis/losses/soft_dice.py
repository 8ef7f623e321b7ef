"""The loss of Isensee's 2D network (arXiv 1707.00587)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shortaxis.losses.terms import soft_dsc

if TYPE_CHECKING:
    from torch import Tensor


def soft_dice(probabilities: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
    """Mean over all classes, background included, of 1 - DSC over the pixels of the batch."""
    return (1 - soft_dsc(probabilities, labels, weight)).mean()
