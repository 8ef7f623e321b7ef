from __future__ import annotations

import math

import pytest
import torch

from shortaxis.ensemble import (
    POOLINGS,
    Entropy,
    Fixed,
    LearnedTemperature,
    MutualInformation,
    Uncertainty,
    averaging_matrix,
    build_pooling,
    fixed_pooling,
    uncertainty_pooling,
)
from shortaxis.errors import InputError
from shortaxis.quality import mutual_information

OWNER = torch.tensor([0, 1, 1])
AVERAGING = averaging_matrix(OWNER, 2)


@pytest.fixture
def members() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.softmax(torch.randn(2, 3, 4, 2, 2), dim=2)


def test_fixed_weighs_all_alike_unless_told_otherwise(members) -> None:
    given = Fixed((0.5, 0.5))(members, AVERAGING, OWNER)
    implied = Fixed()(members, AVERAGING, OWNER)
    assert torch.equal(given.probabilities, implied.probabilities)


@pytest.mark.parametrize("outer", [True, False])
def test_fixed_passes_its_options_on(members, outer: bool) -> None:
    expected = fixed_pooling(members, torch.tensor([0.7, 0.3]), AVERAGING, outer_softmax=outer)
    assert torch.equal(Fixed((0.7, 0.3), outer_softmax=outer)(members, AVERAGING, OWNER).probabilities, expected.probabilities)


@pytest.mark.parametrize("options", [{"temperature": 0.1}, {"unbiased": False}, {"outer_softmax": False}])
def test_uncertainty_passes_its_options_on(members, options: dict) -> None:
    expected = uncertainty_pooling(members, AVERAGING, OWNER, **options)
    found = Uncertainty(**options)(members, AVERAGING, OWNER)
    assert torch.equal(found.probabilities, expected.probabilities)
    assert not torch.equal(found.probabilities, Uncertainty()(members, AVERAGING, OWNER).probabilities)


@pytest.mark.parametrize("weights", [(), (0.5, 0.6), (1.5, -0.5), (math.nan, 1.0), (math.inf, 0.0), (0.999, 0.0)])
def test_weights_that_are_no_convex_combination_are_refused(weights: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="non-negative and sum to one"):
        Fixed(weights)


def test_weights_that_sum_to_one_up_to_rounding_are_taken() -> None:
    assert Fixed((0.1,) * 10).weights == (0.1,) * 10


def test_weights_for_another_number_of_members_are_refused(members) -> None:
    with pytest.raises(InputError, match="3 weights for 2 members"):
        Fixed((0.2, 0.3, 0.5))(members, AVERAGING, OWNER)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan, math.inf])
def test_temperature_must_be_a_number_above_zero(temperature: float) -> None:
    with pytest.raises(InputError, match="temperature must be a number above zero"):
        Uncertainty(temperature=temperature)


@pytest.mark.parametrize(("name", "option"), [("fixed", "outer_softmax"), ("uncertainty", "outer_softmax"), ("uncertainty", "unbiased")])
def test_a_switch_is_true_or_false_and_no_text(name: str, option: str) -> None:
    with pytest.raises(InputError, match=f"{option} must be true or false, not 'no'"):
        build_pooling(name, **{option: "no"})


def test_rule_is_built_by_its_name_from_plain_types() -> None:
    assert build_pooling("fixed", weights=[0.7, 0.3], outer_softmax=False) == Fixed((0.7, 0.3), outer_softmax=False)
    assert build_pooling("uncertainty", temperature=2) == Uncertainty(2)


def test_unknown_rule_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"'median'; known are .*fixed.*uncertainty"):
        build_pooling("median")


@pytest.mark.parametrize(
    ("name", "options"), [("fixed", {"temperature": 1}), ("uncertainty", {"temperature": "hot"}), ("fixed", {"weights": 3})]
)
def test_option_that_does_not_fit_is_refused(name: str, options: dict) -> None:
    with pytest.raises(InputError, match=f"'{name}' does not take the options"):
        build_pooling(name, **options)


