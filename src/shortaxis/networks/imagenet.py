"""Weights of ImageNet models for the encoders of comparison systems: their names in the files that others publish, and ours."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import torch
import torch.nn.functional as F

from shortaxis.errors import InputError
from shortaxis.networks.pretrained import read_weights

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from shortaxis.networks.parallel_merit import ParallelMERIT
    from shortaxis.networks.swin_unet import SwinUNet
    from shortaxis.networks.transunet import TransUNet

Rules = tuple[tuple[str, str], ...]

MAXVIT: Final = {
    "37e217ff": "MaxxViT-RMLP-small-256 of timm, ImageNet-1k",
    "6ef0ae4f": "MaxViT-RMLP-small-224 of timm, ImageNet-1k",
}
"""First digits of the SHA-256, which stand in the names of the files; in the order of the encoders of Parallel MERIT."""

_MAXVIT_RULES: Final[Rules] = (
    (r"^stem\.conv1\.", "stem.0."),
    (r"^stem\.norm1\.", "stem.1."),
    (r"^stem\.conv2\.", "stem.3."),
    (r"^stages\.(\d+)\.blocks\.(\d+)\.conv\.", r"stages.\1.\2.0."),
    (r"^stages\.(\d+)\.blocks\.(\d+)\.attn_block\.", r"stages.\1.\2.1."),
    (r"^stages\.(\d+)\.blocks\.(\d+)\.attn_grid\.", r"stages.\1.\2.2."),
    (r"\.shortcut\.expand\.", ".shortcut.1."),
    (r"\.0\.pre_norm\.", ".0.widen.0."),
    (r"\.0\.conv1_1x1\.", ".0.widen.1."),
    (r"\.0\.norm1\.", ".0.widen.2."),
    (r"\.conv2_kxk\.", ".convolve.0."),
    (r"\.0\.norm2\.", ".0.convolve.1."),
    (r"\.se\.fc1\.", ".excite.1."),
    (r"\.se\.fc2\.", ".excite.3."),
    (r"\.conv3_1x1\.", ".reduce."),
    (r"\.conv_dw\.", ".convolve."),
    (r"\.ls\.gamma$", ".scale.factor"),
    (r"\.attn\.rel_pos\.mlp\.fc1\.", ".position.layers.0."),
    (r"\.attn\.rel_pos\.mlp\.fc2\.", ".position.layers.2."),
    (r"\.ls1\.gamma$", ".attention_scale.factor"),
    (r"\.ls2\.gamma$", ".perceptron_scale.factor"),
)
_BLOCK_RULES: Final[Rules] = (
    (r"\.norm1\.", ".attention_norm."),
    (r"\.norm2\.", ".perceptron_norm."),
    (r"\.attn\.relative_position_bias_table$", ".position.table"),
    (r"\.attn\.qkv\.", ".attention.project."),
    (r"\.attn\.proj\.", ".attention.combine."),
    (r"\.mlp\.fc1\.", ".perceptron.0."),
    (r"\.mlp\.fc2\.", ".perceptron.3."),
)
_SWIN_RULES: Final[Rules] = (
    (r"^patch_embed\.proj\.", "embed."),
    (r"^patch_embed\.norm\.", "embed_norm."),
    (r"^layers\.(\d+)\.blocks\.(\d+)\.", r"down.\1.\2."),
    (r"^layers\.(\d+)\.downsample\.norm\.", r"merge.\1.norm."),
    (r"^layers\.(\d+)\.downsample\.reduction\.", r"merge.\1.reduce."),
)
_VIT_RULES: Final[Rules] = (
    (r"/kernel$|/scale$", ".weight"),
    (r"/bias$", ".bias"),
    (r"^conv_root\.", "encoder.stem."),
    (r"^gn_root\.", "encoder.stem_norm."),
    (r"^embedding\.", "embed."),
    (r"^Transformer/encoder_norm\.", "norm."),
    (r"^Transformer/encoderblock_(\d+)/", r"blocks.\1."),
    (r"\.LayerNorm_0\.", ".attention_norm."),
    (r"\.LayerNorm_2\.", ".perceptron_norm."),
    (r"\.MultiHeadDotProductAttention_1/out\.", ".attention.combine."),
    (r"\.MultiHeadDotProductAttention_1/(query|key|value)\.", r".attention.\1."),
    (r"\.MlpBlock_3/Dense_0\.", ".perceptron.0."),
    (r"\.MlpBlock_3/Dense_1\.", ".perceptron.3."),
    (r"/conv_proj\.", ".shortcut.0."),
    (r"/gn_proj\.", ".shortcut.1."),
    (r"/conv1\.", ".reduce."),
    (r"/gn1\.", ".reduce_norm."),
    (r"/conv2\.", ".convolve."),
    (r"/gn2\.", ".convolve_norm."),
    (r"/conv3\.", ".widen."),
    (r"/gn3\.", ".widen_norm."),
)
_POSITIONS: Final = "Transformer/posembed_input/pos_embedding"


def load_maxvit(network: ParallelMERIT, folder: Path | str) -> str:
    """Take over the weights of both encoders from the files of timm.

    Args:
        network: Of the published sizes.
        folder: Holds both files, as `.pth` or `.safetensors`; the SHA-256 of each must begin as one in `MAXVIT`.

    Returns:
        What the weights are, in words.

    Raises:
        InputError: The folder does not hold the two files, or one is damaged or does not fit.
    """
    folder = Path(folder)
    files = sorted(path for path in folder.glob("*") if path.suffix in {".pth", ".safetensors"}) if folder.is_dir() else []
    if len(files) != len(MAXVIT):
        msg = (
            f"{folder}: give the folder that holds the two files of MaxxViT and MaxViT, and nothing else that ends in .pth or .safetensors"
        )
        raise InputError(msg)
    read = {title: (path, weights) for path in files for weights, title in [read_weights(path, MAXVIT)]}
    for title, encoder in zip(MAXVIT.values(), network.encoders, strict=True):
        if title not in read:
            msg = f"{folder}: lacks the file of {title}; put it beside the other one"
            raise InputError(msg)
        path, weights = read[title]
        load_all(encoder, maxvit_weights(weights), path)
    return " and ".join(MAXVIT.values())


def maxvit_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the weights of a timm MaxViT to those of `MaxViT`; its projections go head by head there, and all queries first here."""
    kept = {name: value for name, value in weights.items() if name.startswith(("stem.", "stages.")) and "rel_coords" not in name}
    named = renamed(kept, _MAXVIT_RULES + _BLOCK_RULES)
    heads = {name.removesuffix("position.layers.2.bias"): len(value) for name, value in named.items() if name.endswith("layers.2.bias")}
    result = {}
    for name, value in named.items():
        block, projection, _ = name.rpartition("attention.project.")
        by_head = value.unflatten(0, (heads[block], 3, -1)).transpose(0, 1).flatten(0, 2) if projection else value  # type: ignore[no-untyped-call]
        # The perceptrons of ConvNeXt are 1x1 convolutions there.
        result[name] = by_head[..., 0, 0] if ".perceptron." in name and value.ndim == 4 else by_head
    return result


