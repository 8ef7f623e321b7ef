"""Rules that hold for the networks of the paper and beyond, and the sizes that we publish."""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import nn

from shortaxis.errors import InputError
from shortaxis.networks import NETWORKS, build_network, network_cost

SMALL = {"unet": {"widths": [4, 6, 8]}, "deeplabv3plus": {"channels": 8}, "depth-unet": {"widths": [4, 6, 8], "heads": 2}}
"""Options that make a network quick to test; any other is tested as it comes."""


def takes(name: str, option: str) -> bool:
    return option in inspect.signature(NETWORKS[name]).parameters


def small(name: str, **options) -> nn.Module:
    torch.manual_seed(0)
    network = build_network(name, **SMALL.get(name, {}), **options)
    for key, value in network.named_parameters():
        if key.endswith("gate"):  # one that is shut, as it is at the start, keeps what lies behind it out of everything
            nn.init.ones_(value)
    return network


@pytest.mark.parametrize("name", [name for name in SMALL if takes(name, "classes")])
@pytest.mark.parametrize("classes", [2, 4])
def test_logits_have_the_size_of_the_slices(name: str, classes: int) -> None:
    network = small(name, classes=classes).eval()
    multiple = getattr(network, "multiple", 8)
    height, width = 2 * multiple, 5 * multiple
    assert network(torch.zeros(3, 1, height, width)).shape == (3, classes, height, width)


@pytest.mark.parametrize("name", SMALL)
def test_logits_are_not_probabilities(name: str) -> None:
    network = small(name).eval()
    sums = network(torch.randn(1, 1, 32, 32)).sum(dim=1)
    assert (sums - 1).abs().min() > 1e-6


@pytest.mark.parametrize("name", SMALL)
def test_every_parameter_receives_a_gradient(name: str) -> None:
    network = small(name, **({"dropout": 0.0} if takes(name, "dropout") else {})).train()
    network(torch.randn(4, 1, 64, 64)).square().mean().backward()
    without = [key for key, value in network.named_parameters() if value.grad is None or not value.grad.abs().sum() > 0]
    assert without == []


@pytest.mark.parametrize("name", SMALL)
def test_every_layer_takes_part(name: str) -> None:
    network = small(name).eval()
    used = set()
    for layer in network.modules():
        layer.register_forward_hook(lambda module, _inputs, _output: used.add(module))
    network(torch.zeros(1, 1, 32, 32))
    unused = [key for key, layer in network.named_modules() if layer not in used and not isinstance(layer, nn.ModuleList)]
    assert unused == []


@pytest.mark.parametrize("name", [name for name in SMALL if not getattr(NETWORKS[name], "needs_frames", False)])
def test_slices_do_not_influence_each_other_in_evaluation(name: str) -> None:
    network = small(name).eval()
    slices = torch.randn(3, 1, 32, 32)
    together = network(slices)
    alone = torch.cat([network(one[None]) for one in slices])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", SMALL)
def test_trains_on_a_single_slice(name: str) -> None:
    network = small(name).train()
    network(torch.randn(1, 1, 32, 32)).mean().backward()
    assert all(torch.isfinite(value.grad).all() for value in network.parameters())


@pytest.mark.parametrize("name", [name for name in SMALL if takes(name, "dropout")])
def test_dropout_acts_in_training_only(name: str) -> None:
    network = small(name, dropout=0.5)
    slices = torch.randn(2, 1, 32, 32)
    network.train()
    assert not torch.equal(network(slices), network(slices))
    network.eval()
    assert torch.equal(network(slices), network(slices))


@pytest.mark.parametrize(
    ("name", "options", "parameters", "gflops"),
    [
        # The authors' code declares 5.81 M parameters for its UNet, of which 3.35 M are used, and 8.99 M for its D3P.
        ("unet", {}, 1_947_812, 16.227),
        ("unet", {"widths": [24, 48, 96, 192], "patch": 2}, 1_097_200, 2.307),
        ("deeplabv3plus", {}, 5_274_148, 9.827),
        ("deeplabv3plus", {"output_stride": 8}, 5_274_148, 14.323),
        # Over the UNet: LayerNorm 2·256, projection 3·256², combination 256² + 256, 4 heads at 7 distances, gate 256. On each of 28² pixels
        # the two matrices are 2·4·256² operations, and one slice looks at itself: 2·2·256.
        ("depth-unet", {}, 1_947_812 + 4 * 256**2 + 4 * 256 + 28, 16.227 + 28**2 * (8 * 256**2 + 4 * 256) / 1e9),
    ],
)
def test_published_size(name: str, options: dict, parameters: int, gflops: float) -> None:
    cost = network_cost(build_network(name, **options))
    assert cost.parameters == parameters
    assert cost.flops / 1e9 == pytest.approx(gflops, abs=5e-4)


def test_cost_counts_a_multiplication_and_an_addition_as_two() -> None:
    one_by_one = nn.Conv2d(1, 4, 1)
    assert network_cost(one_by_one, size=10) == (8, 2 * 4 * 100)
    assert one_by_one.weight.device.type == "cpu"


def test_unknown_network_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"'vnet'; known are .*\bunet"):
        build_network("vnet")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("unet", {"depth": 3}),
        ("unet", {"widths": 32}),
        ("unet", {"widths": "abc"}),
        ("unet", {"widths": [4.5, 8]}),
        ("unet", {"dropout": 3}),
        ("unet", {"classes": -1}),
        ("unet", {"classes": "four"}),
        ("unet", {"patch": 10**30}),
        ("depth-unet", {"heads": "many"}),
        ("deeplabv3plus", {"rates": 6}),
        ("deeplabv3plus", {"rates": {"a": 1}}),
        ("deeplabv3plus", {"channels": "many"}),
    ],
)
def test_option_that_does_not_fit_is_refused_by_the_network_s_name(name: str, options: dict) -> None:
    with pytest.raises(InputError, match=name) as caught:
        build_network(name, **options)
    assert "\n" not in str(caught.value)
