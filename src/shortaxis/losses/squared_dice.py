"""The losses of TransUNet and Swin-Unet: cross-entropy beside a Dice loss with squared denominators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from shortaxis.losses.terms import cross_entropy, one_hot

if TYPE_CHECKING:
    from torch import Tensor

_SMOOTH: Final = 1e-5


def transunet_loss(probabilities: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
    """`½ CE + ½ Dice`, see `squared_dice`."""
    return 0.5 * cross_entropy(probabilities, labels, weight) + 0.5 * squared_dice(probabilities, labels, weight)


def swin_unet_loss(probabilities: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
    """`0.4 CE + 0.6 Dice`, see `squared_dice`."""
    return 0.4 * cross_entropy(probabilities, labels, weight) + 0.6 * squared_dice(probabilities, labels, weight)


def squared_dice(probabilities: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
    """Mean over all classes, background included, of `1 - (2 Σ ŷ y + s) / (Σ ŷ² + Σ y² + s)` over the pixels of the batch, s = 1e-5."""
    truth = one_hot(labels, probabilities)
    per_pixel = weight[:, None, None, None]
    intersection = (probabilities * truth * per_pixel).sum(dim=(0, 2, 3))
    squares = ((probabilities.square() + truth) * per_pixel).sum(dim=(0, 2, 3))
    return (1 - (2 * intersection + _SMOOTH) / (squares + _SMOOTH)).mean()
