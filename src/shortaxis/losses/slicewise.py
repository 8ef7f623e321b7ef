"""A Dice loss that counts as the End Coefficient counts: slice by slice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from shortaxis.losses.terms import cross_entropy, one_hot, weighted_mean

if TYPE_CHECKING:
    from torch import Tensor

# In pixels. An overlap of a few pixels is noise, and so is its gradient.
_SMOOTH: Final = 10.0


def slice_dsc(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Eq. 5 with probabilities in place of the predicted mask, of each slice alone: `(2 Σ ŷ y + s) / (Σ ŷ + Σ y + s)`, s = 10 pixels.

    Returns:
        (B, C), in [0, 1]; near 1 for a class that is neither predicted nor present in the slice.
    """
    truth = one_hot(labels, probabilities)
    intersection = (probabilities * truth).sum(dim=(2, 3))
    return (2 * intersection + _SMOOTH) / ((probabilities + truth).sum(dim=(2, 3)) + _SMOOTH)


def slicewise_dice_cross_entropy(probabilities: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
    """Mean over slices and foreground classes of 1 - DSC, plus the mean cross-entropy.

    A DSC over all pixels of a batch hardly notices the small sections at the apex. Here every slice counts alike, however small its
    section, and a structure that is seen where there is none costs almost a whole DSC, as it does in Eq. 6.
    """
    lost = (1 - slice_dsc(probabilities, labels)[:, 1:]).mean(dim=1)
    return weighted_mean(lost, weight) + cross_entropy(probabilities, labels, weight)
