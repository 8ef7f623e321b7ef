"""Eq. 4 of the paper as printed, and the variant that the authors' code computes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch

from shortaxis.labels import N_CLASSES
from shortaxis.losses.terms import SMALLEST, focal, one_hot, soft_dsc

if TYPE_CHECKING:
    from torch import Tensor

DICE_WEIGHTS: Final = (1.0, 2.0, 1.0, 1.0)
FOCAL_FACTOR: Final = 10.0


def equation_4(probabilities: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
    """Eq. 4 as printed: `Σ_j λ_j (1 - DSC_j) + 10 · focal`, λ = 1, 2, 1, 1 for BG, RV, MYO, LV; α = 0.1, γ = 2."""
    dice = _weighted(1 - soft_dsc(probabilities, labels, weight))
    return dice + FOCAL_FACTOR * focal(probabilities, labels, weight)


def equation_4_as_published(probabilities: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
    """Eq. 4 as the authors' code computes it, kept for comparison.

    Its Dice term lacks the factor 2, squares the denominators and averages over the classes (so that its floor is about 0.5 for each
    class), and its focal term uses α = 0.2.
    """
    truth = one_hot(labels, probabilities)
    per_pixel = weight[:, None, None, None]
    intersection = (probabilities * truth * per_pixel).sum(dim=(0, 2, 3))
    squares = ((probabilities**2 + truth**2) * per_pixel).sum(dim=(0, 2, 3))
    ratio = (intersection + SMALLEST) / (squares + SMALLEST)
    dice = _weighted(1 - ratio) / N_CLASSES
    return dice + FOCAL_FACTOR * focal(probabilities, labels, weight, alpha=0.2)


def _weighted(losses: Tensor) -> Tensor:
    """Σ_j λ_j loss_j, with plain numbers: a tensor of weights would be copied to the device at every step, and waited for."""
    return torch.stack([weight * loss for weight, loss in zip(DICE_WEIGHTS, losses, strict=True)]).sum()
