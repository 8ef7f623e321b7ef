from __future__ import annotations

import pytest
import torch
from torch import nn

from shortaxis.errors import InputError
from shortaxis.networks import UNet, network_cost


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

    @pytest.mark.parametrize("fine", [0, 3])
    @pytest.mark.parametrize("depth", [1, 2, 3, 7])
    def test_says_the_same_as_all_slices_at_once(self, depth: int, fine: int) -> None:
        torch.manual_seed(0)
        network = scattered(UNet((4, 8), patch=2, fine=fine)).eval()
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


class TestFineLevel:
    """A level on unfolded pixels, which corrects what the folded ones say."""

    def test_untrained_it_changes_nothing_to_the_bit(self) -> None:
        torch.manual_seed(0)
        plain, fine = UNet((4, 8), patch=2).eval(), UNet((4, 8), patch=2, fine=3).eval()
        missing, surplus = fine.load_state_dict(plain.state_dict(), strict=False)
        assert missing
        assert all(name.startswith("fine.") for name in missing)
        assert not surplus
        slices = torch.randn(3, 1, 16, 16)
        assert torch.equal(fine(slices), plain(slices))

    def test_last_layer_learns_first_and_then_what_lies_before_it(self) -> None:
        torch.manual_seed(0)
        network = UNet((4, 8), patch=2, fine=3, dropout=0.0).train()
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        for opened in (False, True):
            optimizer.zero_grad()
            network(torch.randn(2, 1, 16, 16)).square().mean().backward()
            assert network.fine.correct.weight.grad.abs().sum() > 0
            for name in ("edges.0.weight", "unfold.weight", "join.0.weight"):
                assert bool(network.fine.get_parameter(name).grad.abs().sum() > 0) is opened, name
            optimizer.step()

    def test_tells_pixels_of_one_patch_apart_that_the_folded_levels_do_not(self) -> None:
        """With a folded head that is blind to where in a patch a pixel lies, only the fine level can draw a line one pixel wide."""
        torch.manual_seed(0)
        network = scattered(UNet((4, 8), patch=2, fine=3)).eval()
        line = torch.zeros(1, 1, 16, 16)
        line[..., 8] = 1.0
        with torch.no_grad():
            network.head.weight.zero_()
            corrected = network(line)[0, 0, 4:12]
        assert not torch.allclose(corrected[:, 8], corrected[:, 9], atol=1e-3)

    def test_parameters_are_few(self) -> None:
        added = network_cost(UNet((4, 8), patch=2, fine=3), 16).parameters - network_cost(UNet((4, 8), patch=2), 16).parameters
        edges, unfold, join, correct = 9 * 3 + 6, 4 * 12 + 12, (9 * 6 * 3 + 6) + (9 * 3 * 3 + 6), 3 * 4 + 4
        assert added == edges + unfold + join + correct

    @pytest.mark.parametrize(("fine", "patch"), [(3, 1), (-1, 2)])
    def test_needs_folded_pixels_and_a_number_of_channels(self, fine: int, patch: int) -> None:
        with pytest.raises(InputError, match=rf"fine \({fine}\)"):
            UNet((8,), patch=patch, fine=fine)