def load_swin(network: SwinUNet, path: Path | str) -> str:
    """Take over the weights of Swin-T: into the encoder, and mirrored into the blocks of the decoder, as published.

    Of the six blocks of its third stage the first two are taken.

    Args:
        network: Of the published size.
        path: A `.pth` or `.safetensors` file with the names of Swin's authors. No checksum is listed; the result holds that of the file.

    Raises:
        InputError: The file is missing or damaged, or does not fit.
    """
    weights, title = read_weights(path, None)
    named = renamed(
        {name: value for name, value in weights.items() if not re.search(r"^head\.|attn_mask$|_index$", name)}, _SWIN_RULES + _BLOCK_RULES
    )
    depths = [len(list(stage.children())) for stage in network.down]
    named = {name: value for name, value in named.items() if not (found := _BLOCK.match(name)) or int(found[2]) < depths[int(found[1])]}
    last = len(depths) - 2
    mirrored = {
        f"up.{last - int(found[1])}.{found[2]}.{found[3]}": value
        for name, value in named.items()
        if (found := _BLOCK.match(name)) and int(found[1]) <= last
    }
    load_all(network, named | mirrored, path, rest=("expand.", "join.", "up_norm.", "unfold.", "head."))
    return title


_BLOCK: Final = re.compile(r"^down\.(\d+)\.(\d+)\.(.*)$")


