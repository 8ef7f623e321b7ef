"""The losses of Parreño et al. (M&Ms challenge, STACOM 2020): borders weigh three times as much, and far errors more than near ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
import torch.nn.functional as F

from shortaxis.losses.terms import SMALLEST, cross_entropy, one_hot, weighted_mean

if TYPE_CHECKING:
    from torch import Tensor

BORDER_WEIGHT: Final = 3.0
HAUSDORFF_WEIGHT: Final = 0.05
# A pixel is at the border of a mask where the mean of the 3x3 mask around it lies between these.
_NEAR_NONE: Final = 0.01
_NEAR_ALL: Final = 0.99
# Rows of a distance map that are worked on at a time.
_ROWS: Final = 16


def border(probabilities: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
    """`½ CE + mean_c (½ BCE + 0.2 Dice + 0.2 inverse Dice + 0.2 (border BCE + border Dice))` over the classes c in the batch.

    Dice stands for 1 - DSC over all pixels of the batch; the inverse Dice is that of what is not the class. In the border terms every pixel
    of `border_pixels` weighs three times as much as any other.
    """
    truth = one_hot(labels, probabilities)
    said = probabilities.clamp(SMALLEST, 1 - SMALLEST)
    entropy = -(truth * said.log() + (1 - truth) * (1 - said).log())
    plain = weight[:, None, None, None].expand_as(truth)
    stressed = plain * (1 + (BORDER_WEIGHT - 1) * border_pixels(truth))
    terms = (
        0.5 * _mean(entropy, plain)
        + 0.2 * _lost(probabilities, truth, plain)
        + 0.2 * _lost(1 - probabilities, 1 - truth, plain)
        + 0.2 * (_mean(entropy, stressed) + _lost(probabilities, truth, stressed))
    )
    present = ((truth * plain).sum(dim=(0, 2, 3)) > 0).to(terms.dtype)
    return 0.5 * cross_entropy(probabilities, labels, weight) + (terms * present).sum() / present.sum().clamp(min=1)


def border_hausdorff(probabilities: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
    """`border` plus 0.05 times the distance-transform loss of Karimi and Salcudean (IEEE TMI 39(2), 2020).

    That is the mean over foreground classes and pixels of `(ŷ - y)² (d_ŷ² + d_y²)`, d being the distance in pixels to the border of the
    mask and of the prediction (ŷ > ½).
    """
    truth = one_hot(labels, probabilities)[:, 1:]
    said = probabilities[:, 1:]
    with torch.no_grad():
        far = squared_distance_to_border(said > 0.5) + squared_distance_to_border(truth > 0.5)
    per_slice = ((said - truth).square() * far.to(said.dtype)).mean(dim=(1, 2, 3))
    return border(probabilities, labels, weight) + HAUSDORFF_WEIGHT * weighted_mean(per_slice, weight)


def border_pixels(masks: Tensor) -> Tensor:
    """1 where a mask (B, C, H, W) of zeros and ones has its border, else 0; outside the image the mask goes on as at its edge."""
    around = F.avg_pool2d(F.pad(masks, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    return ((around > _NEAR_NONE) & (around < _NEAR_ALL)).to(masks.dtype)


def squared_distance_to_border(masks: Tensor) -> Tensor:
    """Squared Euclidean distance of each pixel to the nearest pixel on the other side of a mask's border, in pixels.

    Args:
        masks: bool (B, C, H, W).

    Returns:
        float32 (B, C, H, W); 0 everywhere for a mask that is empty or full, which has no border.
    """
    inside, outside = _squared_distance_to(~masks), _squared_distance_to(masks)
    distance = torch.where(masks, inside, outside)
    return distance.masked_fill(~torch.isfinite(distance), 0.0)


def _squared_distance_to(targets: Tensor) -> Tensor:
    """Squared distance of each pixel to the nearest target, infinite where there is none: along the columns first, then along the rows."""
    height, width = targets.shape[-2:]
    row = torch.arange(height, device=targets.device, dtype=torch.float32)[:, None]
    above = torch.where(targets, row, -torch.inf).cummax(dim=-2).values
    below = torch.where(targets, row, torch.inf).flip(-2).cummin(dim=-2).values.flip(-2)
    along = torch.minimum(row - above, below - row).square()
    column = torch.arange(width, device=targets.device, dtype=torch.float32)
    across = (column[:, None] - column[None, :]).square()
    parts = [(part[..., None, :] + across).amin(dim=-1) for part in torch.split(along, _ROWS, dim=-2)]
    return torch.cat(parts, dim=-2)


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean (C,) of (B, C, H, W)."""
    return (values * weights).sum(dim=(0, 2, 3)) / weights.sum(dim=(0, 2, 3)).clamp(min=SMALLEST)


def _lost(said: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    """1 - DSC (C,) of weighted pixels."""
    both = (said * truth * weights).sum(dim=(0, 2, 3))
    total = ((said + truth) * weights).sum(dim=(0, 2, 3))
    return 1 - (2 * both + SMALLEST) / (total + SMALLEST)
