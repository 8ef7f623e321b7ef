"""FCT, the Fully Convolutional Transformer (Tragakis et al., WACV 2023)."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shortaxis.errors import InputError
from shortaxis.labels import N_CLASSES
from shortaxis.networks.attention import ChannelNorm

if TYPE_CHECKING:
    from collections.abc import Sequence

_INNERMOST: Final = 2
"""Of the encoder blocks, the last one and the first have no part of the pyramid."""


class FCT(nn.Module):
    """A UNet whose every block ends in attention over convolved features and in a bundle of dilated convolutions (Wide-Focus).

    Args:
        widths: Channels of each encoder block, the bottleneck last; the decoder mirrors them.
        classes: Number of output channels.
        dropout: Probability of dropping a value behind the convolutions of a block; a third of it inside Wide-Focus.
        heads: Heads of each attention, all of them as wide as the features.
        maps: Output maps, at full size, half, and so on, each from its own decoder block; 3 as published. The first is the prediction; the
            others take part in the loss while the network is trained.
        column_norm: Normalise every row of the slice over its columns, with one scale and shift a column, as published. It ties the
            network to slices of `size`.
        size: Edge of the slices for `column_norm`.
        patch: Edge in pixels of the square that is folded into channels first and unfolded last, as in `UNet`; 1 as published.

    Raises:
        InputError: There are fewer than three or more than eight widths, or one below 1, `maps` exceeds the decoder blocks, `heads` or
            `patch` is below 1, or `size` does not suit the levels.
    """

    def __init__(
        self,
        widths: Sequence[int] = (32, 64, 128, 256, 512),
        *,
        classes: int = N_CLASSES,
        dropout: float = 0.3,
        heads: int = 2,
        maps: int = 3,
        column_norm: bool = False,
        size: int = 224,
        patch: int = 1,
    ) -> None:
        super().__init__()
        _check(widths, heads, maps, patch)
        self.multiple = patch * 2 ** len(widths)
        self.patch = patch
        # The slice at mean 0 and standard deviation 1, with a learned scale and shift.
        self.grey_norm = nn.GroupNorm(1, 1)
        self.column_norm = nn.Sequential()
        if column_norm:
            if size < 1 or size % self.multiple:
                msg = f"FCT: size must be a multiple of {self.multiple} pixels with {len(widths)} widths, not {size}"
                raise InputError(msg)
            self.multiple = size
            self.column_norm = nn.Sequential(nn.LayerNorm(size))
        inner = len(widths) - _INNERMOST
        self.down = nn.ModuleList(
            EncoderBlock(a, b, heads, dropout, pyramid=1 <= level <= inner, norm=level > 0)
            for level, (a, b) in enumerate(pairwise([patch**2, *widths]))
        )
        self.up = nn.ModuleList(DecoderBlock(a, b, heads, dropout) for a, b in pairwise(reversed(widths)))
        self.heads = nn.ModuleList(MapHead(width, classes * patch**2) for width in widths[:maps])
        self.output_maps: list[Tensor] = []
        """Logits (B, C, H, W), (B, C, H/2, W/2) and so on of the last slices seen in training; a loss empties it."""

    def forward(self, slices: Tensor) -> Tensor:
        """Turn slices (B, 1, H, W) into logits (B, C, H, W); H and W are multiples of `self.multiple`."""
        decoded = self._decoded(slices)
        if not self.training:
            return F.pixel_shuffle(self.heads[0](decoded[-1]), self.patch)
        self.output_maps = [
            F.pixel_shuffle(head(features), self.patch) for head, features in zip(self.heads, reversed(decoded), strict=False)
        ]
        return self.output_maps[0]

    @property
    def auxiliary(self) -> list[Tensor]:
        """The maps below full size, the finest last, for `shortaxis.training.deep_supervision`."""
        return self.output_maps[:0:-1]

    @auxiliary.setter
    def auxiliary(self, maps: list[Tensor]) -> None:
        self.output_maps = maps[::-1]

    def _decoded(self, slices: Tensor) -> list[Tensor]:
        """The features of every decoder block, coarsest first."""
        x = F.pixel_unshuffle(self.column_norm(self.grey_norm(slices)), self.patch)
        level, skips = F.avg_pool2d(slices, self.patch), []
        for block in self.down:
            x = block(x, level)
            level = F.avg_pool2d(level, 2)
            skips.append(x)
        decoded = []
        for block, skip in zip(self.up, reversed(skips[:-1]), strict=True):
            x = block(x, skip)
            decoded.append(x)
        return decoded


class EncoderBlock(nn.Module):
    """Two convolutions, max-pooling, and an FCT layer.

    Args:
        inputs: Channels that come in.
        outputs: Channels that go out.
        heads: Of the attention.
        dropout: See `FCT`.
        pyramid: Whether the slice, averaged to the size of the features, takes part: convolved to `inputs` channels, beside them.
        norm: Whether the features are normalised first.
    """

    def __init__(self, inputs: int, outputs: int, heads: int, dropout: float, *, pyramid: bool, norm: bool) -> None:
        super().__init__()
        self.norm = ChannelNorm(inputs) if norm else nn.Sequential()
        self.look = _convolution(1, inputs) if pyramid else None
        self.convolve = nn.Sequential(_convolution(inputs * (1 + pyramid), outputs), _convolution(outputs, outputs), nn.Dropout(dropout))
        self.layer = FCTLayer(outputs, heads, dropout)

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        """Turn features (B, inputs, H, W) and the slice at their size (B, 1, H, W) into features (B, outputs, H/2, W/2)."""
        x = self.norm(x)
        if self.look is not None:
            x = torch.cat([self.look(level), x], dim=1)
        features: Tensor = self.layer(F.max_pool2d(self.convolve(x), 2))
        return features


class DecoderBlock(nn.Module):
    """Up-sampling, the skip, two convolutions, and an FCT layer; the arguments are those of `EncoderBlock`."""

    def __init__(self, inputs: int, outputs: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norm = ChannelNorm(inputs)
        self.enlarge = nn.Conv2d(inputs, outputs, 2)
        self.convolve = nn.Sequential(_convolution(2 * outputs, outputs), _convolution(outputs, outputs), nn.Dropout(dropout))
        self.layer = FCTLayer(outputs, heads, dropout)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Turn features (B, inputs, H, W) and a skip (B, outputs, 2H, 2W) into features like the skip."""
        x = F.interpolate(self.norm(x), scale_factor=2.0, mode="nearest")
        x = F.relu(self.enlarge(F.pad(x, (0, 1, 0, 1))))
        features: Tensor = self.layer(self.convolve(torch.cat([skip, x], dim=1)))
        return features