def load_vit(network: TransUNet, path: Path | str) -> str:
    """Take over the weights of R50+ViT-B/16 into the ResNet and the transformer.

    Args:
        network: Of the published size; positions are interpolated to its slices.
        path: The `.npz` file with the names of ViT's authors. No checksum is listed; the result holds that of the file.

    Raises:
        InputError: The file is missing or damaged, or does not fit.
    """
    weights, title = read_weights(path, None)
    load_all(network, vit_weights(weights, network.positions.shape[-2:]), path, rest=("widen.", "up.", "head."))
    return title


def vit_weights(weights: Mapping[str, Tensor], grid: Sequence[int]) -> dict[str, Tensor]:
    """Rename and reshape the weights of R50+ViT-B/16 for `TransUNet`; `grid` is (rows, columns) of its positions."""
    kept = {
        name: value for name, value in weights.items() if not name.startswith(("head/", "pre_logits/")) and name not in {_POSITIONS, "cls"}
    }
    kept = {
        re.sub(r"^block(\d+)/unit(\d+)", lambda found: f"encoder.stages.{int(found[1]) - 1}.{int(found[2]) - 1}", name): value
        for name, value in kept.items()
    }
    named = {name: _as_torch(name, value) for name, value in renamed(kept, _VIT_RULES).items()}
    result = {}
    for name, value in named.items():
        if ".attention.query." in name:
            parts = [named[name.replace("query", part)] for part in ("query", "key", "value") if name.replace("query", part) in named]
            result[name.replace("query", "project")] = torch.cat(parts)
        elif not re.search(r"\.attention\.(key|value)\.", name):
            result[name] = value
    if _POSITIONS in weights:
        result["positions"] = _positions(weights[_POSITIONS], grid)
    return result


def _as_torch(name: str, value: Tensor) -> Tensor:
    """A kernel (H, W, I, O), (I, O), (I, heads, size) or (heads, size, O), or a vector of any shape, as torch lays it out."""
    if not name.endswith(".weight") or "norm" in name or "shortcut.1" in name:
        return value.flatten()
    if value.ndim == 4:
        return value.permute(3, 2, 0, 1)
    return (value.flatten(0, 1) if ".combine." in name else value.flatten(1)).T if value.ndim == 3 else value.T


def _positions(embedding: Tensor, grid: Sequence[int]) -> Tensor:
    """Positions (1, 1 + N, C), the class token's first, as (1, C, rows, columns)."""
    edge = round((embedding.shape[1] - 1) ** 0.5)
    square = embedding[:, 1:].transpose(1, 2).reshape(1, embedding.shape[2], edge, edge)
    return square if (edge, edge) == tuple(grid) else F.interpolate(square, size=tuple(grid), mode="bicubic", align_corners=False)


def renamed(weights: Mapping[str, Tensor], rules: Rules) -> dict[str, Tensor]:
    """Apply all rules, each a pattern and what stands in its place, to every name in turn."""
    result = {}
    for name, value in weights.items():
        ours = name
        for pattern, replacement in rules:
            ours = re.sub(pattern, replacement, ours)
        result[ours] = value
    return result


def load_all(module: nn.Module, weights: Mapping[str, Tensor], path: Path | str, *, rest: tuple[str, ...] = ()) -> None:
    """Load weights into a module.

    Args:
        module: Every tensor of it must be among the weights, in its shape, except counters of batches and what `rest` names.
        weights: By the module's names; there must be none besides.
        path: What errors name.
        rest: How the names of layers begin that stay as they are.

    Raises:
        InputError: A tensor is missing, surplus or of another shape.
    """
    own = module.state_dict()
    due = {name for name in own if not name.startswith(rest or ("?",)) and not name.endswith("num_batches_tracked")}
    given = {name for name in weights if not name.endswith("num_batches_tracked")}
    misfit = sorted(name for name in due | given if name not in due or name not in given or own[name].shape != weights[name].shape)
    if misfit:
        msg = f"{path}: its weights do not fit the network (first at '{misfit[0]}', {len(misfit)} in all); use its published size and file"
        raise InputError(msg)
    module.load_state_dict({name: weights[name] for name in due}, strict=False)
