"""Trying an ensemble out: what is wrong with a network or a rule is told by its registered name, before anything rests on it."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from shortaxis.ensemble import POOLINGS, ModelSpec, Pooled, StreamingEnsemble
from shortaxis.ensemble.trial import told_of, try_out, try_out_at_least_cost
from shortaxis.errors import InputError
from shortaxis.networks import NETWORKS, build_network

GRID = {"kind": "physical", "spacing_mm": 2.0, "size": 32}
FIXED = {"rule": "fixed", "outer_softmax": False}


class Own(nn.Module):
    """A convolution that remembers what it was asked, and changes what it says."""

    def __init__(self, change=lambda logits: logits, multiple: int | None = None) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, 4, 1)
        self.change = change
        self.asked: list[tuple[int, ...]] = []
        if multiple is not None:
            self.multiple = multiple

    def forward(self, slices: torch.Tensor):
        self.asked.append(tuple(slices.shape))
        return self.change(self.convolution(slices))


def described(*members: nn.Module, pooling=None, **changes) -> tuple[StreamingEnsemble, ModelSpec]:
    spec = ModelSpec("own", [{"network": "own"}] * len(members), FIXED if pooling is None else {"rule": "mine"}, GRID, **changes)
    return StreamingEnsemble(members, pooling or "fixed").eval(), spec


def own_rule(change):
    def mine(members: torch.Tensor, averaging: torch.Tensor, frame_of_slice: torch.Tensor) -> Pooled:
        n, _, _, height, width = members.shape
        omega = members.new_full((n, len(averaging), height, width), 1 / n)
        return change(Pooled(members.mean(dim=0), omega, omega), members)

    return mine


def untold(logits: torch.Tensor) -> torch.Tensor:
    msg = "sizes do not match\nsecond line"
    raise RuntimeError(msg)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (untold, r"network 'own' cannot work on slices of 32x32 pixels \(RuntimeError: sizes do not match\); mend"),
        (lambda logits: {"out": logits}, r"network 'own': member 2 \(Own\) must return logits.*not dict"),
        (
            lambda logits: logits[:, :3],
            r"'own': it tells 3 classes apart, this version needs 4 \(0 BACKGROUND, 1 RV, 2 MYO, 3 LV\).*\(3, 4, 32, 32\)",
        ),
        (lambda logits: logits * math.nan, "network 'own': its logits hold NaN or infinity"),
    ],
)
def test_network_that_is_unfit_is_told_by_its_name_in_one_line(change, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint) as caught:
        try_out(*described(Own(), Own(change)), 32)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (
            lambda _, members: Pooled(members[0].log(), None, _.omega),
            "its probabilities must be finite, not negative, and sum to one over the classes",
        ),
        (lambda pooled, members: pooled._replace(probabilities=members.sum(dim=0)), "its probabilities must be finite"),
        (lambda pooled, members: pooled._replace(probabilities=members.amax(dim=0)), "its probabilities must be finite"),
        (lambda pooled, _: pooled._replace(probabilities=pooled.probabilities * math.nan), "its probabilities must be finite"),
        (
            lambda pooled, _: pooled._replace(omega=2 * pooled.omega),
            "its omega must be finite, not negative, and sum to one over the members",
        ),
        (lambda pooled, _: pooled._replace(sigma=pooled.omega / 0), "its sigma holds NaN or infinity"),
        (lambda pooled, _: Pooled(pooled.probabilities, None, None), "rule mine must return omega as a float tensor"),
        (lambda pooled, _: pooled.missing, r" fails \(AttributeError: 'Pooled' object has no attribute 'missing'\)"),
    ],
)
def test_rule_that_is_unfit_is_told_by_its_name(change, complaint: str) -> None:
    with pytest.raises(InputError, match=f"^pooling rule 'mine'.*{complaint}"):
        try_out(*described(Own(), Own(), pooling=own_rule(change)), 8)


@pytest.mark.parametrize("rule", POOLINGS)
def test_every_rule_of_the_package_passes(rule: str) -> None:
    spec = ModelSpec("own", [{"network": "own"}] * 3, {"rule": rule}, GRID)
    try_out(StreamingEnsemble([Own(), Own(), Own()], rule), spec, 8)


def test_rule_without_sigma_and_one_that_weighs_every_slice_pass() -> None:
    try_out(*described(Own(), pooling=own_rule(lambda pooled, _: pooled._replace(sigma=None))), 8)
    spec = ModelSpec("own", [{"network": "own"}], {"rule": "uncertainty", "radius": 1}, GRID)
    try_out(StreamingEnsemble([Own()], POOLINGS["uncertainty"](radius=1)), spec, 8)


def test_views_are_tried_out_with_the_rest() -> None:
    member = Own()
    try_out(*described(member, augmenting={"transforms": [{"kind": "flip"}]}), 8)
    assert len(member.asked) == 3


def test_trial_leaves_weights_and_the_random_state_as_they_were() -> None:
    ensemble, spec = described(Own(), nn.Sequential(nn.BatchNorm2d(1), nn.Conv2d(1, 4, 1), nn.Dropout(0.5)))
    weights = {name: value.clone() for name, value in ensemble.state_dict().items()}
    state = torch.get_rng_state()
    try_out(ensemble, spec, 8)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, weights[name]) for name, value in ensemble.state_dict().items())


def edges_of(*members: Own) -> list[int]:
    try_out_at_least_cost(*described(*members))
    return [shape[-1] for shape in members[0].asked]


def test_members_that_say_what_they_need_are_tried_out_on_as_few_pixels_as_they_take() -> None:
    assert edges_of(Own(multiple=4), Own(multiple=8)) == [8]


def test_member_that_does_not_say_what_it_needs_is_tried_out_at_the_size_of_the_grid() -> None:
    assert edges_of(Own(multiple=4), Own()) == [32]
    assert edges_of(Own(multiple=32)) == [32]


def test_member_that_fails_on_few_pixels_is_tried_out_at_the_size_of_the_grid() -> None:
    normalised = nn.InstanceNorm2d(4)

    def change(logits: torch.Tensor) -> torch.Tensor:
        return logits + normalised(nn.functional.avg_pool2d(logits, 8)).mean()

    assert edges_of(Own(change, multiple=8)) == [8, 32]


def test_what_is_wrong_at_any_size_is_said_of_the_grids_own() -> None:
    member = Own(lambda logits: logits[:, :3], multiple=8)
    with pytest.raises(InputError, match=r"3 classes apart.*\(3, 1, 32, 32\)"):
        try_out_at_least_cost(*described(member))


def test_grid_that_does_not_suit_the_members_is_refused() -> None:
    with pytest.raises(InputError, match="multiples of 12, but its grid is"):
        try_out_at_least_cost(*described(Own(multiple=4), Own(multiple=6)))


def test_network_of_one_s_own_that_cannot_be_built_is_named(monkeypatch) -> None:
    monkeypatch.setitem(NETWORKS, "own", lambda: {}["missing"])
    with pytest.raises(InputError, match=r"'own' .*options \{\}: 'missing'"):
        build_network("own")


@pytest.mark.parametrize(("error", "line"), [(ValueError("one\ntwo"), "ValueError: one"), (IndexError(), "IndexError")])
def test_an_error_is_told_in_one_line(error: Exception, line: str) -> None:
    with pytest.raises(InputError) as told, told_of("it", " fails"):
        raise error
    assert str(told.value) == f"it fails ({line}); mend its code, or its options"