class FCTLayer(nn.Module):
    """Attention over depth-wise convolved features, a convolution, and Wide-Focus, with two shortcuts.

    Args:
        channels: Of the features.
        heads: Of the attention.
        dropout: A third of it acts inside Wide-Focus.
    """

    def __init__(self, channels: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention = ConvolvedAttention(channels, heads)
        self.convolve = _convolution(channels, channels)
        self.norm = ChannelNorm(channels)
        self.wide_focus = WideFocus(channels, dropout / 3)

    def forward(self, x: Tensor) -> Tensor:
        """Turn features (B, C, H, W) into others of the same shape."""
        x = x + self.convolve(self.attention(x))
        features: Tensor = x + self.wide_focus(self.norm(x))
        return features


class ConvolvedAttention(nn.Module):
    """Attention of every pixel to every second pixel along both axes; each head is as wide as the features.

    Args:
        channels: Of the features.
        heads: Number of heads.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        strides = (1, 2, 2)
        self.spread = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, stride=stride, padding=1, groups=channels, bias=False) for stride in strides
        )
        self.norm = nn.ModuleList(nn.LayerNorm(channels) for _ in strides)
        self.project = nn.ModuleList(nn.Linear(channels, heads * channels) for _ in strides)
        self.combine = nn.Linear(heads * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Turn features (B, C, H, W) into others of the same shape."""
        query, key, value = (
            project(norm(spread(x).flatten(2).transpose(1, 2))).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for spread, norm, project in zip(self.spread, self.norm, self.project, strict=True)
        )
        seen = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        combined: Tensor = self.combine(seen)
        return combined.transpose(1, 2).reshape(x.shape)


class WideFocus(nn.Module):
    """Convolutions of dilation 1, 2 and 3 side by side, added, and one more behind them.

    Args:
        channels: Of the features.
        dropout: Behind each convolution.
    """

    def __init__(self, channels: int, dropout: float) -> None:
        super().__init__()
        self.branches = nn.ModuleList(_dilated(channels, rate, dropout) for rate in (1, 2, 3))
        self.join = _dilated(channels, 1, dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Turn features (B, C, H, W) into others of the same shape."""
        first, second, third = (branch(x) for branch in self.branches)
        joined: Tensor = self.join(first + second + third)
        return joined


class MapHead(nn.Sequential):
    """From features (B, C, H, W) of a decoder block to logits (B, classes, 2H, 2W)."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__(
            nn.Upsample(scale_factor=2, mode="nearest"),
            ChannelNorm(channels),
            _convolution(channels, channels),
            _convolution(channels, channels),
            nn.Conv2d(channels, classes, kernel_size=1),
        )


def _convolution(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU())


def _dilated(channels: int, rate: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, channels, 3, padding=rate, dilation=rate), nn.GELU(), nn.Dropout(dropout))


def _check(widths: Sequence[int], heads: int, maps: int, patch: int) -> None:
    if not 3 <= len(widths) <= 8 or min(*widths, heads, patch) < 1:
        msg = f"FCT: widths {list(widths)} must be at least 1 in three to eight blocks, and heads ({heads}) and patch ({patch}) at least 1"
        raise InputError(msg)
    if not 1 <= maps < len(widths):
        msg = f"FCT: maps must be 1 to {len(widths) - 1}, one a decoder block, not {maps}"
        raise InputError(msg)
