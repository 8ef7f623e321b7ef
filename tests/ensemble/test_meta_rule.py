from __future__ import annotations

import math

import pytest
import torch

from shortaxis.ensemble import averaging_matrix, build_pooling
from shortaxis.ensemble.rules import Meta
from shortaxis.errors import InputError

OWNER = torch.tensor([0, 1, 1])
AVERAGING = averaging_matrix(OWNER, 2)
EYE = [[1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 1.0, 0], [0, 0, 0, 1.0]]


@pytest.fixture
def members() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.softmax(torch.randn(2, 3, 4, 5, 5), dim=2)


def test_one_pixel_by_hand() -> None:
    """Member 1 counts twice, member 2 once, and class 0 gets a bonus of log 2: 2·p₁²p₂ for class 0, p₁²p₂ for the others."""
    pixel = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1]]).reshape(2, 1, 4, 1, 1)
    rule = Meta([[[2 * value for value in row] for row in EYE], EYE], [math.log(2), 0, 0, 0])
    pooled = rule(pixel, torch.ones(1, 1), torch.zeros(1, dtype=torch.long))
    expected = torch.tensor([2 * 0.1**2 * 0.4, 0.2**2 * 0.3, 0.3**2 * 0.2, 0.4**2 * 0.1])
    torch.testing.assert_close(pooled.probabilities.flatten(), expected / expected.sum())
    torch.testing.assert_close(pooled.omega.flatten(), torch.tensor([2 / 3, 1 / 3]))
    assert pooled.sigma is None


def test_without_coefficients_it_is_the_geometric_mean(members) -> None:
    mean = members.log().mean(dim=0).exp()
    torch.testing.assert_close(Meta()(members, AVERAGING, OWNER).probabilities, mean / mean.sum(dim=1, keepdim=True))


def test_coefficients_off_the_diagonal_let_one_class_speak_for_another(members) -> None:
    swapped = [[EYE[1], EYE[0], EYE[2], EYE[3]], [[0.0] * 4] * 4]
    pooled = Meta(swapped)(members, AVERAGING, OWNER).probabilities
    torch.testing.assert_close(pooled[:, [1, 0, 2, 3]], members[0])


def test_probabilities_and_weights_sum_to_one(members) -> None:
    torch.manual_seed(1)
    rule = build_pooling("meta", coefficients=torch.randn(2, 4, 4).tolist(), bias=torch.randn(4).tolist())
    pooled = rule(members, AVERAGING, OWNER)
    torch.testing.assert_close(pooled.probabilities.sum(dim=1), torch.ones(3, 5, 5))
    assert pooled.omega.shape == (2, 2, 5, 5)
    torch.testing.assert_close(pooled.omega.sum(dim=0), torch.ones(2, 5, 5))


def test_a_probability_of_zero_stays_finite() -> None:
    sure = torch.tensor([0.0, 0, 0, 1]).reshape(1, 1, 4, 1, 1)
    assert torch.isfinite(Meta()(sure, torch.ones(1, 1), torch.zeros(1, dtype=torch.long)).probabilities).all()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"coefficients": [1.0]}, "coefficients must be numbers by member, scored class and spoken class"),
        ({"bias": 3}, "coefficients must be numbers by member"),
        ({"bias": [math.nan, 0, 0, 0]}, "nan is not a finite number"),
        ({"coefficients": [[["a"]]]}, "'a' is not a finite number"),
        ({"bias": [True, 0, 0, 0]}, "True is not a finite number"),
        ({"slope": 1}, "'meta' does not take the options"),
    ],
)
def test_unfit_options_are_refused(options, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        build_pooling("meta", **options)


@pytest.mark.parametrize("options", [{"coefficients": [EYE]}, {"bias": [0.0] * 3}])
def test_options_for_other_members_are_refused(members, options) -> None:
    with pytest.raises(InputError, match="for 2 members of 4 classes"):
        Meta(**options)(members, AVERAGING, OWNER)
