"""What training minimises. A new loss is one file here and one line in `LOSSES`, a new diversity term one in `DIVERSITIES`.

Losses take pooled probabilities and integer labels of a batch of slices, and a weight of each slice: 0 for padding, 1 for a slice that
counts once. A slice of weight w counts, in overlaps and in means alike, as w copies of it would.
"""

from __future__ import annotations

from typing import Final

from shortaxis.losses.border import border, border_hausdorff
from shortaxis.losses.diversity import Diversity, error_correlation, negative_correlation
from shortaxis.losses.output_maps import MapsLoss, mutation, sigmoids
from shortaxis.losses.paper import equation_4, equation_4_as_published
from shortaxis.losses.released import dice_cross_entropy
from shortaxis.losses.slicewise import slice_dsc, slicewise_dice_cross_entropy
from shortaxis.losses.soft_dice import soft_dice
from shortaxis.losses.squared_dice import swin_unet_loss, transunet_loss
from shortaxis.losses.terms import Loss, cross_entropy, focal, soft_dsc
from shortaxis.losses.whole import TotalLoss, member_loss
from shortaxis.registry import Registry

LOSSES: Final[Registry[Loss]] = Registry(
    "loss",
    {
        "border": border,
        "border-hausdorff": border_hausdorff,
        "cross-entropy": cross_entropy,
        "equation-4": equation_4,
        "equation-4-as-published": equation_4_as_published,
        "dice-cross-entropy": dice_cross_entropy,
        "mutation": MapsLoss(mutation),
        "sigmoids": MapsLoss(sigmoids),
        "slicewise-dice-cross-entropy": slicewise_dice_cross_entropy,
        "soft-dice": soft_dice,
        "swin-unet": swin_unet_loss,
        "transunet": transunet_loss,
    },
)
DIVERSITIES: Final[Registry[Diversity]] = Registry(
    "diversity term",
    {
        "error-correlation": error_correlation,
        "negative-correlation": negative_correlation,
    },
)

__all__ = [
    "DIVERSITIES",
    "LOSSES",
    "Diversity",
    "Loss",
    "MapsLoss",
    "TotalLoss",
    "border",
    "border_hausdorff",
    "cross_entropy",
    "dice_cross_entropy",
    "equation_4",
    "equation_4_as_published",
    "error_correlation",
    "focal",
    "member_loss",
    "mutation",
    "negative_correlation",
    "sigmoids",
    "slice_dsc",
    "slicewise_dice_cross_entropy",
    "soft_dice",
    "soft_dsc",
    "swin_unet_loss",
    "transunet_loss",
]