class TestByHand:
    """One pixel of one frame; members (N, B, C, 1, 1)."""

    SURE, OTHER, TORN, HALF = [1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.25] * 4, [0.5, 0.5, 0.0, 0.0]

    def pool(self, rule, *members: list[list[float]]):
        values = torch.tensor(members, dtype=torch.float64)[..., None, None]
        depth = values.shape[1]
        return rule(values, torch.full((1, depth), 1 / depth), torch.zeros(depth, dtype=torch.long))

    def test_entropy_is_one_for_the_sure_a_half_for_two_classes_and_nothing_for_the_torn(self) -> None:
        pooled = self.pool(Entropy(), [self.SURE], [self.HALF], [self.TORN])
        assert pooled.sigma.flatten().tolist() == pytest.approx([1.0, 0.5, 0.0], abs=1e-6)
        powers = [math.exp(value) for value in (1.0, 0.5, 0.0)]
        assert pooled.omega.flatten().tolist() == pytest.approx([power / sum(powers) for power in powers])

    def test_entropy_is_taken_of_the_mean_over_depth(self) -> None:
        assert self.pool(Entropy(), [self.SURE, self.OTHER]).sigma.flatten().tolist() == pytest.approx([0.5], abs=1e-6)

    def test_member_that_two_others_outvote_weighs_least(self) -> None:
        """The mean is (2/3, 1/3, 0, 0): KL is log 3/2 for those in agreement, log 3 for the third."""
        pooled = self.pool(MutualInformation(), [self.SURE], [self.SURE], [self.OTHER])
        expected = [-math.log(1.5) / math.log(4)] * 2 + [-math.log(3) / math.log(4)]
        assert pooled.sigma.flatten().tolist() == pytest.approx(expected, abs=1e-6)
        powers = [math.exp(value) for value in expected]
        assert pooled.omega.flatten().tolist() == pytest.approx([power / sum(powers) for power in powers])

    def test_two_opposed_members_weigh_the_same_in_the_mutual_information(self) -> None:
        assert self.pool(MutualInformation(0.01), [self.SURE], [self.OTHER]).omega.flatten().tolist() == pytest.approx([0.5, 0.5])

    def test_slice_by_slice_a_member_is_sure_where_the_mean_over_depth_is_torn(self) -> None:
        """Background on one slice, RV on the next: 1/4 each, where the mean (1/2, 1/2, 0, 0) has 1/12."""
        slices = [self.SURE, self.OTHER]
        assert self.pool(Uncertainty(), slices).sigma.flatten().tolist() == pytest.approx([1 / 12])
        pooled = self.pool(Uncertainty(radius=0), slices, [self.TORN, self.SURE])
        assert pooled.sigma[:, :, 0, 0].tolist() == [pytest.approx([0.25, 0.25]), pytest.approx([0.0, 0.25])]
        heavy = math.exp(0.25) / (math.exp(0.25) + 1)
        assert pooled.omega[0, :, 0, 0].tolist() == pytest.approx([heavy, 0.5])

    def test_neighbourhood_looks_one_slice_to_each_side(self) -> None:
        """Of four slices the second sees background, background and RV: a mean of (2/3, 1/3, 0, 0)."""
        pooled = self.pool(Uncertainty(radius=1), [self.SURE, self.SURE, self.OTHER, self.OTHER])
        third = ((2 / 3 - 1 / 4) ** 2 + (1 / 3 - 1 / 4) ** 2 + 2 / 16) / 3
        assert pooled.sigma.flatten().tolist() == pytest.approx([0.25, third, third, 0.25])


def test_mean_share_of_the_members_is_the_mutual_information() -> None:
    torch.manual_seed(0)
    members = torch.softmax(3 * torch.randn(4, 6, 4, 5, 5), dim=2)
    shares = MutualInformation(radius=0)(members, torch.full((1, 6), 1 / 6), torch.zeros(6, dtype=torch.long)).sigma
    expected = mutual_information(members.transpose(1, 2).numpy())
    torch.testing.assert_close(-shares.mean(dim=0), torch.from_numpy(expected), atol=1e-5, rtol=1e-4)


class TestLearnedTemperature:
    def test_starts_as_the_rule_it_is_made_of(self, members) -> None:
        rule = Uncertainty(temperature=0.3, outer_softmax=False)
        assert torch.equal(LearnedTemperature(rule)(members, AVERAGING, OWNER).probabilities, rule(members, AVERAGING, OWNER).probabilities)

    def test_temperature_is_the_start_times_the_exponential_of_ten_times_the_parameter(self, members) -> None:
        learned = LearnedTemperature(Entropy(temperature=0.5))
        with torch.no_grad():
            learned.log_temperature.fill_(math.log(4) / 10)
        assert learned.temperature.item() == pytest.approx(2.0)
        expected = Entropy(temperature=2.0)(members, AVERAGING, OWNER)
        torch.testing.assert_close(learned(members, AVERAGING, OWNER).omega, expected.omega)

    def test_descent_cools_where_the_surer_member_is_right_and_heats_where_it_is_wrong(self) -> None:
        sure_and_torn = torch.tensor([[0.9, 0.1, 0.0, 0.0], [0.3, 0.3, 0.2, 0.2]])[:, None, :, None, None]
        for truth, sign in ((0, 1), (1, -1)):
            learned = LearnedTemperature(Uncertainty(outer_softmax=False))
            pooled = learned(sure_and_torn, torch.ones(1, 1), torch.tensor([0]))
            (-pooled.probabilities[0, truth].log()).sum().backward()
            assert learned.log_temperature.grad.item() * sign > 0

    def test_is_built_by_name_with_the_rule_it_is_made_of(self) -> None:
        learned = build_pooling("learned-temperature", of="entropy", temperature=2, radius=1)
        assert isinstance(learned, LearnedTemperature)
        assert learned.rule == Entropy(temperature=2, radius=1)
        assert learned.per_slice
        assert "Entropy(temperature=2" in repr(learned)
        assert build_pooling("learned-temperature").rule == Uncertainty()

    @pytest.mark.parametrize("of", ["fixed", "learned-temperature"])
    def test_rule_without_a_temperature_is_refused(self, of: str) -> None:
        with pytest.raises(InputError, match=f"'{of}' has no temperature"):
            build_pooling("learned-temperature", of=of)


def test_a_rule_of_one_s_own_that_cannot_be_built_is_named(monkeypatch) -> None:
    monkeypatch.setitem(POOLINGS, "own", lambda: {}["missing"])
    with pytest.raises(InputError, match=r"'own' .*options \{\}: 'missing'"):
        build_pooling("own")


@pytest.mark.parametrize("radius", [-1, 1.0, True, "1"])
def test_radius_is_a_whole_number_of_slices(radius) -> None:
    with pytest.raises(InputError, match="entropy pooling: the radius must be"):
        build_pooling("entropy", radius=radius)
