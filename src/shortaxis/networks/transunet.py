"""TransUNet (Chen et al., 2021): a ResNet-50 whose last features pass through a vision transformer, and a UNet-like decoder."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shortaxis.errors import InputError
from shortaxis.labels import N_CLASSES
from shortaxis.networks.attention import Attention, Perceptron, start_as_transformer
from shortaxis.networks.imagenet import load_vit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_COLOURS: Final = 3
_STRIDE: Final = 16
"""Pixels of the slice along the edge of one token."""
_GROUPS: Final = 32
_SMALLEST_VARIANCE: Final = 1e-5


class TransUNet(nn.Module):
    """The variant R50-ViT-B/16: convolutions to stride 16, twelve transformer blocks there, four decoder levels with three skips.

    Args:
        size: Edge of the slices that positions are learned for; for others they are interpolated.
        classes: Number of output channels.
        dropout: Probability of dropping a value of the tokens and inside the perceptrons.
        stem: Channels of the first convolution; the three stages of the ResNet have 4, 8 and 16 times as many.
        units: Bottleneck units of each stage of the ResNet.
        width: Channels of a token.
        depth: Transformer blocks.
        heads: Heads of each block.
        hidden: Channels inside the perceptrons.
        decoder: Channels of the four decoder levels; the convolution before them has twice those of the first.

    Raises:
        InputError: `size` is no multiple of 16, `heads` does not divide `width`, or a list has not the length that is due.
    """

    def __init__(
        self,
        size: int = 224,
        *,
        classes: int = N_CLASSES,
        dropout: float = 0.1,
        stem: int = 64,
        units: Sequence[int] = (3, 4, 9),
        width: int = 768,
        depth: int = 12,
        heads: int = 12,
        hidden: int = 3072,
        decoder: Sequence[int] = (256, 128, 64, 16),
    ) -> None:
        super().__init__()
        _check(size, stem, units, width, heads, decoder)
        self.multiple = _STRIDE
        self.encoder = HybridResNet(stem, units)
        self.embed = nn.Conv2d(16 * stem, width, kernel_size=1)
        self.positions = nn.Parameter(torch.empty(1, width, size // _STRIDE, size // _STRIDE))
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.Sequential(*(TransformerBlock(width, heads, hidden, dropout) for _ in range(depth)))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.widen = _convolution(width, 2 * decoder[0])
        skips = (8 * stem, 4 * stem, stem, 0)
        self.up = nn.ModuleList(
            nn.Sequential(_convolution(a + skip, b), _convolution(b, b))
            for (a, b), skip in zip(pairwise([2 * decoder[0], *decoder]), skips, strict=True)
        )
        self.head = nn.Conv2d(decoder[-1], classes, 3, padding=1)
        start_as_transformer(self.blocks)
        nn.init.trunc_normal_(self.positions, std=0.02)

    def load_pretrained(self, path: Path | str) -> str:
        """Take over the weights of R50+ViT-B/16 (ImageNet-21k); see `imagenet.load_vit`."""
        return load_vit(self, path)

    def forward(self, slices: Tensor) -> Tensor:
        """Turn slices (B, 1, H, W) into logits (B, C, H, W); H and W are multiples of 16."""
        features, skips = self.encoder(slices.expand(-1, _COLOURS, -1, -1))
        x = self.embed(features)
        x = x + self._positions_for(x)
        shape = x.shape[-2:]
        tokens = self.norm(self.blocks(self.dropout(x.flatten(2).transpose(1, 2))))
        x = self.widen(tokens.transpose(1, 2).unflatten(2, shape))
        for block, skip in zip(self.up, (*reversed(skips), None), strict=True):
            x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=True)
            x = block(x if skip is None else torch.cat([x, skip], dim=1))
        logits: Tensor = self.head(x)
        return logits

    def _positions_for(self, x: Tensor) -> Tensor:
        if x.shape[-2:] == self.positions.shape[-2:]:
            return self.positions
        return F.interpolate(self.positions, size=x.shape[-2:], mode="bicubic", align_corners=False)


class TransformerBlock(nn.Module):
    """Attention and a perceptron, each behind a layer normalisation and beside a shortcut (pre-norm).

    Args:
        width: Channels of a token.
        heads: Number of heads.
        hidden: Channels inside the perceptron.
        dropout: Inside the perceptron.
    """

    def __init__(self, width: int, heads: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width, eps=1e-6)
        self.attention = Attention(width, heads)
        self.perceptron_norm = nn.LayerNorm(width, eps=1e-6)
        self.perceptron = Perceptron(width, hidden, dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """Turn tokens (B, N, C) into others of the same shape."""
        tokens = tokens + self.attention(self.attention_norm(tokens))
        features: Tensor = tokens + self.perceptron(self.perceptron_norm(tokens))
        return features


class HybridResNet(nn.Module):
    """The first three stages of a ResNet-50 with weight-standardised convolutions and group normalisation (Kolesnikov et al., 2020).

    Args:
        stem: Channels of the first convolution.
        units: Bottleneck units of each stage.
    """

    def __init__(self, stem: int, units: Sequence[int]) -> None:
        super().__init__()
        self.stem = StandardisedConv2d(_COLOURS, stem, 7, stride=2, padding=3, bias=False)
        self.stem_norm = _groups(stem)
        widths = [stem, *(4 * stem * 2**stage for stage in range(len(units)))]
        self.stages = nn.ModuleList(
            nn.Sequential(Bottleneck(a, b, stride=1 if index == 0 else 2), *(Bottleneck(b, b, stride=1) for _ in range(count - 1)))
            for index, ((a, b), count) in enumerate(zip(pairwise(widths), units, strict=True))
        )

    def forward(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Turn images (B, 3, H, W) into features at stride 16, and those at strides 2, 4 and 8, finest first."""
        x = F.relu(self.stem_norm(self.stem(images)))
        skips = [x]
        # Without padding, as published: the map is one pixel short of stride 4, and the second skip is filled up with zeros.
        x = F.max_pool2d(x, 3, stride=2)
        for stage in self.stages:
            x = stage(x)
            height, width = (length // 2 for length in skips[-1].shape[-2:])
            skips.append(F.pad(x, (0, width - x.shape[-1], 0, height - x.shape[-2])))
        return x, skips[:-1]


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolution, each with its normalisation, beside a shortcut.

    Args:
        inputs: Channels that come in.
        outputs: Channels that go out; a quarter of them between.
        stride: Of the 3x3 convolution.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        middle = outputs // 4
        self.reduce = StandardisedConv2d(inputs, middle, 1, bias=False)
        self.reduce_norm = _groups(middle)
        self.convolve = StandardisedConv2d(middle, middle, 3, stride=stride, padding=1, bias=False)
        self.convolve_norm = _groups(middle)
        self.widen = StandardisedConv2d(middle, outputs, 1, bias=False)
        self.widen_norm = _groups(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                StandardisedConv2d(inputs, outputs, 1, stride=stride, bias=False), nn.GroupNorm(outputs, outputs, eps=1e-5)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Turn features (B, inputs, H, W) into (B, outputs, H / stride, W / stride)."""
        y = F.relu(self.reduce_norm(self.reduce(x)))
        y = F.relu(self.convolve_norm(self.convolve(y)))
        features: Tensor = F.relu(self.shortcut(x) + self.widen_norm(self.widen(y)))
        return features


class StandardisedConv2d(nn.Conv2d):
    """A convolution whose kernels are brought to mean 0 and variance 1, each for itself, at every use (Qiao et al., 2019)."""

    def forward(self, x: Tensor) -> Tensor:
        """Convolve."""
        mean = self.weight.mean(dim=(1, 2, 3), keepdim=True)
        variance = self.weight.var(dim=(1, 2, 3), keepdim=True, unbiased=False)
        convolved: Tensor = self._conv_forward(x, (self.weight - mean) / (variance + _SMALLEST_VARIANCE).sqrt(), self.bias)
        return convolved


def _groups(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(min(_GROUPS, channels), channels, eps=1e-6)


def _convolution(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def _check(size: int, stem: int, units: Sequence[int], width: int, heads: int, decoder: Sequence[int]) -> None:
    if size < _STRIDE or size % _STRIDE:
        msg = f"TransUNet: size must be a multiple of {_STRIDE} pixels, not {size}"
        raise InputError(msg)
    if len(units) != 3 or min(units) < 1 or len(decoder) != 4 or min(decoder) < 1:
        msg = f"TransUNet: units {list(units)} must be three counts and decoder {list(decoder)} four widths, all at least 1"
        raise InputError(msg)
    if heads < 1 or width % heads:
        msg = f"TransUNet: {heads} heads do not divide the {width} channels of a token"
        raise InputError(msg)
    if stem < 4 or stem & (stem - 1):
        msg = f"TransUNet: stem must be a power of two from 4 on, so that {_GROUPS} groups divide every width, not {stem}"
        raise InputError(msg)
