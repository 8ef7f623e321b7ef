"""Eq. 2 and Eq. 3 of the paper: tiny cases worked in plain Python, and a loop over frames in NumPy as the oracle of the batched version."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from shortaxis.ensemble import (
    Entropy,
    LearnedTemperature,
    MutualInformation,
    Uncertainty,
    averaging_matrix,
    channel_variance,
    fixed_pooling,
    member_weights,
    neighbourhood_matrix,
    uncertainty_pooling,
)

CEILING = math.e / (math.e + 3)  # no output of the outer softmax over four probabilities exceeds it
MOST = math.exp(0.25) / (math.exp(0.25) + 1)  # a variance over four probabilities is at most 1/4, so of two members none weighs more


def softmax(values) -> list[float]:
    powers = [math.exp(value) for value in values]
    return [power / sum(powers) for power in powers]


def members_of(*members: list[list[float]]) -> torch.Tensor:
    """Member by member, slice by slice, the probabilities of a single pixel: (N, B, C, 1, 1)."""
    return torch.tensor(members, dtype=torch.float64)[..., None, None]


quick = settings(max_examples=40)
brief = settings(max_examples=10)


class Batch(NamedTuple):
    members: torch.Tensor
    frame_of_slice: torch.Tensor
    valid: torch.Tensor
    n_frames: int

    @property
    def averaging(self) -> torch.Tensor:
        return averaging_matrix(self.frame_of_slice, self.n_frames, self.valid)


@st.composite
def batches(draw: st.DrawFn, n_members: int | None = None) -> Batch:
    """Frames of different depth whose slices lie in any order, with padding slices in between."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    depths = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    padding = draw(st.integers(0, 4))
    owner = np.concatenate([np.repeat(np.arange(len(depths)), depths), rng.integers(0, len(depths), padding)])
    valid = np.arange(len(owner)) < sum(depths)
    order = rng.permutation(len(owner))
    sharpness = draw(st.sampled_from([0.1, 1.0, 30.0]))
    logits = sharpness * rng.normal(size=(n_members or draw(st.integers(1, 4)), len(owner), 4, 2, 3))
    return Batch(torch.softmax(torch.from_numpy(logits), 2), torch.from_numpy(owner[order]), torch.from_numpy(valid[order]), len(depths))


def pool(batch: Batch, **options):
    return uncertainty_pooling(batch.members, batch.averaging, batch.frame_of_slice, **options)


class TestFixed:
    def test_equation_2_by_hand(self) -> None:
        members = members_of([[0.7, 0.1, 0.1, 0.1]], [[0.1, 0.5, 0.2, 0.2]])
        pooled = fixed_pooling(members, torch.tensor([0.75, 0.25]), torch.ones(1, 1))
        expected = softmax([0.75 * 0.7 + 0.25 * 0.1, 0.75 * 0.1 + 0.25 * 0.5, 0.1 * 0.75 + 0.25 * 0.2, 0.1 * 0.75 + 0.25 * 0.2])
        assert_allclose(pooled.probabilities.flatten(), expected, rtol=1e-6)
        assert pooled.sigma is None
        assert_allclose(pooled.omega.flatten(), [0.75, 0.25])

    def test_without_the_outer_softmax_the_combination_itself_is_returned(self) -> None:
        members = members_of([[0.7, 0.1, 0.1, 0.1]], [[0.1, 0.5, 0.2, 0.2]])
        pooled = fixed_pooling(members, torch.tensor([0.75, 0.25]), torch.ones(1, 1), outer_softmax=False)
        assert_allclose(pooled.probabilities.flatten(), [0.55, 0.2, 0.125, 0.125])

    def test_a_weight_of_one_leaves_that_member_alone(self) -> None:
        members = members_of([[0.7, 0.1, 0.1, 0.1]], [[0.1, 0.5, 0.2, 0.2]])
        pooled = fixed_pooling(members, torch.tensor([0.0, 1.0]), torch.ones(1, 1), outer_softmax=False)
        assert_allclose(pooled.probabilities, members[1])

    @quick
    @given(batches())
    def test_every_slice_is_pooled_on_its_own(self, batch: Batch) -> None:
        weights = torch.softmax(torch.arange(len(batch.members), dtype=torch.float64), 0)
        pooled = fixed_pooling(batch.members, weights, batch.averaging)
        for index in range(len(batch.valid)):
            mixed = sum(float(weight) * member[index].numpy() for weight, member in zip(weights, batch.members, strict=True))
            assert_allclose(pooled.probabilities[index], np.exp(mixed) / np.exp(mixed).sum(axis=0), rtol=1e-9)
        assert pooled.omega.shape == (len(weights), batch.n_frames, 2, 3)
        assert_allclose(pooled.omega.sum(dim=0), np.ones((batch.n_frames, 2, 3)), rtol=1e-9)


