"""Training on the maps of each network, through an ensemble."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from shortaxis.ensemble import StreamingEnsemble
from shortaxis.losses import LOSSES, MapsLoss, TotalLoss, member_loss
from shortaxis.networks import build_network
from shortaxis.training.deep_supervision import with_deep_supervision


class Stand(nn.Module):
    """Any network that has output maps."""

    def __init__(self, maps: list[torch.Tensor]) -> None:
        super().__init__()
        self.output_maps = maps


def largest(maps, labels, weight) -> torch.Tensor:
    return torch.stack([one.exp().amax() for one in maps]).sum()


@pytest.fixture
def asked() -> tuple[torch.Tensor, ...]:
    probabilities = torch.full((1, 4, 2, 2), 0.25)
    return (
        probabilities,
        torch.stack([probabilities, probabilities]),
        torch.zeros(1, 2, 2).long(),
        torch.tensor([True]),
        torch.tensor([False]),
    )


def test_it_is_the_mean_over_the_members_and_one_without_maps_has_its_probabilities(asked) -> None:
    network = Stand([torch.full((1, 4, 2, 2), 2.0).log(), torch.full((1, 4, 1, 1), 3.0).log()])
    loss = with_deep_supervision(TotalLoss(MapsLoss(largest)), StreamingEnsemble([network, nn.Identity()], "fixed"))
    assert float(loss(*asked)) == pytest.approx((2 + 3 + 0.25) / 2)
    assert network.output_maps == []


def test_what_a_recipe_adds_stays(asked) -> None:
    plain = TotalLoss(MapsLoss(largest), member_weight=2.0, diversity=lambda members, _labels, _weight: members.sum(), diversity_weight=0.5)
    loss = with_deep_supervision(plain, StreamingEnsemble([nn.Identity(), nn.Identity()], "fixed"))
    assert float(loss(*asked)) == pytest.approx(0.25 + 2 * float(member_loss(plain.loss, *asked[1:3], torch.ones(1))) + 0.5 * 8)


@pytest.mark.parametrize(("name", "options"), [("fct", {"widths": [2, 4, 8], "maps": 2, "dropout": 0.0}), ("unet", {"widths": [2, 4]})])
@pytest.mark.parametrize("loss", ["sigmoids", "equation-4"])
def test_every_head_of_a_network_learns(name: str, options: dict, loss: str) -> None:
    torch.manual_seed(0)
    ensemble = StreamingEnsemble([build_network(name, **options)], "fixed").train()
    total = with_deep_supervision(TotalLoss(LOSSES[loss]), ensemble)
    output = ensemble(torch.randn(2, 1, 16, 16))
    total(output.probabilities, output.members, torch.randint(0, 4, (2, 16, 16)), torch.ones(2).bool(), torch.zeros(2).bool()).backward()
    heads = [value for key, value in ensemble.named_parameters() if ".head" in key and key.endswith("weight") and value.ndim == 4]
    assert heads
    assert all(value.grad is not None and value.grad.abs().sum() > 0 for value in heads)
