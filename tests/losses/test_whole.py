"""What a step minimises, put together from its parts. The parts here are stand-ins whose values are known."""

from __future__ import annotations

import pytest
import torch

from shortaxis.losses import TotalLoss

LABELS = torch.zeros(3, 1, 1, dtype=torch.long)
VALID, ENDS = torch.tensor([True, True, False]), torch.tensor([True, False, True])
PROBABILITIES = torch.tensor([2.0, 3.0, 50.0]).view(3, 1, 1, 1)
MEMBERS = torch.stack([PROBABILITIES, PROBABILITIES + 1])


def weighted_sum(probabilities: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return (probabilities[:, 0, 0, 0] * weight).sum()


def spread(members: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return ((members[1] - members[0])[:, 0, 0, 0] * weight).sum()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 2 + 3),
        ({"member_weight": 0.5}, 5 + 0.5 * (5 + 7) / 2),
        ({"diversity": spread, "diversity_weight": 10.0}, 5 + 10 * (1 + 1)),
        ({"end_weight": 3.0}, 3 * 2 + 3),
        ({"end_weight": 0.5}, 0.5 * 2 + 3),
        ({"end_weight": 3.0, "member_weight": 1.0, "diversity": spread, "diversity_weight": 1.0}, 9 + (9 + 13) / 2 + 4),
    ],
)
def test_sum_by_hand(options: dict, expected: float) -> None:
    """Slices of 2, 3 and 50: the first is an end slice, the last is padding."""
    assert float(TotalLoss(weighted_sum, **options)(PROBABILITIES, MEMBERS, LABELS, VALID, ENDS)) == pytest.approx(expected)