class TestUncertainty:
    def test_equation_3_by_hand(self) -> None:
        """The first member is sure of the background on both slices, the second knows nothing."""
        sure, lost = [1.0, 0.0, 0.0, 0.0], [0.25] * 4
        pooled = uncertainty_pooling(members_of([sure, sure], [lost, lost]), torch.full((1, 2), 0.5), torch.tensor([0, 0]))
        sigma = (0.75**2 + 3 * 0.25**2) / 3
        weight = math.exp(sigma) / (math.exp(sigma) + math.exp(0.0))
        expected = softmax([weight + (1 - weight) / 4, *[(1 - weight) / 4] * 3])
        assert sigma == 0.25
        assert_allclose(pooled.sigma.flatten(), [sigma, 0.0])
        assert_allclose(pooled.omega.flatten(), [weight, 1 - weight])
        for slice_ in pooled.probabilities:
            assert_allclose(slice_.flatten(), expected)

    @pytest.mark.parametrize(("unbiased", "divisor"), [(True, 3), (False, 4)])
    def test_variance_is_taken_of_the_mean_over_depth_and_not_slice_by_slice(self, unbiased: bool, divisor: int) -> None:
        """Sure of the background on one slice and of the RV on the next: a mean of (1/2, 1/2, 0, 0), deviations of 1/4 each."""
        members = members_of([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]])
        sigma = channel_variance(members, torch.full((1, 2), 0.5), unbiased=unbiased)
        assert_allclose(sigma.flatten(), [4 * 0.25**2 / divisor])

    def test_variance_is_that_of_the_authors_code_unless_told_otherwise(self) -> None:
        members = members_of([[1.0, 0.0, 0.0, 0.0]])
        assert_allclose(channel_variance(members, torch.ones(1, 1)).flatten(), [0.25])

    def test_pixels_do_not_influence_each_other(self) -> None:
        torch.manual_seed(0)
        members = torch.softmax(torch.randn(2, 3, 4, 1, 2), dim=2)
        options = torch.full((1, 3), 1 / 3), torch.zeros(3, dtype=torch.long)
        both = uncertainty_pooling(members, *options)
        left = uncertainty_pooling(members[..., :1], *options)
        torch.testing.assert_close(both.probabilities[..., :1], left.probabilities)

    @quick
    @given(batches(), st.booleans(), st.booleans(), st.sampled_from([0.05, 1.0, 3.0]))
    def test_batch_equals_a_loop_over_frames(self, batch: Batch, unbiased: bool, outer: bool, temperature: float) -> None:
        pooled = pool(batch, unbiased=unbiased, outer_softmax=outer, temperature=temperature)
        members, valid, owner = batch.members.numpy(), batch.valid.numpy(), batch.frame_of_slice.numpy()
        for frame in range(batch.n_frames):
            own = members[:, valid & (owner == frame)]
            sigma = own.mean(axis=1).var(axis=1, ddof=1 if unbiased else 0)
            omega = np.exp(sigma / temperature) / np.exp(sigma / temperature).sum(axis=0)
            combined = (omega[:, None, None] * own).sum(axis=0)
            expected = np.exp(combined) / np.exp(combined).sum(axis=1, keepdims=True) if outer else combined
            # The averaging matrix is float32, which is where the tolerance comes from.
            assert_allclose(pooled.sigma[:, frame], sigma, rtol=1e-5, atol=1e-7)
            assert_allclose(pooled.omega[:, frame], omega, rtol=1e-4)
            assert_allclose(pooled.probabilities[valid & (owner == frame)], expected, rtol=1e-4, atol=1e-12)

    @quick
    @given(batches(), st.integers(0, 2**32 - 1))
    def test_padding_slices_have_no_effect(self, batch: Batch, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        noise = torch.softmax(torch.randn(batch.members.shape, generator=generator, dtype=torch.float64) * 9, dim=2)
        other = batch._replace(members=torch.where(batch.valid[None, :, None, None, None], batch.members, noise))
        first, second = pool(batch), pool(other)
        torch.testing.assert_close(first.sigma, second.sigma)
        torch.testing.assert_close(first.probabilities[batch.valid], second.probabilities[batch.valid])

    @quick
    @given(batches())
    def test_outer_softmax_bounds_the_output_and_keeps_the_winner(self, batch: Batch) -> None:
        with_outer, without = pool(batch).probabilities, pool(batch, outer_softmax=False).probabilities
        assert with_outer.max() <= CEILING + 1e-9
        assert with_outer.min() >= 1 / (math.e + 3) - 1e-9
        assert torch.equal(with_outer.argmax(dim=1), without.argmax(dim=1))

    def test_ceiling_is_reached_when_all_members_are_sure(self) -> None:
        sure = [1.0, 0.0, 0.0, 0.0]
        pooled = uncertainty_pooling(members_of([sure], [sure]), torch.ones(1, 1), torch.tensor([0]))
        assert float(pooled.probabilities.max()) == pytest.approx(CEILING)
        assert pytest.approx(0.475, abs=5e-4) == CEILING

    @quick
    @given(batches(n_members=2))
    def test_two_members_weigh_nearly_the_same_at_the_temperature_of_the_paper(self, batch: Batch) -> None:
        omega = pool(batch).omega
        assert omega.min() >= 1 - MOST - 1e-6
        assert omega.max() <= MOST + 1e-6
        assert (round(1 - MOST, 3), round(MOST, 3)) == (0.438, 0.562)

    @quick
    @given(batches(), st.sampled_from([0.01, 1.0, 100.0]), st.booleans())
    def test_weights_and_outputs_are_distributions(self, batch: Batch, temperature: float, outer: bool) -> None:
        pooled = pool(batch, temperature=temperature, outer_softmax=outer)
        torch.testing.assert_close(pooled.omega.sum(dim=0), torch.ones_like(pooled.omega[0]))
        torch.testing.assert_close(pooled.probabilities.sum(dim=1), torch.ones_like(pooled.probabilities[:, 0]))
        assert pooled.omega.min() >= 0

    @quick
    @given(batches(), st.randoms(use_true_random=False))
    def test_order_of_members_only_orders_the_weights(self, batch: Batch, random) -> None:
        order = random.sample(range(len(batch.members)), len(batch.members))
        first, second = pool(batch), pool(batch._replace(members=batch.members[order]))
        torch.testing.assert_close(second.sigma, first.sigma[order])
        torch.testing.assert_close(second.omega, first.omega[order])
        torch.testing.assert_close(second.probabilities, first.probabilities)

    @quick
    @given(batches())
    def test_equal_members_change_nothing(self, batch: Batch) -> None:
        twins = batch._replace(members=batch.members[:1].expand(3, -1, -1, -1, -1))
        pooled = pool(twins, outer_softmax=False)
        torch.testing.assert_close(pooled.probabilities, batch.members[0])
        torch.testing.assert_close(pooled.omega, torch.full_like(pooled.omega, 1 / 3))

    def test_gradient_flows_through_the_weights_as_well(self) -> None:
        torch.manual_seed(0)
        logits = torch.randn(2, 3, 4, 2, 2, dtype=torch.float64, requires_grad=True)
        averaging = averaging_matrix(torch.tensor([0, 0, 1]), 2)

        def pooled(values: torch.Tensor) -> torch.Tensor:
            return uncertainty_pooling(torch.softmax(values, dim=2), averaging, torch.tensor([0, 0, 1]), temperature=0.1).probabilities

        assert torch.autograd.gradcheck(pooled, (logits,))


class TestMemberWeights:
    SIGMA = torch.tensor([0.02, 0.2, 0.1], dtype=torch.float64)[:, None, None, None]

    def test_low_temperature_picks_the_member_with_the_largest_variance(self) -> None:
        assert_allclose(member_weights(self.SIGMA, temperature=1e-4).flatten(), [0.0, 1.0, 0.0], atol=1e-12)

    def test_high_temperature_weighs_all_members_alike(self) -> None:
        assert_allclose(member_weights(self.SIGMA, temperature=1e9).flatten(), [1 / 3] * 3, rtol=1e-9)

    def test_temperature_divides_the_variance(self) -> None:
        assert_allclose(member_weights(self.SIGMA, temperature=0.1).flatten(), softmax([0.2, 2.0, 1.0]))

    def test_paper_has_a_temperature_of_one(self) -> None:
        assert_allclose(member_weights(self.SIGMA).flatten(), softmax([0.02, 0.2, 0.1]))


class TestAveragingMatrix:
    def test_by_hand(self) -> None:
        matrix = averaging_matrix(torch.tensor([0, 1, 0, 1, 1]), 3, torch.tensor([True, True, True, True, False]))
        assert matrix.tolist() == [[0.5, 0, 0.5, 0, 0], [0, 0.5, 0, 0.5, 0], [0, 0, 0, 0, 0]]

    def test_all_slices_are_valid_unless_told_otherwise(self) -> None:
        assert averaging_matrix(torch.tensor([0, 0, 0, 0]), 1).tolist() == [[0.25] * 4]


class TestNeighbourhoodMatrix:
    # Three slices of the first frame, two of the second, one padding slice of the first at the end.
    OWNER, VALID = torch.tensor([0, 1, 0, 0, 1, 0]), torch.tensor([True] * 5 + [False])
    AVERAGING = averaging_matrix(OWNER, 2, VALID)

    def test_by_hand(self) -> None:
        matrix = neighbourhood_matrix(self.AVERAGING, self.OWNER, 1)
        expected = [
            [1 / 2, 0, 1 / 2, 0, 0, 0],  # the first of three: itself and the second
            [0, 1 / 2, 0, 0, 1 / 2, 0],
            [1 / 3, 0, 1 / 3, 1 / 3, 0, 0],
            [0, 0, 1 / 2, 1 / 2, 0, 0],
            [0, 1 / 2, 0, 0, 1 / 2, 0],
        ]
        assert_allclose(matrix[:5], expected, rtol=1e-6)
        assert matrix[:5, 5].tolist() == [0.0] * 5

    def test_radius_zero_is_the_slice_alone(self) -> None:
        assert torch.equal(neighbourhood_matrix(self.AVERAGING, self.OWNER, 0)[:5, :5], torch.eye(5))

    def test_radius_beyond_the_stack_is_the_whole_depth(self) -> None:
        matrix = neighbourhood_matrix(self.AVERAGING, self.OWNER, 9)
        assert_allclose(matrix[:5], self.AVERAGING[self.OWNER][:5], rtol=1e-6)

    def test_frame_without_a_valid_slice_has_empty_rows(self) -> None:
        owner, valid = torch.tensor([0, 1]), torch.tensor([True, False])
        assert neighbourhood_matrix(averaging_matrix(owner, 2, valid), owner, 1).tolist() == [[1.0, 0.0], [0.0, 0.0]]


WEIGHING = [
    Uncertainty(radius=0, outer_softmax=False),
    Uncertainty(radius=1),
    Entropy(temperature=0.5),
    Entropy(radius=1, outer_softmax=False),
    MutualInformation(temperature=0.1, outer_softmax=False),
    MutualInformation(radius=0),
    LearnedTemperature(Uncertainty(temperature=0.1)).requires_grad_(requires_grad=False),
]


@pytest.mark.parametrize("rule", WEIGHING, ids=str)
class TestEveryWeighingRule:
    def run(self, rule, batch: Batch):
        return rule(batch.members, batch.averaging, batch.frame_of_slice)

    @brief
    @given(batch=batches())
    def test_weights_and_outputs_are_distributions(self, rule, batch: Batch) -> None:
        pooled = self.run(rule, batch)
        torch.testing.assert_close(pooled.omega.sum(dim=0), torch.ones_like(pooled.omega[0]))
        torch.testing.assert_close(pooled.probabilities.sum(dim=1), torch.ones_like(pooled.probabilities[:, 0]))
        assert pooled.omega.min() >= 0
        assert pooled.sigma.shape == pooled.omega.shape
        assert pooled.omega.shape[1] == (len(batch.valid) if rule.per_slice else batch.n_frames)

    @brief
    @given(batch=batches(), random=st.randoms(use_true_random=False))
    def test_order_of_members_only_orders_the_weights(self, rule, batch: Batch, random) -> None:
        order = random.sample(range(len(batch.members)), len(batch.members))
        first, second = self.run(rule, batch), self.run(rule, batch._replace(members=batch.members[order]))
        torch.testing.assert_close(second.sigma, first.sigma[order])
        torch.testing.assert_close(second.omega, first.omega[order])
        torch.testing.assert_close(second.probabilities, first.probabilities)

    @brief
    @given(batch=batches())
    def test_batch_equals_a_loop_over_frames(self, rule, batch: Batch) -> None:
        pooled = self.run(rule, batch)
        for frame in range(batch.n_frames):
            own = batch.valid & (batch.frame_of_slice == frame)
            depth = int(own.sum())
            alone = rule(batch.members[:, own], torch.full((1, depth), 1 / depth), torch.zeros(depth, dtype=torch.long))
            found = pooled.omega[:, own] if rule.per_slice else pooled.omega[:, frame : frame + 1]
            # The averaging matrix is float32, which is where the tolerance comes from.
            assert_allclose(found, alone.omega, rtol=1e-4, atol=1e-6)
            assert_allclose(pooled.probabilities[own], alone.probabilities, rtol=1e-4, atol=1e-6)

    @brief
    @given(batch=batches(), seed=st.integers(0, 2**32 - 1))
    def test_padding_slices_have_no_effect(self, rule, batch: Batch, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        noise = torch.softmax(torch.randn(batch.members.shape, generator=generator, dtype=torch.float64) * 9, dim=2)
        other = batch._replace(members=torch.where(batch.valid[None, :, None, None, None], batch.members, noise))
        torch.testing.assert_close(self.run(rule, batch).probabilities[batch.valid], self.run(rule, other).probabilities[batch.valid])

    def test_gradient_is_finite_where_probabilities_are_zero_and_reaches_every_member(self, rule) -> None:
        members = members_of([[1.0, 0.0, 0.0, 0.0], [0.4, 0.6, 0.0, 0.0]], [[0.25] * 4, [0.1, 0.2, 0.3, 0.4]]).requires_grad_()
        rule(members, torch.full((1, 2), 0.5), torch.tensor([0, 0])).probabilities[:, 0].sum().backward()
        assert torch.isfinite(members.grad).all()
        assert (members.grad.abs().sum(dim=(1, 2, 3, 4)) > 0).all()
