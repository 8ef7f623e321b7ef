"""Eq. 4 of the paper on cases worked by hand; no number here comes from the code."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shortaxis.errors import InputError
from shortaxis.losses import LOSSES, dice_cross_entropy, equation_4, equation_4_as_published, focal, member_loss, soft_dsc

quick = settings(max_examples=40)

# One slice of two pixels: the first is background, the second LV.
PROBABILITIES = torch.tensor([[[[0.7, 0.1]], [[0.1, 0.2]], [[0.1, 0.1]], [[0.1, 0.6]]]], dtype=torch.float64)
LABELS = torch.tensor([[[0, 3]]])
ONE = torch.ones(1, dtype=torch.float64)
# 2 Σ ŷy / (Σ ŷ + Σ y): RV and MYO are predicted a little and are not there.
DSC = (2 * 0.7 / (0.8 + 1), 0.0, 0.0, 2 * 0.6 / (0.7 + 1))


def focal_of(p: float, alpha: float = 0.1, gamma: float = 2.0) -> float:
    return -alpha * (1 - p) ** gamma * math.log(p)


@st.composite
def batches(draw: st.DrawFn) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(1, 4))
    logits = torch.randn(n, 4, 3, 5, generator=generator, dtype=torch.float64) * draw(st.sampled_from([0.1, 1.0, 10.0]))
    return torch.softmax(logits, dim=1), torch.randint(0, 4, (n, 3, 5), generator=generator)


def perfect(labels: torch.Tensor) -> torch.Tensor:
    return torch.eye(4, dtype=torch.float64)[labels].movedim(-1, 1)


class TestByHand:
    def test_dsc_of_probabilities(self) -> None:
        assert soft_dsc(PROBABILITIES, LABELS, ONE).tolist() == pytest.approx(DSC, abs=1e-6)

    def test_focal_is_averaged_over_pixels(self) -> None:
        assert float(focal(PROBABILITIES, LABELS, ONE)) == pytest.approx((focal_of(0.7) + focal_of(0.6)) / 2)
        assert float(focal(PROBABILITIES, LABELS, ONE, alpha=1.0, gamma=0.0)) == pytest.approx(-(math.log(0.7) + math.log(0.6)) / 2)

    def test_equation_4(self) -> None:
        dice = 1 * (1 - DSC[0]) + 2 * (1 - DSC[1]) + 1 * (1 - DSC[2]) + 1 * (1 - DSC[3])
        assert float(equation_4(PROBABILITIES, LABELS, ONE)) == pytest.approx(dice + 10 * (focal_of(0.7) + focal_of(0.6)) / 2, abs=1e-5)

    def test_equation_4_as_published(self) -> None:
        ratios = (0.7 / (0.7**2 + 0.1**2 + 1), 0.0, 0.0, 0.6 / (0.6**2 + 0.1**2 + 1))
        dice = (1 * (1 - ratios[0]) + 2 + 1 + 1 * (1 - ratios[3])) / 4
        expected = dice + 10 * (focal_of(0.7, alpha=0.2) + focal_of(0.6, alpha=0.2)) / 2
        assert float(equation_4_as_published(PROBABILITIES, LABELS, ONE)) == pytest.approx(expected, abs=1e-5)

    def test_dice_with_cross_entropy(self) -> None:
        expected = (3 - DSC[1] - DSC[2] - DSC[3]) / 3 - (math.log(0.7) + math.log(0.6)) / 2
        assert float(dice_cross_entropy(PROBABILITIES, LABELS, ONE)) == pytest.approx(expected, abs=1e-5)

    def test_rv_counts_twice(self) -> None:
        """All wrong but one class at a time: missing the RV costs 2, any other class 1."""
        labels = torch.arange(4).view(1, 1, 4)
        costs = []
        for missed in range(4):
            prediction = perfect(labels)
            prediction[:, :, 0, missed] = 0.0  # says nothing there, so only the missed class loses its overlap
            with_focal = equation_4(prediction, labels, ONE) - 10 * focal(prediction, labels, ONE)
            costs.append(float(with_focal))
        assert costs == pytest.approx([1, 2, 1, 1], abs=1e-5)

    def test_dsc_runs_over_all_slices_of_the_batch_together(self) -> None:
        """LV: 4 pixels hit on the first slice, 1 missed on the second: 2·4 / (4 + 5), and not the mean of 1 and 0."""
        labels = torch.tensor([[[3, 3, 3, 3]], [[3, 0, 0, 0]]])
        prediction = perfect(torch.tensor([[[3, 3, 3, 3]], [[0, 0, 0, 0]]]))
        assert float(soft_dsc(prediction, labels, torch.ones(2, dtype=torch.float64))[3]) == pytest.approx(8 / 9)

    def test_class_that_is_neither_there_nor_predicted_is_perfect(self) -> None:
        labels = torch.zeros(1, 2, 2, dtype=torch.long)
        assert soft_dsc(perfect(labels), labels, ONE).tolist() == pytest.approx([1, 1, 1, 1])


@quick
@given(batches())
def test_perfect_prediction_costs_nothing(batch) -> None:
    _, labels = batch
    valid = torch.ones(len(labels), dtype=torch.float64)
    assert float(equation_4(perfect(labels), labels, valid)) == pytest.approx(0, abs=1e-6)
    assert float(dice_cross_entropy(perfect(labels), labels, valid)) == pytest.approx(0, abs=1e-6)


def test_published_code_leaves_half_of_each_class_at_a_perfect_prediction() -> None:
    """1 - n / (n + n) for each of the weights 1, 2, 1, 1, averaged over four classes."""
    labels = torch.arange(4).repeat(3).view(1, 3, 4)
    assert float(equation_4_as_published(perfect(labels), labels, ONE)) == pytest.approx(0.5 * (1 + 2 + 1 + 1) / 4, abs=1e-6)


@quick
@given(batches(), st.sampled_from(sorted(LOSSES)), st.integers(1, 3))
def test_padding_slices_have_no_effect(batch, name: str, padding: int) -> None:
    probabilities, labels = batch
    loss = LOSSES.named(name)
    alone = loss(probabilities, labels, torch.ones(len(labels), dtype=torch.float64))
    junk = torch.softmax(torch.arange(4.0, dtype=torch.float64), 0).view(1, 4, 1, 1).expand(padding, 4, 3, 5)
    valid = torch.cat([torch.ones(len(labels)), torch.zeros(padding)]).double()
    padded = loss(torch.cat([probabilities, junk]), torch.cat([labels, torch.full((padding, 3, 5), 2)]), valid)
    torch.testing.assert_close(padded, alone)


@pytest.mark.parametrize("name", LOSSES)
def test_batch_of_padding_only_is_finite(name: str) -> None:
    loss = LOSSES.named(name)(PROBABILITIES, LABELS, torch.zeros(1, dtype=torch.float64))
    assert torch.isfinite(loss)


@pytest.mark.parametrize("name", LOSSES)
def test_gradient_equals_finite_differences(name: str) -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 4, 2, 3, dtype=torch.float64, requires_grad=True)
    labels, valid = torch.randint(0, 4, (2, 2, 3)), torch.tensor([1.0, 1.0], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: LOSSES.named(name)(torch.softmax(x, dim=1), labels, valid), (logits,))


@pytest.mark.parametrize("name", LOSSES)
def test_certain_and_wrong_prediction_is_finite(name: str) -> None:
    probabilities = perfect(torch.tensor([[[1, 1]]])).float().requires_grad_()
    loss = LOSSES.named(name)(probabilities, LABELS, torch.ones(1))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(probabilities.grad).all()


@quick
@given(batches(), st.sampled_from(sorted(LOSSES)))
def test_a_step_down_the_gradient_lowers_the_loss(batch, name: str) -> None:
    probabilities, labels = batch
    logits = probabilities.log().clamp(min=-20).requires_grad_()
    valid = torch.ones(len(labels), dtype=torch.float64)
    before = LOSSES.named(name)(torch.softmax(logits, dim=1), labels, valid)
    (gradient,) = torch.autograd.grad(before, logits)
    step = 1e-3 * gradient / (1e-3 + gradient.norm())
    after = LOSSES.named(name)(torch.softmax(logits - step, dim=1), labels, valid)
    assert after.item() <= before.item()


def test_member_loss_is_the_mean_over_members() -> None:
    other = PROBABILITIES.flip(-1)
    members = torch.stack([PROBABILITIES, other])
    parts = [float(equation_4(member, LABELS, ONE)) for member in (PROBABILITIES, other)]
    assert float(member_loss(equation_4, members, LABELS, ONE)) == pytest.approx(sum(parts) / 2)


def test_unknown_loss_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"'hinge'; known are .*equation-4"):
        LOSSES.named("hinge")


@quick
@given(batches(), st.sampled_from(sorted(LOSSES)), st.integers(2, 4))
def test_slice_of_weight_w_counts_as_w_copies_of_it(batch, name: str, copies: int) -> None:
    probabilities, labels = batch
    loss = LOSSES.named(name)
    weight = torch.ones(len(labels), dtype=torch.float64)
    weight[0] = copies
    repeated = torch.cat([probabilities, probabilities[:1].expand(copies - 1, -1, -1, -1)])
    found = loss(repeated, torch.cat([labels, labels[:1].expand(copies - 1, -1, -1)]), torch.ones(len(repeated), dtype=torch.float64))
    torch.testing.assert_close(loss(probabilities, labels, weight), found)
