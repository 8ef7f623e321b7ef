from __future__ import annotations

import math

import pytest
import torch

from shortaxis.ensemble import POOLINGS, Fixed, Uncertainty, averaging_matrix, build_pooling, fixed_pooling, uncertainty_pooling
from shortaxis.errors import InputError

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
    with pytest.raises(InputError, match=f"'median'; known are {', '.join(sorted(POOLINGS))}"):
        build_pooling("median")


@pytest.mark.parametrize(
    ("name", "options"), [("fixed", {"temperature": 1}), ("uncertainty", {"temperature": "hot"}), ("fixed", {"weights": 3})]
)
def test_option_that_does_not_fit_is_refused(name: str, options: dict) -> None:
    with pytest.raises(InputError, match=f"'{name}' does not take the options"):
        build_pooling(name, **options)
