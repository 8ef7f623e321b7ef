"""Published weights of encoders, from files made here with the names and layouts of those that others publish."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from shortaxis.errors import InputError
from shortaxis.networks import ParallelMERIT, SwinUNet, TransUNet
from shortaxis.networks.imagenet import maxvit_weights

SWIN_BLOCK = {
    "norm1.weight": "attention_norm.weight",
    "norm1.bias": "attention_norm.bias",
    "attn.relative_position_bias_table": "position.table",
    "attn.qkv.weight": "attention.project.weight",
    "attn.qkv.bias": "attention.project.bias",
    "attn.proj.weight": "attention.combine.weight",
    "attn.proj.bias": "attention.combine.bias",
    "norm2.weight": "perceptron_norm.weight",
    "norm2.bias": "perceptron_norm.bias",
    "mlp.fc1.weight": "perceptron.0.weight",
    "mlp.fc1.bias": "perceptron.0.bias",
    "mlp.fc2.weight": "perceptron.3.weight",
    "mlp.fc2.bias": "perceptron.3.bias",
}


def swin() -> SwinUNet:
    return SwinUNet(4, depths=(2, 2), heads=(1, 2), window=2)


def swin_file(network: SwinUNet) -> dict[str, torch.Tensor]:
    """A file of Swin for this encoder, with one block more in its last stage."""
    own = network.state_dict()
    names = {
        "patch_embed.proj.weight": "embed.weight",
        "patch_embed.proj.bias": "embed.bias",
        "patch_embed.norm.weight": "embed_norm.weight",
        "patch_embed.norm.bias": "embed_norm.bias",
        "layers.0.downsample.norm.weight": "merge.0.norm.weight",
        "layers.0.downsample.norm.bias": "merge.0.norm.bias",
        "layers.0.downsample.reduction.weight": "merge.0.reduce.weight",
        "norm.weight": "norm.weight",
        "norm.bias": "norm.bias",
    }
    for stage, block, of in ((0, 0, 0), (0, 1, 1), (1, 0, 0), (1, 1, 1), (1, 2, 0)):
        names |= {f"layers.{stage}.blocks.{block}.{a}": f"down.{stage}.{of}.{b}" for a, b in SWIN_BLOCK.items()}
    weights = {name: torch.randn_like(own[of]) for name, of in names.items()}
    return weights | {"head.weight": torch.zeros(5, 8), "layers.0.blocks.1.attn_mask": torch.zeros(1)}


def test_swin_goes_into_the_encoder_and_mirrored_into_the_decoder(tmp_path) -> None:
    network, path = swin(), tmp_path / "swin.safetensors"
    weights = swin_file(network)
    save_file(weights, path)
    head = network.head.weight.clone()
    said = network.load_pretrained(path)
    assert "swin.safetensors" in said
    assert "SHA-256" in said
    for stage, block in ((0, 0), (0, 1), (1, 0), (1, 1)):
        for theirs, ours in SWIN_BLOCK.items():
            assert torch.equal(network.down[stage][block].state_dict()[ours], weights[f"layers.{stage}.blocks.{block}.{theirs}"])
    assert torch.equal(network.up[0][1].attention.project.weight, weights["layers.0.blocks.1.attn.qkv.weight"])
    assert torch.equal(network.merge[0].reduce.weight, weights["layers.0.downsample.reduction.weight"])
    assert torch.equal(network.head.weight, head)


@pytest.mark.parametrize("fault", ["lacking", "surplus", "shape"])
def test_a_file_that_does_not_fit_is_refused_by_the_name_of_the_tensor(tmp_path, fault: str) -> None:
    network, path = swin(), tmp_path / "swin.pth"
    weights = swin_file(network)
    if fault == "lacking":
        del weights["norm.bias"]
    elif fault == "surplus":
        weights["layers.9.extra"] = torch.zeros(1)
    else:
        weights["norm.bias"] = torch.zeros(3)
    torch.save({"model": weights}, path)
    with pytest.raises(InputError, match=r"swin\.pth.*(norm\.bias|layers\.9\.extra)"):
        network.load_pretrained(path)


@pytest.mark.parametrize("content", [b"", b"no weights", None])
def test_a_missing_or_damaged_file_is_refused(tmp_path, content: bytes | None) -> None:
    for suffix in ("pth", "npz", "safetensors"):
        path = tmp_path / f"weights.{suffix}"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(InputError, match=f"weights.{suffix}"):
            swin().load_pretrained(path)


class TestTransUNet:
    WIDTH, HEADS, SIZE = 6, 2, 3

    @pytest.fixture
    def arrays(self) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(0)
        shapes: dict[str, tuple[int, ...]] = {"conv_root/kernel": (7, 7, 3, 4), "gn_root/scale": (1, 1, 1, 4), "gn_root/bias": (1, 1, 1, 4)}
        for stage, (a, b) in enumerate(((4, 16), (16, 32), (32, 64)), start=1):
            unit = f"block{stage}/unit1"
            for name, kernel in (
                ("1", (1, 1, a, b // 4)),
                ("2", (3, 3, b // 4, b // 4)),
                ("3", (1, 1, b // 4, b)),
                ("_proj", (1, 1, a, b)),
            ):
                shapes[f"{unit}/conv{name}/kernel"] = kernel
                shapes |= {f"{unit}/gn{name}/{part}": (kernel[-1],) for part in ("scale", "bias")}
        shapes |= {"embedding/kernel": (1, 1, 64, 6), "embedding/bias": (6,), "cls": (1, 1, 6), "head/kernel": (6, 9), "head/bias": (9,)}
        shapes["Transformer/posembed_input/pos_embedding"] = (1, 1 + 4, 6)
        block = "Transformer/encoderblock_0"
        for part in ("query", "key", "value"):
            shapes |= {
                f"{block}/MultiHeadDotProductAttention_1/{part}/kernel": (6, 2, 3),
                f"{block}/MultiHeadDotProductAttention_1/{part}/bias": (2, 3),
            }
        shapes |= {
            f"{block}/MultiHeadDotProductAttention_1/out/kernel": (2, 3, 6),
            f"{block}/MultiHeadDotProductAttention_1/out/bias": (6,),
        }
        shapes |= {f"{block}/MlpBlock_3/Dense_0/kernel": (6, 10), f"{block}/MlpBlock_3/Dense_0/bias": (10,)}
        shapes |= {f"{block}/MlpBlock_3/Dense_1/kernel": (10, 6), f"{block}/MlpBlock_3/Dense_1/bias": (6,)}
        for norm in (f"{block}/LayerNorm_0", f"{block}/LayerNorm_2", "Transformer/encoder_norm"):
            shapes |= {f"{norm}/scale": (6,), f"{norm}/bias": (6,)}
        return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}

    def test_kernels_act_as_they_did(self, tmp_path, arrays) -> None:
        path = tmp_path / "vit.npz"
        np.savez(path, **arrays)
        network = TransUNet(32, stem=4, units=(1, 1, 1), width=6, depth=1, heads=2, hidden=10, decoder=(8, 8, 4, 4))
        assert "vit.npz" in network.load_pretrained(path)
        theirs = {name.removeprefix("Transformer/encoderblock_0/"): torch.from_numpy(value) for name, value in arrays.items()}
        attention, tokens = network.blocks[0].attention, torch.randn(5, 6)
        projected = attention.project(tokens).unflatten(1, (3, 2, 3))
        for index, part in enumerate(("query", "key", "value")):
            kernel, bias = (theirs[f"MultiHeadDotProductAttention_1/{part}/{kind}"] for kind in ("kernel", "bias"))
            torch.testing.assert_close(projected[:, index], torch.einsum("nc,chd->nhd", tokens, kernel) + bias)
        heads = torch.randn(5, 2, 3)
        kernel, bias = (theirs[f"MultiHeadDotProductAttention_1/out/{kind}"] for kind in ("kernel", "bias"))
        torch.testing.assert_close(attention.combine(heads.flatten(1)), torch.einsum("nhd,hdc->nc", heads, kernel) + bias)
        dense = tokens @ theirs["MlpBlock_3/Dense_0/kernel"] + theirs["MlpBlock_3/Dense_0/bias"]
        torch.testing.assert_close(network.blocks[0].perceptron[0](tokens), dense)
        image = torch.randn(1, 5, 5, 64)
        embedded = torch.einsum("bhwc,co->bohw", image, theirs["embedding/kernel"][0, 0]) + theirs["embedding/bias"][:, None, None]
        torch.testing.assert_close(network.embed(image.movedim(-1, 1)), embedded)
        kernel = theirs["block2/unit1/conv2/kernel"]
        assert torch.equal(network.encoder.stages[1][0].convolve.weight[3, 1], kernel[:, :, 1, 3])
        assert torch.equal(network.encoder.stages[1][0].shortcut[1].weight, theirs["block2/unit1/gn_proj/scale"])
        positions = theirs["Transformer/posembed_input/pos_embedding"]
        assert torch.equal(network.positions[0, :, 1, 0], positions[0, 1 + 2])

    def test_positions_of_another_size_are_interpolated(self, tmp_path, arrays) -> None:
        np.savez(tmp_path / "vit.npz", **arrays)
        network = TransUNet(64, stem=4, units=(1, 1, 1), width=6, depth=1, heads=2, hidden=10, decoder=(8, 8, 4, 4))
        network.load_pretrained(tmp_path / "vit.npz")
        square = torch.from_numpy(arrays["Transformer/posembed_input/pos_embedding"])[0, 1:].T.reshape(1, 6, 2, 2)
        torch.testing.assert_close(network.positions, F.interpolate(square, size=(4, 4), mode="bicubic", align_corners=False))


class TestMaxViT:
    def test_projections_that_stand_head_by_head_are_brought_into_the_order_of_queries_keys_and_values(self) -> None:
        block = "stages.0.blocks.1.attn_grid.attn"
        weights = {
            f"{block}.qkv.weight": torch.arange(12.0)[:, None].expand(12, 4),  # two heads of two channels
            f"{block}.rel_pos.mlp.fc2.bias": torch.zeros(2),
            "stages.0.blocks.1.conv.mlp.fc1.weight": torch.zeros(8, 4, 1, 1),
            "head.fc.weight": torch.zeros(1),
        }
        found = maxvit_weights(weights)
        assert found["stages.0.1.2.attention.project.weight"][:, 0].tolist() == [0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11]
        assert found["stages.0.1.0.perceptron.0.weight"].shape == (8, 4)
        assert not any(name.startswith("head") for name in found)

    def test_a_file_of_unknown_checksum_and_a_folder_without_two_files_are_refused(self, tmp_path) -> None:
        with torch.device("meta"):
            network = ParallelMERIT()
        with pytest.raises(InputError, match="two files"):
            network.load_pretrained(tmp_path)
        for name in ("a.safetensors", "b.safetensors"):
            save_file({"stem.conv1.weight": torch.zeros(1)}, tmp_path / name)
        with pytest.raises(InputError, match="6ef0ae4f"):
            network.load_pretrained(tmp_path)

    @pytest.mark.parametrize(
        ("name", "index"),
        [pytest.param("maxxvit_rmlp_small_rw_256", 0, id="convnext"), pytest.param("maxvit_rmlp_small_rw_224", 1, id="mbconv")],
    )
    @pytest.mark.slow
    def test_features_are_those_of_timm(self, name: str, index: int) -> None:
        timm = pytest.importorskip("timm", exc_type=Exception)
        torch.manual_seed(0)
        theirs, ours = timm.create_model(name).eval(), ParallelMERIT().encoders[index].eval()
        for value in theirs.state_dict().values():
            if value.is_floating_point():
                value.normal_(std=0.05).abs_()
        ours.load_state_dict(maxvit_weights(theirs.state_dict()), strict=False)
        image = torch.randn(1, 3, *(2 * [int(name[-3:])]))
        with torch.no_grad():
            x, features = theirs.stem(image), ours(image)
            for stage, found in zip(theirs.stages, features, strict=True):
                x = stage(x)
                torch.testing.assert_close(found, x, atol=1e-4, rtol=1e-4)
