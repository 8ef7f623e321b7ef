"""What training minimises. A new loss is one file here and one line in `LOSSES`, a new diversity term one in `DIVERSITIES`.

Losses take pooled probabilities and integer labels of a batch of slices, and a weight of each slice: 0 for padding, 1 for a slice that
counts once. A slice of weight w counts, in overlaps and in means alike, as w copies of it would.
"""

from __future__ import annotations

from typing import Final

from shortaxis.errors import InputError
from shortaxis.losses.diversity import Diversity, error_correlation, negative_correlation
from shortaxis.losses.paper import equation_4, equation_4_as_published
from shortaxis.losses.released import dice_cross_entropy
from shortaxis.losses.slicewise import slice_dsc, slicewise_dice_cross_entropy
from shortaxis.losses.terms import Loss, focal, soft_dsc
from shortaxis.losses.whole import TotalLoss, member_loss

LOSSES: Final[dict[str, Loss]] = {
    "equation-4": equation_4,
    "equation-4-as-published": equation_4_as_published,
    "dice-cross-entropy": dice_cross_entropy,
    "slicewise-dice-cross-entropy": slicewise_dice_cross_entropy,
}
DIVERSITIES: Final[dict[str, Diversity]] = {
    "error-correlation": error_correlation,
    "negative-correlation": negative_correlation,
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


def diversity_named(name: str) -> Diversity:
    """Look a diversity term up by its name.

    Raises:
        InputError: No diversity term has this name.
    """
    if name not in DIVERSITIES:
        msg = f"no diversity term is called '{name}'; known are {', '.join(DIVERSITIES)}"
        raise InputError(msg)
    return DIVERSITIES[name]


__all__ = [
    "DIVERSITIES",
    "LOSSES",
    "Diversity",
    "Loss",
    "TotalLoss",
    "dice_cross_entropy",
    "diversity_named",
    "equation_4",
    "equation_4_as_published",
    "error_correlation",
    "focal",
    "loss_named",
    "member_loss",
    "negative_correlation",
    "slice_dsc",
    "slicewise_dice_cross_entropy",
    "soft_dsc",
]
