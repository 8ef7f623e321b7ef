"""Each transform against its inverse: `invert(apply(x)) == x` where it says exact, and where the heart lands where it does not."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shortaxis.ensemble.transforms import AsPublished, Flip, Gamma, QuarterTurn, Rotation, Scale, Shift, build_transform
from shortaxis.errors import InputError

EXACT = st.one_of(
    st.builds(Flip, st.sampled_from(["height", "width"])),
    st.builds(QuarterTurn, st.integers(1, 3)),
    st.builds(Shift, st.integers(-40, 40), st.integers(-40, 40)),
)


def slices(depth: int = 3, edge: int = 16, seed: int = 0) -> torch.Tensor:
    return torch.rand((depth, 1, edge, edge), generator=torch.Generator().manual_seed(seed))


def blob(edge: int = 65, row: float = 20.0, column: float = 40.0) -> torch.Tensor:
    """A smooth spot (1, 1, edge, edge) that bilinear interpolation can follow."""
    rows, columns = torch.meshgrid(torch.arange(edge), torch.arange(edge), indexing="ij")
    return torch.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 50)[None, None].float()


def centre(picture: torch.Tensor) -> tuple[float, float]:
    """Centre of mass (row, column)."""
    weights = picture.reshape(picture.shape[-2:]) / picture.sum()
    rows, columns = (torch.arange(n).float() for n in weights.shape)
    return float(weights.sum(1) @ rows), float(weights.sum(0) @ columns)


@settings(max_examples=60)
@given(EXACT, st.integers(0, 100), st.integers(1, 3), st.integers(2, 17))
def test_inverse_of_an_exact_transform_is_exact(transform, seed: int, depth: int, edge: int) -> None:
    given_slices = slices(depth, edge, seed)
    assert torch.equal(transform.invert(transform.apply(given_slices)), given_slices)


@settings(max_examples=30)
@given(EXACT, st.integers(0, 100))
def test_inverse_acts_on_the_last_two_axes_whatever_stands_before_them(transform, seed: int) -> None:
    values = torch.rand((2, 3, 4, 9, 9), generator=torch.Generator().manual_seed(seed))
    one_by_one = torch.stack([torch.stack([transform.invert(part) for part in member]) for member in values])
    assert torch.equal(transform.invert(values), one_by_one)


def test_no_exact_transform_leaves_an_uneven_picture_as_it_is() -> None:
    for transform in (Flip(), Flip("height"), QuarterTurn(), QuarterTurn(2), Shift(1), Shift(0, 1)):
        assert not torch.equal(transform.apply(slices()), slices())


@settings(max_examples=30)
@given(st.floats(0.3, 3.0), st.integers(0, 100))
def test_gamma_keeps_the_order_of_grey_values_their_range_and_every_place(exponent: float, seed: int) -> None:
    before = slices(seed=seed) * 4 - 2
    after = Gamma(exponent).apply(before)
    torch.testing.assert_close(after.amax(dim=(2, 3)), before.amax(dim=(2, 3)))
    torch.testing.assert_close(after.amin(dim=(2, 3)), before.amin(dim=(2, 3)))
    order = before[0, 0].flatten().argsort()
    assert (after[0, 0].flatten()[order].diff() >= 0).all()
    assert Gamma(exponent).invert(before) is before


def test_gamma_by_hand() -> None:
    picture = torch.tensor([[0.0, 0.5], [0.25, 1.0]])[None, None]
    torch.testing.assert_close(Gamma(2.0).apply(picture), torch.tensor([[0.0, 0.25], [0.0625, 1.0]])[None, None])


def test_gamma_of_a_single_grey_value_is_that_value() -> None:
    assert torch.equal(Gamma(2.0).apply(torch.full((1, 1, 4, 4), 0.7)), torch.full((1, 1, 4, 4), 0.7))


def test_a_rotation_by_quarter_turns_is_the_quarter_turn() -> None:
    for turns in (1, 2, 3):
        torch.testing.assert_close(Rotation(90.0 * turns).apply(slices()), QuarterTurn(turns).apply(slices()), atol=1e-5, rtol=0)


@settings(max_examples=30)
@given(st.floats(-45, 45))
def test_a_rotation_turns_counter_clockwise_about_the_centre_and_its_inverse_brings_the_spot_back(degrees: float) -> None:
    spot = blob()
    turned, angle = Rotation(degrees).apply(spot), math.radians(degrees)
    up, right = 32 - 20, 40 - 32
    expected = 32 - (right * math.sin(angle) + up * math.cos(angle)), 32 + right * math.cos(angle) - up * math.sin(angle)
    assert centre(turned) == pytest.approx(expected, abs=0.1)
    back = Rotation(degrees).invert(turned)
    assert centre(back) == pytest.approx(centre(spot), abs=0.1)
    assert (back - spot).abs().max() < 0.05


@settings(max_examples=30)
@given(st.floats(0.8, 1.25))
def test_a_scale_moves_the_spot_away_from_the_centre_and_its_inverse_brings_it_back(factor: float) -> None:
    spot = blob()
    moved = Scale(factor).apply(spot)
    assert centre(moved) == pytest.approx((32 + (20 - 32) * factor, 32 + (40 - 32) * factor), abs=0.3)
    assert float(moved.sum() / spot.sum()) == pytest.approx(factor**2, rel=0.02)
    assert (Scale(factor).invert(moved) - spot).abs().max() < 0.06


@pytest.mark.parametrize("transform", [Rotation(17.0), Scale(1.1), Scale(0.9)])
def test_brought_back_probabilities_still_sum_to_one(transform) -> None:
    members = torch.softmax(torch.randn((2, 3, 4, 16, 16), generator=torch.Generator().manual_seed(1)), dim=2)
    back = transform.invert(members)
    assert back.shape == members.shape
    torch.testing.assert_close(back.sum(dim=2), torch.ones(2, 3, 16, 16))


def test_as_published_turns_the_depth_height_plane_and_mirrors() -> None:
    """A quarter turn by hand: 3 slices of 3 rows, so that depth and height change places and nothing is lost."""
    frame = torch.arange(27.0).reshape(3, 1, 3, 3)
    turned = AsPublished(90.0).apply(frame)[:, 0]
    expected = torch.rot90(frame[:, 0], 1, (0, 1)).flip(-1)
    torch.testing.assert_close(turned, expected, atol=1e-4, rtol=0)


def test_as_published_blanks_what_the_few_slices_do_not_reach() -> None:
    frame = torch.full((4, 1, 32, 32), 5.0)
    frame[:, :, 0] = -1.0  # the darkest value of the frame
    turned = AsPublished(90.0).apply(frame)
    assert (turned == -1.0).float().mean() > 0.8
    assert turned.max() == pytest.approx(5.0)


def test_as_published_does_not_bring_the_answer_back() -> None:
    """The rule that the published code breaks, and every other transform keeps."""
    spot = blob()
    assert centre(AsPublished(0.0).invert(AsPublished(0.0).apply(spot))) == pytest.approx((20, 64 - 40), abs=0.1)
    answer = spot.expand(1, 4, 65, 65)
    torch.testing.assert_close(AsPublished(90.0).invert(answer), torch.rot90(answer, -1, (-2, -1)), atol=1e-5, rtol=0)
    assert "mistake" in (AsPublished.notice or "")


def test_nothing_but_the_mistake_carries_a_notice() -> None:
    assert not any(made.notice for made in (Flip, QuarterTurn, Shift, Gamma, Rotation, Scale))


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ({"kind": "warp"}, "no test-time transform is called 'warp'; known are as-published, flip"),
        ({"kind": "flip", "axis": "depth"}, "the axis must be 'height' or 'width', not 'depth'"),
        ({"kind": "flip", "degrees": 3}, "'flip' does not take the options"),
        ({"kind": "quarter-turn", "turns": 4}, "turns must be 1, 2 or 3"),
        ({"kind": "shift", "rows": 0.5}, "whole numbers of pixels"),
        ({"kind": "gamma", "exponent": 0.0}, "gamma: exponent must be above zero"),
        ({"kind": "gamma", "exponent": "2"}, "gamma: exponent must be a number"),
        ({"kind": "gamma"}, "'gamma' does not take the options"),
        ({"kind": "rotation", "degrees": math.nan}, "degrees must be a number"),
        ({"kind": "rotation", "degrees": True}, "degrees must be a number"),
        ({"kind": "scale", "factor": -1.0}, "factor must be above zero"),
        ({"kind": "as-published", "degrees": math.inf}, "as-published: degrees must be a number"),
    ],
)
def test_an_unfit_transform_is_refused_with_its_reason(table, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        build_transform(**table)


@pytest.mark.parametrize("transform", [Rotation(10.0), Scale(0.9), AsPublished(30.0)])
def test_reduced_precision_moves_no_sampling_point(transform) -> None:
    given_slices = slices(edge=64)
    with torch.autocast("cpu", torch.bfloat16):
        reduced = transform.apply(given_slices), transform.invert(given_slices)
    assert torch.equal(reduced[0], transform.apply(given_slices))
    assert torch.equal(reduced[1], transform.invert(given_slices))
