"""Losses of several output maps, on maps whose loss is worked out here."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch

from shortaxis.errors import InputError
from shortaxis.losses import MapsLoss, mutation, sigmoids, swin_unet_loss, transunet_loss
from shortaxis.losses.output_maps import subsets
from shortaxis.losses.squared_dice import squared_dice

# One slice of two pixels: background and LV.
PROBABILITIES = torch.tensor([[[[0.7, 0.1]], [[0.1, 0.2]], [[0.1, 0.1]], [[0.1, 0.6]]]], dtype=torch.float64)
LABELS = torch.tensor([[[0, 3]]])
ONE = torch.ones(1, dtype=torch.float64)
CROSS_ENTROPY = -(math.log(0.7) + math.log(0.6)) / 2
DICE = (1 - 2 * 0.7 / (0.7**2 + 0.1**2 + 1) + 1 + 1 + 1 - 2 * 0.6 / (0.6**2 + 0.1**2 + 1)) / 4


def test_dice_has_squared_denominators_and_counts_the_background() -> None:
    assert float(squared_dice(PROBABILITIES, LABELS, ONE)) == pytest.approx(DICE, abs=1e-3)
    assert float(transunet_loss(PROBABILITIES, LABELS, ONE)) == pytest.approx(0.5 * CROSS_ENTROPY + 0.5 * DICE, abs=1e-3)
    assert float(swin_unet_loss(PROBABILITIES, LABELS, ONE)) == pytest.approx(0.4 * CROSS_ENTROPY + 0.6 * DICE, abs=1e-3)


def test_four_maps_have_fifteen_subsets_each_once() -> None:
    maps = [torch.tensor(float(2**index)) for index in range(4)]
    found = sorted(int(sum(subset)) for subset in subsets(maps))
    assert found == list(range(1, 16))


def test_mutation_adds_the_losses_of_all_sums() -> None:
    torch.manual_seed(0)
    maps = [torch.randn(2, 4, 3, 5, dtype=torch.float64) for _ in range(4)]
    labels, weight = torch.randint(0, 4, (2, 3, 5)), torch.tensor([1.0, 0.0], dtype=torch.float64)
    expected = 0.0
    for chosen in product([0, 1], repeat=4):
        if any(chosen):
            said = sum(flag * one for flag, one in zip(chosen, maps, strict=True)).softmax(dim=1)[:1]
            truth = torch.eye(4, dtype=torch.float64)[labels[:1]].movedim(-1, 1)
            entropy = -(truth * said.log()).sum(dim=1).mean()
            dice = 1 - (2 * (said * truth).sum((0, 2, 3)) + 1e-5) / ((said**2 + truth).sum((0, 2, 3)) + 1e-5)
            expected += float(0.3 * entropy + 0.7 * dice.mean())
    assert float(mutation(maps, labels, weight)) == pytest.approx(expected)


def test_mutation_refuses_maps_of_several_sizes() -> None:
    maps = [torch.zeros(1, 4, edge, edge) for edge in (4, 2)]
    with pytest.raises(InputError, match="4x4, 2x2"):
        mutation(maps, torch.zeros(1, 4, 4).long(), torch.ones(1))


def test_sigmoids_weigh_each_map_half_as_much_as_the_one_before() -> None:
    """Maps that say 0 everywhere but one logit: every other class and pixel costs log 2."""
    labels = torch.tensor([[[3, 0, 1, 1], [0, 0, 1, 1], [2, 2, 0, 0], [2, 2, 0, 0]]])
    maps = [torch.zeros(1, 4, edge, edge, dtype=torch.float64) for edge in (4, 2, 1)]
    assert float(sigmoids(maps, labels, ONE)) == pytest.approx(math.log(2))
    maps[2][0, 3] = 2.0  # right: the label of the coarsest map is the first one
    spared = (math.log(2) - math.log1p(math.exp(-2.0))) / 4
    assert float(sigmoids(maps, labels, ONE)) == pytest.approx(math.log(2) - spared / 7)
    maps[1][0, 1, 0, 1] = 2.0  # right as well: every second label is 3, 1, 2, 0
    assert float(sigmoids(maps, labels, ONE)) == pytest.approx(math.log(2) - spared / 7 - spared / 4 * 2 / 7)


def test_padding_counts_nowhere() -> None:
    torch.manual_seed(0)
    maps = [torch.randn(2, 4, edge, edge) for edge in (4, 2)]
    labels = torch.randint(0, 4, (2, 4, 4))
    alone = sigmoids([one[:1] for one in maps], labels[:1], torch.ones(1))
    assert float(sigmoids(maps, labels, torch.tensor([1.0, 0.0]))) == pytest.approx(float(alone))


def test_of_probabilities_it_is_the_loss_of_one_map() -> None:
    loss = MapsLoss(mutation)
    expected = 0.3 * CROSS_ENTROPY + 0.7 * DICE
    assert float(loss(PROBABILITIES, LABELS, ONE)) == pytest.approx(expected, abs=1e-3)
