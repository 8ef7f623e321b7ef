"""The terms that losses are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import torch

from shortaxis.labels import N_CLASSES

if TYPE_CHECKING:
    from torch import Tensor

FOCAL_ALPHA: Final = 0.1
FOCAL_GAMMA: Final = 2.0
SMALLEST: Final = 1e-7


class Loss(Protocol):
    """A loss of one batch.

    Args:
        probabilities: float32 (B, C, H, W).
        labels: int64 (B, H, W).
        weight: float32 (B,), 1 for a real slice, 0 for padding, anything else for a slice that is to count more or less.
    """

    def __call__(self, probabilities: Tensor, labels: Tensor, weight: Tensor, /) -> Tensor:
        """Return a scalar."""
        ...


def soft_dsc(probabilities: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
    """Eq. 5 with probabilities in place of the predicted mask, over all pixels of the batch: `2 Σ w ŷ y / Σ w (ŷ + y)`.

    Returns:
        (C,) DSC of each class; 1 for a class that is neither predicted nor present.
    """
    truth = one_hot(labels, probabilities)
    per_pixel = weight[:, None, None, None]
    intersection = (probabilities * truth * per_pixel).sum(dim=(0, 2, 3))
    total = ((probabilities + truth) * per_pixel).sum(dim=(0, 2, 3))
    return (2 * intersection + SMALLEST) / (total + SMALLEST)


def focal(probabilities: Tensor, labels: Tensor, weight: Tensor, *, alpha: float = FOCAL_ALPHA, gamma: float = FOCAL_GAMMA) -> Tensor:
    """The focal term of Eq. 4: `-Σ_j α (1 - ŷ_j)^γ y_j log ŷ_j`, averaged over the pixels by the weights of their slices."""
    p = true_probability(probabilities, labels)
    per_pixel = -alpha * (1 - p) ** gamma * p.log()
    return weighted_mean(per_pixel.mean(dim=(1, 2)), weight)


def cross_entropy(probabilities: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
    """`-log ŷ` of the true class, averaged over the pixels by the weights of their slices."""
    return weighted_mean(-true_probability(probabilities, labels).log().mean(dim=(1, 2)), weight)


def true_probability(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Probability (B, H, W) of the true class, not quite zero where it is zero."""
    return probabilities.gather(1, labels[:, None])[:, 0].clamp(min=SMALLEST)


def one_hot(labels: Tensor, like: Tensor) -> Tensor:
    """Labels (B, H, W) as (B, C, H, W) of zeros and ones, in the type of `like`."""
    # Not torch's own `one_hot`, which takes eight bytes for each zero and looks at the labels before it goes on.
    classes = torch.arange(N_CLASSES, device=labels.device)
    return (labels[..., None] == classes).movedim(-1, 1).to(like.dtype)


def weighted_mean(per_slice: Tensor, weight: Tensor) -> Tensor:
    """Mean of (B,) by the weights (B,); 0 where all weights are."""
    return (per_slice * weight).sum() / weight.sum().clamp(min=SMALLEST)
