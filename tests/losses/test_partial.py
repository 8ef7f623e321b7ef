from __future__ import annotations

import pytest
import torch

from shortaxis.labels import UNKNOWN
from shortaxis.losses import LOSSES, dice_cross_entropy
from shortaxis.losses.partial import known_labels, merge_unannotated

WEIGHT = torch.ones(1)


def _probabilities(*shares: float) -> torch.Tensor:
    """One slice of one pixel."""
    return torch.tensor(shares).view(1, 4, 1, 1)


def _annotated(*classes: int) -> torch.Tensor:
    return torch.tensor([[index in classes for index in range(4)]])


def test_classes_that_nobody_annotated_join_the_background():
    merged = merge_unannotated(_probabilities(0.1, 0.2, 0.3, 0.4), torch.zeros(1, 1, 1, dtype=torch.long), _annotated(0, 3))
    assert torch.allclose(merged.flatten(), torch.tensor([0.6, 0.0, 0.0, 0.4]))


def test_where_all_is_annotated_nothing_changes():
    said = torch.softmax(torch.randn(2, 3, 4, 5, 5), dim=2)
    labels = torch.randint(4, (3, 5, 5))
    assert torch.allclose(merge_unannotated(said, labels, torch.ones(3, 4, dtype=torch.bool)), said, atol=1e-6)


@pytest.mark.parametrize("loss", LOSSES.values())
def test_an_unannotated_structure_costs_nothing_whatever_is_said_of_it(loss):
    labels = torch.full((1, 6, 6), 0)
    labels[:, 2:4, 2:4] = 3
    lv = torch.where(labels == 3, 0.9, 0.05)
    costs = []
    for share in (0.0, 0.6):
        rest = 1 - lv
        said = torch.stack([rest * (1 - share), rest * share, 0 * rest, lv], dim=1)
        costs.append(float(loss(merge_unannotated(said, labels, _annotated(0, 3)), labels, WEIGHT)))
    assert costs[0] == pytest.approx(costs[1], rel=1e-5)


def test_an_unknown_pixel_costs_nothing_and_moves_nothing():
    labels = torch.zeros(1, 4, 4, dtype=torch.long)
    labels[0, 1, 1], labels[0, 0, 0] = 3, UNKNOWN
    said = torch.softmax(torch.randn(1, 4, 4, 4), dim=1).requires_grad_()
    everything = torch.ones(1, 4, dtype=torch.bool)
    dice_cross_entropy(merge_unannotated(said, labels, everything), known_labels(labels), WEIGHT).backward()
    assert (said.grad[0, :, 0, 0] == 0).all()
    assert (said.grad[0, :, 1, 1] != 0).any()
