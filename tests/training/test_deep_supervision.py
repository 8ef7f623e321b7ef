"""The loss of auxiliary maps, on maps whose loss is known."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from shortaxis.ensemble import StreamingEnsemble
from shortaxis.losses import TotalLoss
from shortaxis.losses.partial import UNKNOWN
from shortaxis.networks import build_network
from shortaxis.training.deep_supervision import with_deep_supervision


class Stand(nn.Module):
    """Any network that has maps to be supervised."""

    def __init__(self, maps: list[torch.Tensor]) -> None:
        super().__init__()
        self.auxiliary = maps


def mistakes(probabilities: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return ((probabilities.argmax(dim=1) != labels).float().mean(dim=(1, 2)) * weight).sum()


def test_finest_map_counts_a_half_and_the_next_a_quarter() -> None:
    labels = torch.tensor([[[0, 1, 2, 3], [1, 1, 1, 1], [2, 1, 0, 3], [1, 1, 1, 1]]])
    fine = torch.eye(4)[torch.tensor([[[0, 2], [2, 1]]])].movedim(-1, 1) * 100  # every second label, one of them wrong
    coarse = torch.eye(4)[torch.tensor([[[1]]])].movedim(-1, 1) * 100  # the first label, wrong
    network = Stand([coarse, fine])
    ensemble = StreamingEnsemble([network, nn.Identity()], "fixed")
    loss = with_deep_supervision(TotalLoss(mistakes), ensemble)
    said = torch.eye(4)[labels].movedim(-1, 1)
    found = loss(said, said[None], labels, torch.tensor([True]), torch.tensor([False]))
    assert float(found) == pytest.approx((0.25 / 2 + 1 / 4) / 2)
    assert network.auxiliary == []


def test_ensemble_without_such_maps_keeps_its_loss() -> None:
    loss = TotalLoss(mistakes, member_weight=0.5)
    assert with_deep_supervision(loss, StreamingEnsemble([build_network("unet", widths=[2, 4])], "fixed")) is loss


def test_what_the_total_loss_adds_stays() -> None:
    network = Stand([])
    plain = TotalLoss(mistakes, member_weight=0.5, end_weight=3.0)
    loss = with_deep_supervision(plain, StreamingEnsemble([network], "fixed"))
    said, labels = torch.eye(4)[torch.tensor([[[0, 1]]])].movedim(-1, 1), torch.tensor([[[0, 2]]])
    asked = said, said[None], labels, torch.tensor([True]), torch.tensor([True])
    assert float(loss(*asked)) == float(plain(*asked)) > 0


def test_what_is_not_annotated_costs_nothing_in_a_coarser_map_either() -> None:
    """The LV alone is annotated, and one pixel is unknown: RV and MYO count as background, and the unknown pixel as surely background."""
    logits = torch.log(torch.tensor([0.4, 0.3, 0.2, 0.1]))[None, :, None, None].expand(1, 4, 2, 2).clone()
    network = Stand([logits])
    labels = torch.full((1, 4, 4), 0)
    labels[0, 0, 0] = UNKNOWN
    annotated = torch.tensor([[True, False, False, True]])
    with_deep_supervision(TotalLoss(mistakes), StreamingEnsemble([network], "fixed")).leave_out(labels, annotated)
    said = torch.softmax(network.auxiliary[0], dim=1)
    torch.testing.assert_close(said[0, :, 1, 1], torch.tensor([0.9, 0.0, 0.0, 0.1]), atol=1e-5, rtol=0)
    torch.testing.assert_close(said[0, :, 0, 0], torch.tensor([1.0, 0.0, 0.0, 0.0]), atol=1e-5, rtol=0)
