"""Eq. 4 of the paper as printed, the variant that the authors' code computes, and the loss of the released model.

All take pooled probabilities and integer labels of a batch of slices. Padding slices have weight zero.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import torch
import torch.nn.functional as F

from shortaxis.errors import InputError
from shortaxis.labels import N_CLASSES

if TYPE_CHECKING:
    from torch import Tensor

DICE_WEIGHTS: Final = (1.0, 2.0, 1.0, 1.0)
FOCAL_ALPHA: Final = 0.1
FOCAL_GAMMA: Final = 2.0
FOCAL_FACTOR: Final = 10.0
_SMALLEST: Final = 1e-7


class Loss(Protocol):
    """A loss of one batch.

    Args:
        probabilities: float32 (B, C, H, W).
        labels: int64 (B, H, W).
        valid: float32 (B,), 1 for a real slice, 0 for padding.
    """

    def __call__(self, probabilities: Tensor, labels: Tensor, valid: Tensor) -> Tensor:
        """Return a scalar."""
        ...


def soft_dsc(probabilities: Tensor, labels: Tensor, valid: Tensor) -> Tensor:
    """Eq. 5 with probabilities in place of the predicted mask, over all pixels of the batch.

    Returns:
        (C,) DSC of each class; 1 for a class that is neither predicted nor present.
    """
    truth = _one_hot(labels, probabilities)
    weight = valid[:, None, None, None]
    intersection = (probabilities * truth * weight).sum(dim=(0, 2, 3))
    total = ((probabilities + truth) * weight).sum(dim=(0, 2, 3))
    return (2 * intersection + _SMALLEST) / (total + _SMALLEST)


def focal(probabilities: Tensor, labels: Tensor, valid: Tensor, *, alpha: float = FOCAL_ALPHA, gamma: float = FOCAL_GAMMA) -> Tensor:
    """The focal term of Eq. 4: `-Σ_j α (1 - ŷ_j)^γ y_j log ŷ_j`, averaged over the pixels of valid slices."""
    p = probabilities.gather(1, labels[:, None])[:, 0].clamp(min=_SMALLEST)
    per_pixel = -alpha * (1 - p) ** gamma * p.log()
    return _mean_over_valid(per_pixel, valid)


def equation_4(probabilities: Tensor, labels: Tensor, valid: Tensor) -> Tensor:
    """Eq. 4 as printed: `Σ_j λ_j (1 - DSC_j) + 10 · focal`, λ = 1, 2, 1, 1 for BG, RV, MYO, LV; α = 0.1, γ = 2."""
    dice = _weighted(1 - soft_dsc(probabilities, labels, valid))
    return dice + FOCAL_FACTOR * focal(probabilities, labels, valid)


def equation_4_as_published(probabilities: Tensor, labels: Tensor, valid: Tensor) -> Tensor:
    """Eq. 4 as the authors' code computes it, kept for comparison.

    Its Dice term lacks the factor 2, squares the denominators and averages over the classes (so that its floor is about 0.5 for each
    class), and its focal term uses α = 0.2.
    """
    truth = _one_hot(labels, probabilities)
    weight = valid[:, None, None, None]
    intersection = (probabilities * truth * weight).sum(dim=(0, 2, 3))
    squares = ((probabilities**2 + truth**2) * weight).sum(dim=(0, 2, 3))
    ratio = (intersection + _SMALLEST) / (squares + _SMALLEST)
    dice = _weighted(1 - ratio) / N_CLASSES
    return dice + FOCAL_FACTOR * focal(probabilities, labels, valid, alpha=0.2)


def dice_cross_entropy(probabilities: Tensor, labels: Tensor, valid: Tensor) -> Tensor:
    """Mean over the foreground classes of 1 - DSC, plus the mean cross-entropy: the loss of the released model."""
    p = probabilities.gather(1, labels[:, None])[:, 0].clamp(min=_SMALLEST)
    return (1 - soft_dsc(probabilities, labels, valid)[1:]).mean() + _mean_over_valid(-p.log(), valid)


LOSSES: Final[dict[str, Loss]] = {
    "equation-4": equation_4,
    "equation-4-as-published": equation_4_as_published,
    "dice-cross-entropy": dice_cross_entropy,
}


def loss_named(name: str) -> Loss:
    """Look a loss up by its name.

    Raises:
        InputError: No loss has this name.
    """
    if name not in LOSSES:
        msg = f"no loss is called '{name}'; known are {', '.join(LOSSES)}"
        raise InputError(msg)
    return LOSSES[name]


def _weighted(losses: Tensor) -> Tensor:
    """Σ_j λ_j loss_j, with plain numbers: a tensor of weights would be copied to the device at every step, and waited for."""
    return torch.stack([weight * loss for weight, loss in zip(DICE_WEIGHTS, losses, strict=True)]).sum()


def _one_hot(labels: Tensor, like: Tensor) -> Tensor:
    return F.one_hot(labels, N_CLASSES).movedim(-1, 1).to(like.dtype)


def _mean_over_valid(per_pixel: Tensor, valid: Tensor) -> Tensor:
    per_slice = per_pixel.mean(dim=(1, 2))
    return (per_slice * valid).sum() / valid.sum().clamp(min=1)


def member_loss(loss: Loss, members: Tensor, labels: Tensor, valid: Tensor) -> Tensor:
    """Average of `loss` over the members' own probabilities (N, B, C, H, W): deep supervision of the ensemble."""
    return torch.stack([loss(member, labels, valid) for member in members]).mean()
