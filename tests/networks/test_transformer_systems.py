"""The transformer systems of Table 1: their sizes, their windows and maps, and the checks that hold for every network."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from shortaxis.errors import InputError
from shortaxis.networks import FCT, ParallelMERIT, TransUNet, build_network, network_cost
from shortaxis.networks.attention import StochasticDepth
from shortaxis.networks.maxvit import MaxViT, PartitionAttention
from shortaxis.networks.swin_unet import PatchMerging, SwinBlock, joined_windows, shifted_window_mask, windows_of
from shortaxis.networks.transunet import HybridResNet, TransformerBlock

SMALL = {
    "transunet": {
        "size": 32,
        "stem": 4,
        "units": [1, 1, 1],
        "width": 12,
        "depth": 1,
        "heads": 2,
        "hidden": 16,
        "decoder": [8, 8, 4, 4],
    },
    "swin-unet": {"width": 4, "depths": [2, 2], "heads": [1, 2], "window": 3},
    "parallel-merit": {"sizes": [96, 64], "stems": [[4, 32], [4, 8]], "widths": [32, 32, 64, 64], "depths": [1, 1, 1, 1], "head_size": 8},
    "fct": {"widths": [6, 8, 8], "maps": 2},
}


def small(name: str, **options) -> nn.Module:
    torch.manual_seed(0)
    return build_network(name, **SMALL[name] | options)


def parameters(module: nn.Module) -> int:
    return sum(value.numel() for value in module.parameters())


class TestSize:
    @pytest.mark.parametrize(
        ("name", "count"),
        [("transunet", 105_276_356), ("swin-unet", 27_168_420), ("parallel-merit", 147_849_567), ("fct", 31_729_614)],
    )
    def test_published_parameters(self, name: str, count: int) -> None:
        with torch.device("meta"):
            assert parameters(build_network(name)) == count

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("name", "edge", "gmac"),
        [
            ("transunet", 224, 29.2),
            ("swin-unet", 224, 6.1),
            ("parallel-merit", 256, 34.0),  # 33.3 without the products of its windows and grids
            ("fct", 224, 24.0),  # 25.9 with the maps below full size
        ],
    )
    def test_published_arithmetic(self, name: str, edge: int, gmac: float) -> None:
        with torch.device("meta"):
            cost = network_cost(build_network(name), edge)
        assert cost.flops / 2e9 == pytest.approx(gmac, abs=0.06)

    def test_transunet_by_parts(self) -> None:
        with torch.device("meta"):
            network = TransUNet()
        resnet = parameters(network.encoder)
        transformer = resnet + network.positions.numel() + sum(parameters(part) for part in (network.embed, network.blocks, network.norm))
        assert round(resnet / 1e6, 2) == 11.89
        assert round(transformer / 1e6, 2) == 97.89
        assert round(parameters(nn.ModuleList([network.widen, network.up])) / 1e6, 2) == 7.39
        assert parameters(network.head) == 580

    def test_merit_by_parts(self) -> None:
        with torch.device("meta"):
            network = ParallelMERIT()
        assert [round(parameters(encoder) / 1e6, 2) for encoder in network.encoders] == [65.24, 64.12]
        assert parameters(network.decoder) == 18_479_291

    def test_fct_with_the_norm_over_columns(self) -> None:
        with torch.device("meta"):
            assert parameters(FCT(column_norm=True)) == 31_730_062

    @pytest.mark.slow
    def test_fct_with_all_its_maps(self) -> None:
        with torch.device("meta"):
            network = FCT().train()
            with FlopCounterMode(display=False) as counter:
                network(torch.empty(1, 1, 224, 224))
        assert counter.get_total_flops() / 1e9 == pytest.approx(51.7, abs=0.05)
        assert [tuple(one.shape) for one in network.output_maps] == [(1, 4, edge, edge) for edge in (224, 112, 56)]


class TestEveryNetwork:
    @pytest.mark.parametrize("name", SMALL)
    def test_logits_have_the_size_of_the_slices(self, name: str) -> None:
        network = small(name, classes=3).eval()
        height, width = 2 * network.multiple, 3 * network.multiple
        assert network(torch.zeros(2, 1, height, width)).shape == (2, 3, height, width)

    @pytest.mark.parametrize("name", SMALL)
    def test_every_parameter_receives_a_gradient(self, name: str) -> None:
        """But those that the next softmax or normalisation takes away again: biases."""
        network = small(name, dropout=0.0).train()
        logits = network(torch.randn(3, 1, 48, 48))
        (logits.square().mean() + sum(one.square().mean() for one in getattr(network, "output_maps", []))).backward()
        without = [key for key, value in network.named_parameters() if value.grad is None or not value.grad.abs().sum() > 0]
        assert [key for key in without if not key.endswith("bias")] == []

    @pytest.mark.parametrize("name", SMALL)
    def test_evaluation_is_deterministic_and_slice_by_slice(self, name: str) -> None:
        network = small(name, dropout=0.5)
        slices = torch.randn(3, 1, 48, 48)
        network.train()
        assert not torch.equal(network(slices), network(slices))
        network.eval()
        together = network(slices)
        torch.testing.assert_close(together, torch.cat([network(one[None]) for one in slices]), atol=1e-4, rtol=1e-3)
        assert not getattr(network, "output_maps", []) or network.training is False

    @pytest.mark.parametrize("name", SMALL)
    def test_a_few_steps_lower_the_loss(self, name: str) -> None:
        network = small(name, dropout=0.0).train()
        slices = torch.randn(2, 1, 48, 48)
        labels = (slices[:, 0] > 0).long()
        optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
        losses = []
        for _ in range(5):
            optimizer.zero_grad()
            loss = F.cross_entropy(network(slices), labels)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert losses[-1] < losses[0]

    @pytest.mark.parametrize(
        ("name", "options", "value"),
        [
            ("transunet", {"size": 100}, "100"),
            ("transunet", {"heads": 5}, "5 heads"),
            ("transunet", {"units": [1, 1]}, r"\[1, 1\]"),
            ("transunet", {"stem": 12}, "12"),
            ("swin-unet", {"heads": [1]}, r"\[1\]"),
            ("swin-unet", {"heads": [3, 2]}, "3 heads"),
            ("swin-unet", {"patch": 3}, "3"),
            ("parallel-merit", {"sizes": [96]}, r"\[96\]"),
            ("parallel-merit", {"sizes": [96, 50]}, "50"),
            ("parallel-merit", {"head_size": 7}, "7"),
            ("parallel-merit", {"widths": [16, 24, 32, 32]}, "multiple"),
            ("fct", {"widths": [2, 4]}, r"\[2, 4\]"),
            ("fct", {"maps": 3}, "3"),
            ("fct", {"column_norm": True, "size": 50}, "50"),
        ],
    )
    def test_odd_option_is_refused(self, name: str, options: dict, value: str) -> None:
        with pytest.raises(InputError, match=value):
            small(name, **options)


class TestTransUNet:
    def test_pooling_without_padding_leaves_a_row_and_a_column_that_are_filled_with_zeros(self) -> None:
        features, skips = HybridResNet(4, (1, 1, 1)).eval()(torch.randn(1, 3, 224, 224))
        assert features.shape == (1, 64, 14, 14)
        assert [tuple(skip.shape[1:]) for skip in skips] == [(4, 112, 112), (16, 56, 56), (32, 28, 28)]
        assert not skips[1][..., 55, :].any()
        assert not skips[1][..., 55].any()
        assert skips[1][..., :55, :55].any()

    def test_block_is_that_of_torch(self) -> None:
        torch.manual_seed(0)
        ours = TransformerBlock(8, 2, 12).eval()
        theirs = nn.TransformerEncoderLayer(8, 2, 12, activation="gelu", layer_norm_eps=1e-6, batch_first=True, norm_first=True).eval()
        pairs = {
            "self_attn.in_proj_": ours.attention.project,
            "self_attn.out_proj.": ours.attention.combine,
            "linear1.": ours.perceptron[0],
            "linear2.": ours.perceptron[3],
            "norm1.": ours.attention_norm,
            "norm2.": ours.perceptron_norm,
        }
        with torch.no_grad():
            for name, layer in pairs.items():
                for part in ("weight", "bias"):
                    theirs.get_parameter(name + part).copy_(layer.get_parameter(part))
        tokens = torch.randn(2, 5, 8)
        torch.testing.assert_close(ours(tokens), theirs(tokens))

    def test_positions_are_interpolated_for_other_slices(self) -> None:
        network = small("transunet").eval()
        with torch.no_grad():
            network.positions.fill_(0.5)
        assert network._positions_for(torch.zeros(1, 12, 3, 5)).shape == (1, 12, 3, 5)
        torch.testing.assert_close(network._positions_for(torch.zeros(1, 12, 3, 5)), torch.full((1, 12, 3, 5), 0.5))


class TestSwinUNet:
    def test_windows_are_put_together_as_they_were_cut(self) -> None:
        x = torch.arange(2 * 6 * 9 * 2).view(2, 6, 9, 2)
        windows = windows_of(x, 3)
        assert windows.shape == (2, 6, 9, 2)
        assert torch.equal(windows[0, 1].view(3, 3, 2), x[0, :3, 3:6])
        assert torch.equal(joined_windows(windows, (6, 9), 3), x)

    def test_rolling_by_a_whole_window_is_the_identity(self) -> None:
        torch.manual_seed(0)
        block, x = SwinBlock(4, 2, 0.0, window=3, shift=0).eval(), torch.randn(1, 6, 9, 4)
        rolled = block(x.roll((3, -3), (1, 2)))
        torch.testing.assert_close(rolled, block(x).roll((3, -3), (1, 2)))

    def test_mask_by_hand(self) -> None:
        """Four features in windows of two, rolled by one: 1 and 2 share a window, and 3 and 0 do, which must not see each other."""
        mask = shifted_window_mask((4, 2), window=2, shift=1)
        assert mask.shape == (2, 4, 4)
        assert mask[0].all()
        assert mask[1].tolist() == [[True, True, False, False]] * 2 + [[False, False, True, True]] * 2
        assert shifted_window_mask((4, 2), window=2, shift=0) is None

    @pytest.mark.parametrize("shape", [(8, 4), (7, 5), (9, 12), (5, 13)])
    @pytest.mark.parametrize("shift", [0, 2])
    def test_features_see_those_of_their_window_that_lie_beside_them(self, shape: tuple[int, int], shift: int) -> None:
        window = 4
        mask = shifted_window_mask(shape, window, shift)
        sizes = [length + -length % window for length in shape]
        rows, columns = (torch.arange(size).roll(-shift if length > window else 0) for size, length in zip(sizes, shape, strict=True))
        place = windows_of(torch.stack(torch.meshgrid(rows, columns, indexing="ij"), dim=-1)[None], window)[0]
        real = (place < torch.tensor(shape)).all(dim=-1)
        beside = ((place[:, :, None] - place[:, None]).abs() < window).all(dim=-1)
        expected = beside & real[:, :, None] & real[:, None, :]
        found = torch.ones_like(expected) if mask is None else mask
        assert torch.equal(found & real[:, :, None], expected)

    def test_what_fits_into_one_window_is_not_shifted(self) -> None:
        torch.manual_seed(0)
        plain, shifted = (SwinBlock(4, 1, 0.0, window=5, shift=shift).eval() for shift in (0, 2))
        shifted.load_state_dict(plain.state_dict())
        x = torch.randn(1, 5, 4, 4)
        torch.testing.assert_close(shifted(x), plain(x))
        larger = torch.randn(1, 10, 5, 4)
        assert not torch.allclose(shifted(larger), plain(larger), atol=1e-4)

    def test_merging_goes_down_the_column_first(self) -> None:
        merge = PatchMerging(1)
        merge.norm, merge.reduce = nn.Identity(), nn.Identity()
        assert merge(torch.arange(4.0).view(1, 2, 2, 1)).flatten().tolist() == [0, 2, 1, 3]

    def test_stochastic_depth_drops_whole_slices_and_keeps_the_mean(self) -> None:
        torch.manual_seed(0)
        kept = StochasticDepth(0.25).train()(torch.ones(4000, 2, 3))
        assert kept.unique().tolist() == pytest.approx([0, 4 / 3])
        assert (kept == kept[:, :1, :1]).all()
        assert float(kept.mean()) == pytest.approx(1, abs=0.05)


class TestParallelMERIT:
    def test_both_encoders_see_one_image_and_the_answer_is_the_sum_of_four_maps(self) -> None:
        network = small("parallel-merit").train()
        seen = []
        for encoder in network.encoders:
            encoder.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
        slices = torch.randn(2, 1, 40, 56)
        logits = network(slices)
        image = network.colour(slices)
        for found, edge in zip(seen, (96, 64), strict=True):
            torch.testing.assert_close(found, F.interpolate(image, size=(edge, edge), mode="bilinear", align_corners=False))
        assert len(network.output_maps) == 4
        torch.testing.assert_close(torch.stack(network.output_maps).sum(dim=0), logits)

    @pytest.mark.parametrize(("grid", "seen"), [(False, [0, 1, 4, 5]), (True, [0, 2, 8, 10])])
    def test_a_feature_sees_its_window_or_its_grid(self, grid: bool, seen: list[int]) -> None:
        torch.manual_seed(0)
        attention = PartitionAttention(8, 8, 2, 0.0, grid=grid).eval()
        for scale in (attention.attention_scale, attention.perceptron_scale):
            nn.init.ones_(scale.factor)
        maps = torch.randn(1, 8, 4, 4)
        changed = maps.clone()
        changed[..., 0, 0] += torch.randn(8)
        moved = (attention(changed) - attention(maps)).abs().amax(dim=1).flatten() > 1e-6
        assert moved.nonzero().flatten().tolist() == seen

    def test_units_start_as_their_shortcuts(self) -> None:
        torch.manual_seed(0)
        attention = PartitionAttention(8, 8, 2, 0.0, grid=False).eval()
        maps = torch.randn(1, 8, 4, 4)
        torch.testing.assert_close(attention(maps), maps, atol=1e-4, rtol=0)

    def test_unknown_convolution_is_refused(self) -> None:
        with pytest.raises(InputError, match="'dense'"):
            MaxViT(32, "dense", (4, 8))


class TestFCT:
    def test_maps_below_full_size_are_made_in_training_alone(self) -> None:
        network = small("fct").train()
        logits = network(torch.randn(2, 1, 16, 24))
        assert [tuple(one.shape) for one in network.output_maps] == [(2, 4, 16, 24), (2, 4, 8, 12)]
        assert network.output_maps[0] is logits
        assert [one is other for one, other in zip(network.auxiliary, network.output_maps[1:], strict=True)] == [True]
        network.auxiliary = []
        assert network.output_maps == []
        network.eval()(torch.randn(2, 1, 16, 24))
        assert network.output_maps == []

    def test_brightness_and_contrast_of_a_slice_reach_it_by_the_pyramid_alone(self) -> None:
        network = small("fct").eval()
        slices = torch.randn(1, 1, 16, 16)
        for block in network.down[1:]:
            if block.look is not None:
                nn.init.zeros_(block.look[0].weight)
        torch.testing.assert_close(network(3 * slices + 5), network(slices), atol=1e-3, rtol=1e-3)

    def test_norm_over_columns_ties_it_to_its_size(self) -> None:
        network = small("fct", column_norm=True, size=24)
        assert network.multiple == 24
        assert parameters(network) == parameters(small("fct")) + 2 * 24

    def test_patch_folds_the_slice(self) -> None:
        network = small("fct", patch=2).eval()
        assert network.multiple == 16
        assert network(torch.randn(1, 1, 32, 16)).shape == (1, 4, 32, 16)
