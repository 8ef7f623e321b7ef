"""A UNet with attention over depth: it starts as the UNet, and looks at its own frame only."""

from __future__ import annotations

import pytest
import torch

from shortaxis.ensemble import StreamingEnsemble
from shortaxis.errors import InputError
from shortaxis.networks import DepthUNet, UNet, build_network, network_cost

OWNER = torch.tensor([0, 0, 0, 1, 1, 0])
VALID = torch.tensor([True, True, True, True, True, False])


@pytest.fixture
def opened() -> DepthUNet:
    """A network with its gate open, as training leaves it."""
    torch.manual_seed(0)
    network = DepthUNet((4, 8), heads=2, dropout=0.0).eval()
    with torch.no_grad():
        network.context.gate.fill_(1.0)
        network.context.nearness.normal_()
    return network


@pytest.fixture
def slices() -> torch.Tensor:
    torch.manual_seed(1)
    return torch.randn(6, 1, 8, 8)


def test_untrained_it_is_the_unet_to_the_bit(slices) -> None:
    torch.manual_seed(0)
    plain = UNet((4, 8), dropout=0.0)
    network = DepthUNet((4, 8), heads=2, dropout=0.0)
    missing, surplus = network.load_state_dict(plain.state_dict(), strict=False)
    assert all(name.startswith("context.") for name in missing)
    assert not surplus
    assert torch.equal(network.eval()(slices, OWNER, VALID), plain.eval()(slices))


def test_a_slice_sees_its_own_frame_and_no_other(opened, slices) -> None:
    before = opened(slices, OWNER, VALID)
    changed = slices.clone()
    changed[3] += 1.0
    moved = (opened(changed, OWNER, VALID) != before).flatten(1).any(dim=1)
    assert moved.tolist() == [False, False, False, True, True, False]


def test_nothing_looks_at_padding_but_padding_itself(opened, slices) -> None:
    before = opened(slices, OWNER, VALID)
    changed = slices.clone()
    changed[5] += 1.0
    moved = (opened(changed, OWNER, VALID) != before).flatten(1).any(dim=1)
    assert moved.tolist() == [False] * 5 + [True]


def test_batch_of_frames_equals_frame_by_frame(opened, slices) -> None:
    batch = opened(slices, OWNER, VALID)
    torch.testing.assert_close(batch[:3], opened(slices[:3]))
    torch.testing.assert_close(batch[3:5], opened(slices[3:5]))


def test_frame_of_padding_only_stays_finite(opened, slices) -> None:
    assert torch.isfinite(opened(slices, torch.tensor([0, 0, 0, 0, 0, 1]), VALID)).all()


def test_direction_of_the_stack_does_not_matter_but_its_order_does(opened, slices) -> None:
    stack = slices[:5]
    torch.testing.assert_close(opened(stack.flip(0)).flip(0), opened(stack))
    order = torch.tensor([1, 0, 2, 3, 4])
    assert not torch.allclose(opened(stack[order])[order], opened(stack), atol=1e-4)


def test_slices_far_apart_are_told_apart_no_more(opened) -> None:
    """A stack of eight from whose one end the six-away and the seven-away slice look alike."""
    torch.manual_seed(2)
    stack = torch.randn(8, 1, 8, 8)
    swapped = stack[[0, 1, 2, 3, 4, 5, 7, 6]]
    torch.testing.assert_close(opened(swapped)[0], opened(stack)[0])
    assert not torch.allclose(opened(swapped)[1], opened(stack)[1], atol=1e-4)


def test_gate_learns_first_and_then_what_lies_behind_it(slices) -> None:
    torch.manual_seed(0)
    network = DepthUNet((4, 8), heads=2, dropout=0.0).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    for opened in (False, True):
        optimizer.zero_grad()
        network(slices, OWNER, VALID).square().mean().backward()
        assert network.context.gate.grad.abs().sum() > 0
        for name in ("project.weight", "combine.weight", "nearness", "norm.weight"):
            assert bool(network.context.get_parameter(name).grad.abs().sum() > 0) is opened, name
        optimizer.step()


def test_an_ensemble_hands_it_the_frames_and_mixes_it_with_others(opened, slices) -> None:
    ensemble = StreamingEnsemble([opened, UNet((4, 8), dropout=0.0)]).eval()
    output = ensemble(slices, OWNER, n_frames=2, valid=VALID)
    torch.testing.assert_close(output.members[0], torch.softmax(opened(slices, OWNER, VALID), dim=1))
    assert not torch.allclose(output.members[0], ensemble(slices).members[0], atol=1e-4)


def test_it_is_registered_and_its_cost_is_counted() -> None:
    plain, deep = (network_cost(build_network(name, widths=(4, 8)), 16) for name in ("unet", "depth-unet"))
    # LayerNorm 2·8, projection 3·8·8, combination 8·8 + 8, 4 heads at 7 distances, gate 8.
    assert deep.parameters - plain.parameters == 16 + 192 + 72 + 28 + 8
    assert deep.flops > plain.flops


@pytest.mark.parametrize("heads", [0, 3, -1])
def test_heads_must_divide_the_channels(heads: int) -> None:
    with pytest.raises(InputError, match=f"{heads} heads do not divide the 8 channels"):
        DepthUNet((4, 8), heads=heads)
