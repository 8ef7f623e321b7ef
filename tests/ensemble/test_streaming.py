"""Eq. 1: one shared loss through the pooled output trains every member."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import nn

from shortaxis.ensemble import Entropy, Fixed, LearnedTemperature, MutualInformation, Pooled, StreamingEnsemble, Uncertainty
from shortaxis.errors import InputError
from shortaxis.losses import equation_4
from shortaxis.networks import DeepLabV3Plus, UNet

RULES = [
    Fixed(),
    Fixed(outer_softmax=False),
    Uncertainty(),
    Uncertainty(outer_softmax=False),
    Uncertainty(temperature=0.05, unbiased=False),
]
BEYOND_THE_PAPER = [
    Uncertainty(radius=1, outer_softmax=False),
    Entropy(radius=0),
    MutualInformation(temperature=0.1),
    LearnedTemperature(Uncertainty(temperature=0.1)),
]
OWNER = torch.tensor([0, 0, 1])


def tiny(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Tanh(), nn.Conv2d(2, 4, 1)).double()


def example() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(9)
    return torch.randn(3, 1, 4, 4, dtype=torch.float64), torch.randint(0, 4, (3, 4, 4))


def loss_of(ensemble: StreamingEnsemble) -> torch.Tensor:
    slices, labels = example()
    return equation_4(ensemble(slices, OWNER, n_frames=2).probabilities, labels, torch.ones(3, dtype=torch.float64))


@pytest.mark.parametrize("rule", RULES + BEYOND_THE_PAPER, ids=str)
def test_gradient_of_every_parameter_of_every_member_equals_finite_differences(rule) -> None:
    ensemble = StreamingEnsemble([tiny(0), tiny(1)], deepcopy(rule)).double()
    loss_of(ensemble).backward()
    step = 1e-6
    for parameter in ensemble.parameters():
        values = parameter.data.view(-1)
        slopes = []
        for index, middle in enumerate(values.tolist()):
            sides = []
            for side in (middle + step, middle - step):
                values[index] = side
                sides.append(float(loss_of(ensemble).detach()))
            values[index] = middle
            slopes.append((sides[0] - sides[1]) / (2 * step))
        torch.testing.assert_close(parameter.grad.view(-1), torch.tensor(slopes, dtype=torch.float64), atol=1e-7, rtol=1e-5)


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_gradient_is_the_product_of_the_three_factors(rule) -> None:
    """Eq. 1, with the Jacobians written out: dL/dŷ, then dŷ/dŷ_i, then dŷ_i/dΘ_i."""
    ensemble = StreamingEnsemble([tiny(0), tiny(1)], rule)
    slices, labels = example()
    loss_of(ensemble).backward()
    member_outputs = torch.stack([torch.softmax(member(slices), dim=1) for member in ensemble.members]).detach()

    def pooled(members: torch.Tensor) -> torch.Tensor:
        return ensemble.pool(members, OWNER, n_frames=2).probabilities

    outer = torch.autograd.functional.jacobian(lambda y: equation_4(y, labels, torch.ones(3, dtype=torch.float64)), pooled(member_outputs))
    middle = torch.autograd.functional.jacobian(pooled, member_outputs)
    for index, member in enumerate(ensemble.members):
        up_to_member = torch.einsum("bchw,bchwdefg->defg", outer, middle[:, :, :, :, index])
        for name, parameter in member.named_parameters():

            def output(value: torch.Tensor, name: str = name, member: nn.Module = member) -> torch.Tensor:
                return torch.softmax(torch.func.functional_call(member, {name: value}, slices), dim=1)

            inner = torch.autograd.functional.jacobian(output, parameter.detach())
            torch.testing.assert_close(torch.tensordot(up_to_member, inner, dims=4), parameter.grad)


@pytest.mark.parametrize("rule", ["fixed", "uncertainty"])
def test_mixed_members_all_receive_a_gradient(rule: str) -> None:
    torch.manual_seed(0)
    members = [UNet((4, 8), dropout=0.0), DeepLabV3Plus(8, dropout=0.0), nn.Conv2d(1, 4, 3, padding=1), UNet((3, 5), dropout=0.0)]
    ensemble = StreamingEnsemble(members, rule).train()
    output = ensemble(torch.randn(4, 1, 32, 32), torch.tensor([0, 0, 1, 1]), n_frames=2)
    equation_4(output.probabilities, torch.randint(0, 4, (4, 32, 32)), torch.ones(4)).backward()
    assert [name for name, value in ensemble.named_parameters() if value.grad is None or not value.grad.abs().sum() > 0] == []


def test_a_member_s_gradient_depends_on_the_others() -> None:
    """Joint training: the same member beside another partner is pulled elsewhere, unlike in Stacking."""
    gradients = []
    for partner in (1, 2):
        ensemble = StreamingEnsemble([tiny(0), tiny(partner)])
        loss_of(ensemble).backward()
        gradients.append(ensemble.members[0][0].weight.grad)
    assert not torch.allclose(*gradients)


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("rule", ["fixed", "uncertainty"])
def test_shapes_for_any_number_of_members(count: int, rule: str) -> None:
    ensemble = StreamingEnsemble([nn.Conv2d(1, 4, 1) for _ in range(count)], rule)
    output = ensemble(torch.zeros(5, 1, 6, 7), torch.tensor([0, 0, 2, 2, 1]), n_frames=3)
    assert output.probabilities.shape == (5, 4, 6, 7)
    assert output.members.shape == (count, 5, 4, 6, 7)
    assert output.omega.shape == (count, 3, 6, 7)
    assert (output.sigma is None) if rule == "fixed" else (output.sigma.shape == (count, 3, 6, 7))


def test_members_are_returned_as_probabilities_in_their_order() -> None:
    ensemble = StreamingEnsemble([tiny(0), tiny(1)])
    slices, _ = example()
    expected = torch.stack([torch.softmax(member(slices), dim=1) for member in ensemble.members])
    torch.testing.assert_close(ensemble(slices, OWNER, n_frames=2).members, expected)


def test_slices_are_one_frame_unless_told_otherwise() -> None:
    ensemble = StreamingEnsemble([tiny(0), tiny(1)])
    slices, _ = example()
    implied, said = ensemble(slices), ensemble(slices, torch.zeros(3, dtype=torch.long), n_frames=1, valid=torch.ones(3, dtype=torch.bool))
    for first, second in zip(implied, said, strict=True):
        assert torch.equal(first, second)


def test_batch_of_frames_equals_frame_by_frame() -> None:
    ensemble = StreamingEnsemble([tiny(0), tiny(1)])
    slices, _ = example()
    batch = ensemble(slices, OWNER, n_frames=2)
    for frame, part in enumerate((slices[:2], slices[2:])):
        alone = ensemble(part)
        # The averaging matrix is float32.
        torch.testing.assert_close(batch.sigma[:, frame], alone.sigma[:, 0], atol=1e-7, rtol=1e-6)
        torch.testing.assert_close(batch.probabilities[frame == OWNER], alone.probabilities, atol=1e-7, rtol=1e-6)


def test_padding_slices_have_no_part_in_the_weights() -> None:
    ensemble = StreamingEnsemble([tiny(0), tiny(1)])
    slices, _ = example()
    padded = ensemble(torch.cat([slices, 50 * torch.ones_like(slices[:1])]), torch.tensor([0, 0, 0, 0]), valid=torch.arange(4) < 3)
    torch.testing.assert_close(padded.omega, ensemble(slices).omega)


@pytest.mark.parametrize("rule", ["fixed", "uncertainty"])
def test_pooling_stays_in_float32_where_networks_run_in_half_precision(rule: str) -> None:
    torch.manual_seed(0)
    ensemble = StreamingEnsemble([nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(1, 4, 3, padding=1)], rule).eval()
    with torch.autocast("cpu", torch.bfloat16):
        output = ensemble(torch.randn(3, 1, 8, 8))
    assert {value.dtype for value in output if value is not None} == {torch.float32}
    exact = ensemble.pool(output.members)
    assert torch.equal(output.probabilities, exact.probabilities)
    assert torch.equal(output.omega, exact.omega)


def test_pooling_may_be_an_own_rule() -> None:
    def first_only(members: torch.Tensor, averaging: torch.Tensor, frame_of_slice: torch.Tensor) -> Pooled:
        return Pooled(members[0], None, averaging.new_zeros(len(members), len(averaging), *members.shape[-2:]))

    ensemble = StreamingEnsemble([tiny(0), tiny(1)], first_only)
    slices, _ = example()
    output = ensemble(slices)
    assert torch.equal(output.probabilities, output.members[0])


def test_pooling_is_by_uncertainty_as_the_paper_has_it_unless_told_otherwise() -> None:
    assert StreamingEnsemble([tiny(0)]).pooling == Uncertainty(temperature=1.0, unbiased=True, outer_softmax=True)


def test_no_member_is_refused() -> None:
    with pytest.raises(InputError, match="at least one member"):
        StreamingEnsemble([])


@pytest.mark.parametrize("member", [UNet, torch.zeros(4), "unet"])
def test_what_is_no_network_is_refused_with_its_position(member) -> None:
    with pytest.raises(InputError, match=r"member 2 must be a torch\.nn\.Module"):
        StreamingEnsemble([tiny(0), member])


@pytest.mark.parametrize("pooling", [Uncertainty, torch.zeros(4), None])
def test_what_is_no_rule_is_refused_a_class_among_it(pooling) -> None:
    with pytest.raises(InputError, match=r"the pooling must be a rule.*not"):
        StreamingEnsemble([tiny(0)], pooling)


def test_unknown_pooling_is_refused() -> None:
    with pytest.raises(InputError, match=r"'vote'; known are .*fixed, .*uncertainty"):
        StreamingEnsemble([tiny(0)], "vote")


@pytest.mark.parametrize("shape", [(24, 32), (32, 24)])
def test_slices_that_a_member_cannot_take_are_refused_with_the_member_and_the_multiple(shape: tuple[int, int]) -> None:
    ensemble = StreamingEnsemble([UNet((4, 8)), DeepLabV3Plus(8)])
    with pytest.raises(InputError, match=rf"{shape[0]}x{shape[1]} .*member 2 .*multiples of 16"):
        ensemble(torch.zeros(1, 1, *shape))


def test_members_with_different_numbers_of_classes_are_refused() -> None:
    ensemble = StreamingEnsemble([nn.Conv2d(1, 4, 1), nn.Conv2d(1, 3, 1)])
    with pytest.raises(InputError, match=r"\(2, 4, 5, 5\), \(2, 3, 5, 5\)"):
        ensemble(torch.zeros(2, 1, 5, 5))


class Returns(nn.Module):
    """Returns whatever it is told to make of its logits."""

    def __init__(self, change) -> None:
        super().__init__()
        self.change = change

    def forward(self, slices: torch.Tensor):
        return self.change(slices.expand(-1, 4, -1, -1))


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda logits: {"out": logits}, "dict"),
        (lambda logits: (logits, logits), "tuple"),
        (lambda logits: logits[:, 0], r"torch\.float32 of shape \(3, 6, 8\)"),
        (lambda logits: logits[:1], r"torch\.float32 of shape \(1, 4, 6, 8\)"),
        (lambda logits: logits[..., ::2], r"torch\.float32 of shape \(3, 4, 6, 4\)"),
        (lambda logits: logits.argmax(dim=1, keepdim=True), r"torch\.int64 of shape \(3, 1, 6, 8\)"),
    ],
)
def test_member_that_returns_no_logits_is_refused_with_the_shape_they_should_have(change, found: str) -> None:
    ensemble = StreamingEnsemble([nn.Conv2d(1, 4, 1), Returns(change)])
    with pytest.raises(InputError, match=rf"member 2 .*\(3, C, 6, 8\).*not {found}"):
        ensemble(torch.zeros(3, 1, 6, 8))


def even(members: torch.Tensor, sets: int) -> torch.Tensor:
    n, _, _, height, width = members.shape
    return members.new_full((n, sets, height, width), 1 / n)


class OneMapASlice:
    """A rule with weights for each of B slices."""

    def __call__(self, members, averaging, frame_of_slice) -> Pooled:
        omega = even(members, members.shape[1])
        return Pooled(members.mean(dim=0), omega, omega)


class SaysThatItWeighsEverySlice(OneMapASlice):
    per_slice = True


def test_weights_for_every_slice_are_refused_unless_the_rule_says_that_it_has_them() -> None:
    slices = torch.zeros(3, 1, 4, 4)
    with pytest.raises(InputError, match=r"sigma .*\(2, 1, 4, 4\), not .*\(2, 3, 4, 4\).*per_slice"):
        StreamingEnsemble([nn.Conv2d(1, 4, 1)] * 2, OneMapASlice())(slices)
    assert StreamingEnsemble([nn.Conv2d(1, 4, 1)] * 2, SaysThatItWeighsEverySlice())(slices).omega.shape == (2, 3, 4, 4)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (
            lambda pooled: pooled.probabilities,
            r"Pooled\(probabilities, sigma, omega\), not torch.float64 of shape \(3, 4, 4, 4\)",
        ),
        (tuple, "Pooled.*not tuple"),
        (lambda pooled: pooled._replace(probabilities=None), r"probabilities as a float tensor of shape \(3, 4, 4, 4\), not NoneType"),
        (lambda pooled: pooled._replace(probabilities=pooled.probabilities[:, :3]), r"not torch.float64 of shape \(3, 3, 4, 4\)"),
        (lambda pooled: pooled._replace(probabilities=pooled.probabilities.argmax(dim=1)), "not torch.int64"),
        (lambda pooled: pooled._replace(omega=None), r"omega as a float tensor of shape \(2, 2, 4, 4\), not NoneType"),
        (lambda pooled: pooled._replace(omega=pooled.omega[0]), r"omega as a float tensor of shape \(2, 2, 4, 4\)"),
        (lambda pooled: pooled._replace(sigma=pooled.omega[:, :1]), r"sigma as a float tensor of shape \(2, 2, 4, 4\)"),
    ],
)
def test_what_a_rule_returns_is_held_against_the_contract(change, complaint: str) -> None:
    def own_rule(members: torch.Tensor, averaging: torch.Tensor, frame_of_slice: torch.Tensor):
        return change(Pooled(members.mean(dim=0), None, even(members, len(averaging))))

    slices, _ = example()
    with pytest.raises(InputError, match=f"pooling rule own_rule must return.*{complaint}"):
        StreamingEnsemble([tiny(0), tiny(1)], own_rule)(slices, OWNER, n_frames=2)
