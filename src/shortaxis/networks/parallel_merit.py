"""Parallel MERIT (Rahman and Marculescu, MIDL 2023): two MaxViT encoders at two sizes of the slice, and one decoder for both."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shortaxis.errors import InputError
from shortaxis.labels import N_CLASSES
from shortaxis.networks.imagenet import load_maxvit
from shortaxis.networks.maxvit import MaxViT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_RATIO: Final = 16
"""How much narrower the channel attention is inside."""


class ParallelMERIT(nn.Module):
    """The small additive variant: MaxxViT at the first size, MaxViT at the second, and the decoder of CASCADE.

    Slices of any size are taken: each encoder sees them resized to its own.

    Args:
        sizes: Edges of the slices in the two encoders, multiples of 32.
        classes: Number of output channels.
        dropout: Probability of stochastic depth in the encoders; 0 as published.
        stems: Channels of the two convolutions of each encoder's stem.
        widths: Channels of the four stages of both encoders.
        depths: Units of the four stages.
        head_size: Channels of a head.

    Raises:
        InputError: There are not two sizes and two stems, the last two widths and stages of an encoder do not fit (see `MaxViT`), or a
            width is below 16.
    """

    multiple: Final = 1

    def __init__(
        self,
        sizes: Sequence[int] = (256, 224),
        *,
        classes: int = N_CLASSES,
        dropout: float = 0.0,
        stems: Sequence[Sequence[int]] = ((48, 96), (32, 64)),
        widths: Sequence[int] = (96, 192, 384, 768),
        depths: Sequence[int] = (2, 2, 5, 2),
        head_size: int = 32,
    ) -> None:
        super().__init__()
        if len(sizes) != 2 or len(stems) != 2 or min(widths) < _RATIO:
            msg = (
                f"Parallel MERIT: sizes {list(sizes)} and stems {list(stems)} must be two each, and widths {list(widths)} at least {_RATIO}"
            )
            raise InputError(msg)
        self.sizes = tuple(sizes)
        self.colour = nn.Sequential(nn.Conv2d(1, 3, kernel_size=1), nn.BatchNorm2d(3), nn.ReLU())
        self.encoders = nn.ModuleList(
            MaxViT(size, convolution, stem, widths=widths, depths=depths, head_size=head_size, dropout=dropout)
            for size, convolution, stem in zip(sizes, ("convnext", "mbconv"), stems, strict=True)
        )
        self.decoder = CascadeDecoder(widths)
        self.heads = nn.ModuleList(nn.Conv2d(width, classes, kernel_size=1) for width in reversed(widths))
        self.output_maps: list[Tensor] = []
        """The four maps (B, C, H, W) of the last slices seen in training, coarsest first; a loss empties it."""

    def load_pretrained(self, folder: Path | str) -> str:
        """Take over the weights of both encoders (ImageNet-1k); see `imagenet.load_maxvit`."""
        return load_maxvit(self, folder)

    def forward(self, slices: Tensor) -> Tensor:
        """Turn slices (B, 1, H, W) into logits (B, C, H, W), the sum of four maps."""
        image = self.colour(slices)
        size = self.sizes[0]
        maps = [
            _resized(first, size) + _resized(second, size)
            for first, second in zip(*(self._branch(index, image) for index in (0, 1)), strict=True)
        ]
        shape = tuple(slices.shape[-2:])
        if shape != (size, size):
            maps = [F.interpolate(one, size=shape, mode="bilinear", align_corners=False) for one in maps]
        self.output_maps = maps if self.training else []
        return torch.stack(maps).sum(dim=0)

    def _branch(self, index: int, image: Tensor) -> list[Tensor]:
        """The maps of one encoder, coarsest first, each at the size of its level."""
        levels = self.decoder(self.encoders[index](_resized(image, self.sizes[index])))
        return [head(features) for head, features in zip(self.heads, levels, strict=True)]


class CascadeDecoder(nn.Module):
    """The additive decoder of CASCADE (Rahman and Marculescu, WACV 2023).

    Args:
        widths: Channels of the features, finest first.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        coarse_first = list(reversed(widths))
        inner = [*coarse_first[2:], widths[0] // 2]
        self.enter = nn.Conv2d(widths[-1], widths[-1], kernel_size=1)
        self.enlarge = nn.ModuleList(
            nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), _convolution(a, b)) for a, b in pairwise(coarse_first)
        )
        self.gates = nn.ModuleList(AttentionGate(width, middle) for width, middle in zip(coarse_first[1:], inner, strict=True))
        self.channels = nn.ModuleList(ChannelAttention(width) for width in coarse_first)
        self.pixels = SpatialAttention()
        self.blocks = nn.ModuleList(nn.Sequential(_convolution(width, width), _convolution(width, width)) for width in coarse_first)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Turn the features of an encoder, finest first, into those of each level, coarsest first and of the same shapes."""
        x = self._refined(0, self.enter(features[-1]))
        levels = [x]
        for level, (enlarge, gate, skip) in enumerate(zip(self.enlarge, self.gates, reversed(features[:-1]), strict=True), start=1):
            x = enlarge(x)
            x = self._refined(level, x + gate(x, skip))
            levels.append(x)
        return levels

    def _refined(self, level: int, x: Tensor) -> Tensor:
        refined: Tensor = self.blocks[level](self.pixels(self.channels[level](x)))
        return refined


class ChannelAttention(nn.Module):
    """Weighs channels by what the mean and the maximum of each say (Woo et al., ECCV 2018).

    Args:
        channels: Of the features.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels // _RATIO, 1, bias=False), nn.ReLU(), nn.Conv2d(channels // _RATIO, channels, 1, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Weigh features (B, C, H, W)."""
        pooled = self.layers(x.mean(dim=(2, 3), keepdim=True)) + self.layers(x.amax(dim=(2, 3), keepdim=True))
        return x * torch.sigmoid(pooled)


class SpatialAttention(nn.Module):
    """Weighs pixels by what the mean and the maximum over channels say around them (Woo et al., ECCV 2018)."""

    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Weigh features (B, C, H, W)."""
        seen = torch.cat([x.mean(dim=1, keepdim=True), x.amax(dim=1, keepdim=True)], dim=1)
        return x * torch.sigmoid(self.look(seen))


class AttentionGate(nn.Module):
    """Weighs the pixels of a skip by what the decoder has found (Oktay et al., MIDL 2018).

    Args:
        channels: Of both features.
        middle: Channels inside.
    """

    def __init__(self, channels: int, middle: int) -> None:
        super().__init__()
        self.found, self.skipped = (nn.Sequential(nn.Conv2d(channels, middle, 1), nn.BatchNorm2d(middle)) for _ in range(2))
        self.weigh = nn.Sequential(nn.ReLU(), nn.Conv2d(middle, 1, 1), nn.BatchNorm2d(1), nn.Sigmoid())

    def forward(self, found: Tensor, skip: Tensor) -> Tensor:
        """Weigh the skip (B, C, H, W) by features of the same shape."""
        weighed: Tensor = skip * self.weigh(self.found(found) + self.skipped(skip))
        return weighed


def _convolution(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def _resized(x: Tensor, size: int) -> Tensor:
    return F.interpolate(x, size=(size, size), mode="bilinear", align_corners=False)
