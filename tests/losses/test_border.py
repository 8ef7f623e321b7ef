"""The losses of the comparison systems: borders, distances and a Dice over all classes, on cases worked by hand."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import ndimage

from shortaxis.losses import LOSSES, border, border_hausdorff, soft_dice
from shortaxis.losses.border import border_pixels, squared_distance_to_border

PROBABILITIES = torch.tensor([[[[0.7, 0.1]], [[0.1, 0.2]], [[0.1, 0.1]], [[0.1, 0.6]]]], dtype=torch.float64)
LABELS = torch.tensor([[[0, 3]]])
ONE = torch.ones(1, dtype=torch.float64)


def squares() -> torch.Tensor:
    labels = torch.zeros(2, 12, 12, dtype=torch.long)
    labels[:, 3:8, 3:8] = 2
    labels[0, 5:7, 5:7] = 3
    labels[1, 1:3, 8:11] = 1
    return labels


def one_hot(labels: torch.Tensor) -> torch.Tensor:
    return torch.eye(4, dtype=torch.float64)[labels].movedim(-1, 1)


def test_soft_dice_counts_the_background() -> None:
    ratios = (2 * 0.7 / (0.8 + 1), 0.0, 0.0, 2 * 0.6 / (0.7 + 1))
    assert float(soft_dice(PROBABILITIES, LABELS, ONE)) == pytest.approx(1 - sum(ratios) / 4, abs=1e-6)


def test_border_loss_by_hand() -> None:
    """Two pixels, background and LV, each at the border of both classes that are present: so the border terms equal the plain ones."""

    def of_class(yes: float, no: float) -> float:
        """`yes` is the probability of the class where it is, `no` where it is not."""
        entropy = -(math.log(yes) + math.log(1 - no)) / 2
        dice = 1 - 2 * yes / (yes + no + 1)
        inverse = 1 - 2 * (1 - no) / ((1 - yes) + (1 - no) + 1)
        return 0.5 * entropy + 0.2 * dice + 0.2 * inverse + 0.2 * (entropy + dice)

    expected = -0.5 * (math.log(0.7) + math.log(0.6)) / 2 + (of_class(0.7, 0.1) + of_class(0.6, 0.1)) / 2
    assert float(border(PROBABILITIES, LABELS, ONE)) == pytest.approx(expected, abs=1e-5)


def test_border_of_a_square_is_the_ring_on_both_of_its_sides() -> None:
    mask = torch.zeros(1, 1, 9, 9)
    mask[..., 3:6, 3:6] = 1
    expected = torch.zeros(9, 9)
    expected[2:7, 2:7] = 1
    expected[4, 4] = 0
    assert torch.equal(border_pixels(mask)[0, 0], expected)
    assert not border_pixels(torch.ones(1, 1, 4, 4)).any()


def test_a_mistake_at_the_border_costs_more_than_one_far_away() -> None:
    labels = torch.zeros(1, 16, 16, dtype=torch.long)
    labels[:, 4:8, 4:8] = 3
    near, far = one_hot(labels), one_hot(labels)
    near[:, :, 8, 6] = far[:, :, 14, 14] = torch.tensor([0.2, 0.0, 0.0, 0.8], dtype=torch.float64)
    assert border(near, labels, ONE) > border(far, labels, ONE)
    assert border_hausdorff(far, labels, ONE) - border(far, labels, ONE) > border_hausdorff(near, labels, ONE) - border(near, labels, ONE)


def test_distances_are_those_of_scipy() -> None:
    torch.manual_seed(0)
    masks = torch.rand(2, 3, 19, 23) > 0.8
    found = squared_distance_to_border(masks)
    for mask, distance in zip(masks.flatten(0, 1), found.flatten(0, 1), strict=True):
        inside = ndimage.distance_transform_edt(mask.numpy())
        outside = ndimage.distance_transform_edt(~mask.numpy())
        torch.testing.assert_close(distance, torch.from_numpy((inside + outside) ** 2).float())


def test_mask_without_a_border_has_no_distance() -> None:
    masks = torch.stack([torch.zeros(1, 5, 5), torch.ones(1, 5, 5)]).bool()
    assert not squared_distance_to_border(masks).any()


@pytest.mark.parametrize("name", ["border", "border-hausdorff", "soft-dice", "cross-entropy"])
class TestEach:
    def test_is_least_for_the_truth(self, name: str) -> None:
        labels, weight = squares(), torch.ones(2, dtype=torch.float64)
        truth = one_hot(labels)
        perfect = LOSSES[name](truth, labels, weight)
        assert float(perfect) == pytest.approx(0, abs=1e-5)
        assert LOSSES[name](0.7 * truth + 0.075, labels, weight) > perfect + 1e-3

    def test_padding_counts_nowhere(self, name: str) -> None:
        torch.manual_seed(0)
        labels = squares()
        said = torch.softmax(torch.randn(2, 4, 12, 12, dtype=torch.float64), dim=1)
        padded = torch.cat([said, said.flip(0)]), torch.cat([labels, labels]), torch.tensor([1.0, 1.0, 0.0, 0.0], dtype=torch.float64)
        torch.testing.assert_close(LOSSES[name](*padded), LOSSES[name](said, labels, torch.ones(2, dtype=torch.float64)))

    def test_gradient_is_finite_at_certain_and_wrong(self, name: str) -> None:
        labels = squares()
        said = one_hot((labels + 1) % 4).requires_grad_()
        LOSSES[name](said, labels, torch.ones(2, dtype=torch.float64)).backward()
        assert torch.isfinite(said.grad).all()
