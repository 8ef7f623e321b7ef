"""A Dice loss slice by slice, on slices worked by hand; a few pixels are smoothed by ten."""

from __future__ import annotations

import math

import pytest
import torch

from shortaxis.losses import slice_dsc, slicewise_dice_cross_entropy, soft_dsc


def certain(labels: torch.Tensor) -> torch.Tensor:
    return torch.eye(4, dtype=torch.float64)[labels].movedim(-1, 1)


def test_dsc_of_each_slice_and_class_by_hand() -> None:
    """LV: 30 pixels of which 20 are hit; MYO: 0 in the truth, 10 predicted; RV: on neither side."""
    labels = torch.zeros(1, 10, 10, dtype=torch.long)
    labels[0, :3] = 3
    predicted = labels.clone()
    predicted[0, 2] = 2
    found = slice_dsc(certain(predicted), labels)[0]
    assert found.tolist() == pytest.approx([1.0, 1.0, 10 / (10 + 10), (2 * 20 + 10) / (20 + 30 + 10)])


def test_small_section_counts_as_much_as_a_large_one() -> None:
    """A large LV that is hit and a small one that is missed: half of the DSC is gone, where pooled pixels lose next to nothing."""
    labels = torch.zeros(2, 40, 40, dtype=torch.long)
    labels[0] = 3
    labels[1, :4, :10] = 3
    predicted = labels.clone()
    predicted[1] = 0
    probabilities, ones = certain(predicted), torch.ones(2, dtype=torch.float64)
    assert slice_dsc(probabilities, labels)[:, 3].tolist() == pytest.approx([1.0, 10 / (40 + 10)])
    assert float(soft_dsc(probabilities, labels, ones)[3]) == pytest.approx(2 * 1600 / (2 * 1600 + 40))


def test_loss_is_the_mean_over_slices_and_foreground_classes_with_cross_entropy() -> None:
    labels = torch.full((1, 5, 4), 3)
    probabilities = torch.tensor([0.2, 0.0, 0.0, 0.8], dtype=torch.float64).view(1, 4, 1, 1).expand(1, 4, 5, 4)
    lost = (0 + 0 + 1 - (2 * 16 + 10) / (16 + 20 + 10)) / 3
    assert float(slicewise_dice_cross_entropy(probabilities, labels, torch.ones(1))) == pytest.approx(lost - math.log(0.8))


def test_perfect_prediction_costs_nothing() -> None:
    labels = torch.randint(0, 4, (3, 6, 6), generator=torch.Generator().manual_seed(0))
    assert float(slicewise_dice_cross_entropy(certain(labels), labels, torch.ones(3))) == pytest.approx(0, abs=1e-6)
