"""The convolutional systems of Table 1: their sizes, what the 3D ones see, and the checks that hold for every network."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from shortaxis.ensemble import StreamingEnsemble
from shortaxis.errors import InputError
from shortaxis.networks import NETWORKS, build_network, network_cost
from shortaxis.networks.resnet34_unet import VendorClassifier
from shortaxis.networks.stack import stack_neighbours
from shortaxis.networks.stack_convolution import StackConvolution

SMALL = {
    "isensee2d": {"widths": [2, 3, 4, 5]},
    "isensee3d": {"widths": [2, 3, 4, 5]},
    "fcnn2d": {"widths": [2, 3, 4]},
    "fcnn3d": {"widths": [2, 3, 4]},
    "nnunet-like": {"widths": [2, 3, 4, 5]},
    "resnet34-unet": {"widths": [16, 16, 32, 32], "blocks": [1, 1, 2, 1], "decoder": 64},
}
VOLUMETRIC = ["isensee3d", "fcnn3d"]
OWNER = torch.tensor([0, 0, 0, 1, 1, 0])
VALID = torch.tensor([True, True, True, True, True, False])


def small(name: str, **options) -> nn.Module:
    torch.manual_seed(0)
    return build_network(name, **SMALL[name], **options)


@pytest.mark.parametrize(
    ("name", "edge", "parameters", "gmac"),
    [
        ("isensee2d", 352, 17_656_956, 59.2),
        ("isensee3d", 224, 15_538_678, 21.1),
        ("fcnn2d", 256, 31_042_564, 48.1),
        ("fcnn3d", 256, 5_473_828, 8.8),
        ("resnet34-unet", 224, 35_230_216, 17.3),
        ("nnunet-like", 256, 33_472_788, 14.8),
    ],
)
def test_published_size(name: str, edge: int, parameters: int, gmac: float) -> None:
    with torch.device("meta"):
        cost = network_cost(build_network(name), edge)
    assert cost.parameters == parameters
    assert cost.flops / 2e9 == pytest.approx(gmac, abs=0.06)


def test_vendor_classifier_is_the_encoder_with_a_linear_head() -> None:
    with torch.device("meta"):
        classifier = VendorClassifier(3)
    assert sum(value.numel() for value in classifier.parameters()) == 35_089_712 + 256 * 3 + 3


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("classes", [2, 4])
def test_logits_have_the_size_of_the_slices(name: str, classes: int) -> None:
    network = small(name, classes=classes).eval()
    height, width = 2 * network.multiple, 3 * network.multiple
    assert network(torch.zeros(3, 1, height, width)).shape == (3, classes, height, width)


@pytest.mark.parametrize("name", SMALL)
def test_every_parameter_receives_a_gradient(name: str) -> None:
    """But biases in front of a normalisation, which takes them away again."""
    network = small(name).train()
    logits = network(torch.randn(3, 1, 64, 64))
    (logits.square().mean() + sum(extra.square().mean() for extra in getattr(network, "auxiliary", []))).backward()
    without = [key for key, value in network.named_parameters() if value.grad is None or not value.grad.abs().sum() > 0]
    assert [key for key in without if not key.endswith("bias")] == []


@pytest.mark.parametrize("name", [name for name in SMALL if name not in VOLUMETRIC])
def test_slices_do_not_influence_each_other_in_evaluation(name: str) -> None:
    network = small(name).eval()
    slices = torch.randn(3, 1, 64, 64)
    alone = torch.cat([network(one[None]) for one in slices])
    torch.testing.assert_close(network(slices), alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", VOLUMETRIC)
@pytest.mark.parametrize("depth", [1, 2, 7])
def test_depth_of_a_frame_stays_what_it_is(name: str, depth: int) -> None:
    network = small(name).eval()
    assert network(torch.randn(depth, 1, 16, 16)).shape == (depth, 4, 16, 16)


@pytest.mark.parametrize("name", VOLUMETRIC)
def test_batch_of_frames_equals_frame_by_frame_and_padding_is_seen_by_nobody(name: str) -> None:
    network = small(name).eval()
    slices = torch.randn(6, 1, 16, 16)
    batch = network(slices, OWNER, VALID)
    torch.testing.assert_close(batch[:3], network(slices[:3]), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(batch[3:5], network(slices[3:5]), atol=1e-5, rtol=1e-4)
    changed = slices.clone()
    changed[5] += 1.0
    torch.testing.assert_close(network(changed, OWNER, VALID)[:5], batch[:5])


@pytest.mark.parametrize("name", VOLUMETRIC)
def test_a_slice_is_seen_by_the_rest_of_its_frame(name: str) -> None:
    network = small(name).eval()
    slices = torch.randn(6, 1, 16, 16)
    changed = slices.clone()
    changed[3] += 1.0
    moved = (network(changed, OWNER, VALID) - network(slices, OWNER, VALID)).abs().flatten(1).amax(dim=1) > 1e-6
    assert moved.tolist() == [False, False, False, True, True, False]


def test_stack_convolution_is_the_3d_convolution_of_each_frame() -> None:
    torch.manual_seed(0)
    layer = StackConvolution(3, 5)
    nn.init.normal_(layer.bias)
    kernel = layer.planes.weight.view(3, 5, 3, 3, 3).permute(1, 2, 0, 3, 4)
    x = torch.randn(6, 3, 7, 8)
    found = layer(x, stack_neighbours(OWNER, VALID))
    for frame in ([0, 1, 2], [3, 4]):
        volume = x[frame].transpose(0, 1)[None]
        expected = F.conv3d(volume, kernel, layer.bias, padding=1)[0].transpose(0, 1)
        torch.testing.assert_close(found[frame], expected, atol=1e-5, rtol=1e-4)


def test_neighbours_of_interleaved_frames() -> None:
    found = stack_neighbours(torch.tensor([0, 1, 0, 1, 0]), torch.tensor([True, True, True, True, False]))
    assert found.has_before.tolist() == [False, False, True, True, False]
    assert found.has_behind.tolist() == [True, True, False, False, False]
    assert found.before[[2, 3]].tolist() == [0, 1]
    assert found.behind[[0, 1]].tolist() == [2, 3]


@pytest.mark.parametrize("rule", ["fixed", "uncertainty", "entropy", "mutual-information", "learned-temperature"])
def test_2d_and_3d_members_pool_and_train_together(rule: str) -> None:
    ensemble = StreamingEnsemble([small("isensee2d"), small("isensee3d")], rule).train()
    output = ensemble(torch.randn(6, 1, 16, 16), OWNER, n_frames=2, valid=VALID)
    output.probabilities[:, 1].mean().backward()
    for member in ensemble.members:
        assert all(torch.isfinite(value.grad).all() for value in member.parameters())
        assert any(value.grad.abs().sum() > 0 for value in member.parameters())


def test_isensee_adds_the_logits_of_three_levels() -> None:
    network = small("isensee2d").eval()
    slices = torch.randn(1, 1, 16, 16)
    whole = network(slices)
    for head in network.heads[:2]:
        head.weight.data.zero_()
        head.bias.data.fill_(1.0)
    network.heads[2].weight.data.zero_()
    network.heads[2].bias.data.zero_()
    torch.testing.assert_close(network(slices), torch.full_like(whole, 2.0))


def test_nnunet_like_gives_coarser_maps_in_training_alone() -> None:
    network = small("nnunet-like")
    slices = torch.randn(2, 1, 32, 32)
    network.train()(slices)
    assert [tuple(extra.shape) for extra in network.auxiliary] == [(2, 4, 16, 16)]
    network.eval()(slices)
    assert network.auxiliary == []


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("isensee2d", {"widths": [8, 16]}),
        ("fcnn3d", {"widths": [8, 4096]}),
        ("nnunet-like", {"norm": "group"}),
        ("resnet34-unet", {"widths": [64, 128, 256]}),
        ("resnet34-unet", {"decoder": 20}),
    ],
)
def test_option_that_does_not_fit_is_refused(name: str, options: dict) -> None:
    with pytest.raises(InputError):
        build_network(name, **options)


def test_all_of_them_are_registered() -> None:
    assert SMALL.keys() <= NETWORKS.keys()


def test_nnunet_like_is_the_network_that_nnunet_builds() -> None:
    """Its weights, given to ours in the order of the layers, make the same logits."""
    unet = pytest.importorskip("dynamic_network_architectures.architectures.unet")
    torch.manual_seed(0)
    theirs = unet.PlainConvUNet(
        1, 4, (4, 6, 8, 8), nn.Conv2d, 3, (1, 2, 2, 2), 2, 4, 2, True, nn.InstanceNorm2d, {"affine": True}, None, None,
        nn.LeakyReLU, {"inplace": True}, deep_supervision=True,
    )  # fmt: skip
    ours = build_network("nnunet-like", widths=[4, 6, 8, 8])
    given = {key: value for key, value in theirs.state_dict().items() if "all_modules" not in key and "decoder.encoder" not in key}
    encoder = [value for key, value in given.items() if key.startswith("encoder.")]
    ours.down.load_state_dict(dict(zip(ours.down.state_dict(), encoder, strict=True)))
    for index in range(3):
        ours.grow[index].load_state_dict({key: given[f"decoder.transpconvs.{index}.{key}"] for key in ("weight", "bias")})
        stage = [value for key, value in given.items() if key.startswith(f"decoder.stages.{index}.")]
        ours.up[index].load_state_dict(dict(zip(ours.up[index].state_dict(), stage, strict=True)))
        if index:
            ours.heads[index - 1].load_state_dict({key: given[f"decoder.seg_layers.{index}.{key}"] for key in ("weight", "bias")})
    slices = torch.randn(2, 1, 32, 32)
    expected = theirs.train()(slices)
    torch.testing.assert_close(ours.train()(slices), expected[0], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(ours.auxiliary[0], expected[1], atol=1e-5, rtol=1e-4)
