from __future__ import annotations

import pytest
import torch
from torch import nn

from shortaxis.errors import InputError
from shortaxis.networks import UNet


@pytest.mark.parametrize(
    ("widths", "patch", "multiple"), [((8,), 1, 1), ((4, 8), 1, 2), ((4, 6, 8), 1, 4), ((4, 6, 8), 2, 8), ((4, 4, 4, 4), 3, 24)]
)
def test_smallest_slice_is_one_pixel_in_the_bottleneck(widths: tuple[int, ...], patch: int, multiple: int) -> None:
    network = UNet(widths, patch=patch).eval()
    assert network.multiple == multiple
    assert network(torch.zeros(1, 1, multiple, multiple)).shape == (1, 4, multiple, multiple)


@pytest.mark.parametrize("widths", [(), (32, 257), (0, 8), (8, -1), (4,) * 9])
def test_widths_out_of_range_are_refused(widths: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="1 to 256 channels on one to eight levels"):
        UNet(widths)


@pytest.mark.parametrize("patch", [0, -1])
def test_patch_below_one_is_refused(patch: int) -> None:
    with pytest.raises(InputError, match=rf"patch \({patch}\)"):
        UNet((8,), patch=patch)


def test_convolutions_are_those_of_the_textbook() -> None:
    layers = [
        (layer.in_channels, layer.out_channels, layer.kernel_size)
        for layer in UNet((32, 64, 128, 256)).modules()
        if isinstance(layer, nn.Conv2d)
    ]
    three = (3, 3)
    assert layers == [
        (1, 32, three),
        (32, 32, three),
        (32, 64, three),
        (64, 64, three),
        (64, 128, three),
        (128, 128, three),
        (128, 256, three),
        (256, 256, three),
        (384, 128, three),
        (128, 128, three),
        (192, 64, three),
        (64, 64, three),
        (96, 32, three),
        (32, 32, three),
        (32, 4, (1, 1)),
    ]


def test_fine_detail_passes_by_the_skip_connection() -> None:
    """Every 2x2 square of a checkerboard holds the same values, so below the first level it is constant: only the skip tells its phases."""
    torch.manual_seed(0)
    network = UNet((8, 8), dropout=0.0).eval()
    board = (torch.arange(32)[:, None] + torch.arange(32)) % 2
    logits = network(board[None, None].float())[0, 0, 12:20, 12:20].detach()
    black = board[12:20, 12:20].bool()
    within = max(float(logits[phase].std()) for phase in (black, ~black))
    assert float((logits[black].mean() - logits[~black].mean()).abs()) > 100 * within


@torch.no_grad()
def scattered(network: nn.Module) -> nn.Module:
    """The network with every weight drawn anew, so that no layer is silent."""
    for value in network.parameters():
        value.normal_(std=0.3)
    return network


class TestDecodingInParts:
    """Without gradients a CPU decodes a few slices at a time."""

    @pytest.mark.parametrize("depth", [1, 2, 3, 7])
    def test_says_the_same_as_all_slices_at_once(self, depth: int) -> None:
        torch.manual_seed(0)
        network = scattered(UNet((4, 8), patch=2)).eval()
        slices = torch.randn(depth, 1, 16, 16)
        with torch.no_grad():
            in_parts = network(slices)
        torch.testing.assert_close(in_parts, network(slices).detach())

    def test_leaves_normalisation_over_the_batch_alone(self) -> None:
        torch.manual_seed(0)
        network = scattered(UNet((4, 8), dropout=0.0)).train()
        slices = torch.randn(5, 1, 16, 16)
        with torch.no_grad():
            without = network(slices)
        torch.testing.assert_close(without, network(slices).detach())
