"""The features of MaxViT and MaxxViT (Tu et al., ECCV 2022, with relative positions by a perceptron): encoders of Parallel MERIT."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor, nn

from shortaxis.errors import InputError
from shortaxis.networks.attention import Attention, ChannelNorm, Perceptron, StochasticDepth
from shortaxis.networks.swin_unet import joined_windows, windows_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_COLOURS: Final = 3
_EXPANSION: Final = 4
_SQUEEZE: Final = 16
_POSITION_HIDDEN: Final = 512
_LAYER_SCALE: Final = 1e-6
_STRIDE: Final = 32
"""Of the last stage; a window is as wide as the features there, so that it divides those of every stage."""


class MaxViT(nn.Module):
    """Four stages of units, each unit a convolution block, attention within windows, and attention over a grid.

    Args:
        size: Edge of the images, a multiple of 32; windows and grids have size / 32 features along an edge.
        convolution: `mbconv`, or `convnext`, which makes it MaxxViT.
        stem: Channels of the two convolutions of the stem.
        widths: Channels of each stage; the stage halves the resolution as it begins.
        depths: Units of each stage.
        head_size: Channels of a head.
        dropout: Probability of stochastic depth.

    Raises:
        InputError: `size` is no multiple of 32, `head_size` does not divide a width, or widths and depths are not of one length, or widths
            that follow each other are no multiples with `convnext`.
    """

    def __init__(
        self,
        size: int,
        convolution: str,
        stem: Sequence[int],
        *,
        widths: Sequence[int] = (96, 192, 384, 768),
        depths: Sequence[int] = (2, 2, 5, 2),
        head_size: int = 32,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        _check(size, convolution, stem, widths, depths, head_size)
        window = size // _STRIDE
        block, norm, activation = _KINDS[convolution]
        self.stem = nn.Sequential(
            nn.Conv2d(_COLOURS, stem[0], 3, stride=2, padding=1, bias=False),
            norm(stem[0]),
            activation(),
            nn.Conv2d(stem[0], stem[1], 3, padding=1, bias=False),
        )
        self.stages = nn.ModuleList(
            nn.Sequential(
                *(
                    nn.Sequential(
                        block(a if index == 0 else b, b, stride=2 if index == 0 else 1, dropout=dropout),
                        PartitionAttention(b, head_size, window, dropout, grid=False),
                        PartitionAttention(b, head_size, window, dropout, grid=True),
                    )
                    for index in range(depth)
                )
            )
            for (a, b), depth in zip(pairwise([stem[1], *widths]), depths, strict=True)
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        """Turn images (B, 3, size, size) into features (B, width, ...) at strides 4, 8, 16 and 32, finest first."""
        x = self.stem(images)
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features


class MBConv(nn.Module):
    """An inverted bottleneck (Sandler et al., CVPR 2018) with squeeze and excitation; it widens what comes in four times.

    Args:
        inputs: Channels that come in.
        outputs: Channels that go out.
        stride: 1, or 2, by which the shortcut is averaged.
        dropout: Probability of stochastic depth.
    """

    def __init__(self, inputs: int, outputs: int, *, stride: int, dropout: float) -> None:
        super().__init__()
        inner = _EXPANSION * inputs
        self.shortcut = _shortcut(inputs, outputs, stride, bias=False)
        self.widen = nn.Sequential(nn.BatchNorm2d(inputs), nn.Conv2d(inputs, inner, 1, bias=False), nn.BatchNorm2d(inner), nn.SiLU())
        self.convolve = nn.Sequential(
            nn.Conv2d(inner, inner, 3, stride=stride, padding=1, groups=inner, bias=False), nn.BatchNorm2d(inner), nn.SiLU()
        )
        self.excite = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(inner, inner // _SQUEEZE, 1), nn.SiLU(), nn.Conv2d(inner // _SQUEEZE, inner, 1), nn.Sigmoid()
        )
        self.reduce = nn.Conv2d(inner, outputs, 1, bias=False)
        self.depth = StochasticDepth(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Turn features (B, inputs, H, W) into (B, outputs, H / stride, W / stride)."""
        y = self.convolve(self.widen(x))
        features: Tensor = self.shortcut(x) + self.depth(self.reduce(y * self.excite(y)))
        return features


class ConvNeXt(nn.Module):
    """A depth-wise 7x7 convolution and a perceptron (Liu et al., CVPR 2022); the arguments are those of `MBConv`."""

    def __init__(self, inputs: int, outputs: int, *, stride: int, dropout: float) -> None:
        super().__init__()
        self.shortcut = _shortcut(inputs, outputs, stride, bias=True)
        self.convolve = nn.Conv2d(inputs, outputs, 7, stride=stride, padding=3, groups=inputs)
        self.norm = nn.LayerNorm(outputs, eps=1e-6)
        self.perceptron = Perceptron(outputs, _EXPANSION * outputs)
        self.scale = LayerScale(outputs)
        self.depth = StochasticDepth(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Turn features (B, inputs, H, W) into (B, outputs, H / stride, W / stride)."""
        branch = self.scale(self.perceptron(self.norm(self.convolve(x).movedim(1, -1)))).movedim(-1, 1)
        features: Tensor = self.shortcut(x) + self.depth(branch)
        return features


class PartitionAttention(nn.Module):
    """Attention among the features of a window, or of a grid that spans the whole map, and a perceptron, each beside a shortcut.

    Args:
        channels: Of the features.
        head_size: Channels of a head.
        window: Edge of a window or grid in features; divides the edge of the map.
        dropout: Probability of stochastic depth.
        grid: Whether features that lie equally far apart look at each other, not those that lie side by side.
    """

    def __init__(self, channels: int, head_size: int, window: int, dropout: float, *, grid: bool) -> None:
        super().__init__()
        self.window, self.grid = window, grid
        self.attention_norm = nn.LayerNorm(channels, eps=1e-6)
        self.attention = Attention(channels, channels // head_size)
        self.position = PositionPerceptron(window, channels // head_size)
        self.attention_scale = LayerScale(channels)
        self.perceptron_norm = nn.LayerNorm(channels, eps=1e-6)
        self.perceptron = Perceptron(channels, _EXPANSION * channels)
        self.perceptron_scale = LayerScale(channels)
        self.depth = StochasticDepth(dropout)

    def forward(self, maps: Tensor) -> Tensor:
        """Turn features (B, C, H, W) into others of the same shape."""
        x = maps.movedim(1, -1)
        x = x + self.depth(self.attention_scale(self._attend(self.attention_norm(x))))
        x = x + self.depth(self.perceptron_scale(self.perceptron(self.perceptron_norm(x))))
        features: Tensor = x.movedim(-1, 1)
        return features

    def _attend(self, x: Tensor) -> Tensor:
        shape, bias = x.shape[1:3], self.position()
        if not self.grid:
            return joined_windows(self.attention(windows_of(x, self.window), bias), shape, self.window)
        return _ungridded(self.attention(_grids_of(x, self.window), bias), shape, self.window)


class PositionPerceptron(nn.Module):
    """A bias of every head for every distance of two features, by a small perceptron of the distance on a log scale (Liu et al., 2022).

    Args:
        window: Edge of a window.
        heads: Number of heads.
    """

    def __init__(self, window: int, heads: int) -> None:
        super().__init__()
        self.window = window
        self.layers = nn.Sequential(nn.Linear(2, _POSITION_HIDDEN), nn.ReLU(), nn.Linear(_POSITION_HIDDEN, heads))

    def forward(self) -> Tensor:
        """Return the bias (heads, N, N), N the features of a window."""
        weight: Tensor = self.layers[0].weight  # type: ignore[assignment]
        span = torch.arange(1 - self.window, self.window, device=weight.device, dtype=weight.dtype)
        distance = span.sign() * span.abs().log1p()
        table = self.layers(torch.stack(torch.meshgrid(distance, distance, indexing="ij"), dim=-1))
        axis = torch.arange(self.window, device=weight.device)
        apart = axis[:, None] - axis[None, :] + self.window - 1
        bias: Tensor = table[apart[:, None, :, None], apart[None, :, None, :]]
        return bias.flatten(2, 3).flatten(0, 1).permute(2, 0, 1)


class LayerScale(nn.Module):
    """A factor of each channel that starts next to zero (Touvron et al., ICCV 2021), for features (..., C)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.full((channels,), _LAYER_SCALE))

    def forward(self, x: Tensor) -> Tensor:
        """Scale."""
        return x * self.factor


def _grids_of(x: Tensor, edge: int) -> Tensor:
    """Gather features (B, H, W, C) that lie H / edge and W / edge apart: (B, K, N, C), N = edge²."""
    batch, height, width, channels = x.shape
    grids = x.reshape(batch, edge, height // edge, edge, width // edge, channels).permute(0, 2, 4, 1, 3, 5)
    return grids.reshape(batch, -1, edge**2, channels)


def _ungridded(grids: Tensor, shape: Sequence[int], edge: int) -> Tensor:
    """The inverse of `_grids_of`, for features of `shape` (H, W)."""
    batch, channels = grids.shape[0], grids.shape[-1]
    height, width = shape
    x = grids.reshape(batch, height // edge, width // edge, edge, edge, channels).permute(0, 3, 1, 4, 2, 5)
    return x.reshape(batch, height, width, channels)


def _shortcut(inputs: int, outputs: int, stride: int, *, bias: bool) -> nn.Sequential:
    layers: list[nn.Module] = [nn.AvgPool2d(stride)] if stride > 1 else []
    if inputs != outputs:
        layers.append(nn.Conv2d(inputs, outputs, 1, bias=bias))
    return nn.Sequential(*layers)


_KINDS: Final[dict[str, tuple[Callable[..., nn.Module], Callable[[int], nn.Module], Callable[[], nn.Module]]]] = {
    "mbconv": (MBConv, nn.BatchNorm2d, nn.SiLU),
    "convnext": (ConvNeXt, partial(ChannelNorm, eps=1e-6), nn.GELU),
}
"""By the name of the convolution block: the block itself, and the normalisation and activation of the stem."""


def _check(size: int, convolution: str, stem: Sequence[int], widths: Sequence[int], depths: Sequence[int], head_size: int) -> None:
    if size < _STRIDE or size % _STRIDE:
        msg = f"MaxViT: size must be a multiple of {_STRIDE} pixels, not {size}"
        raise InputError(msg)
    if convolution not in _KINDS:
        msg = f"MaxViT: convolution must be one of {', '.join(_KINDS)}, not {convolution!r}"
        raise InputError(msg)
    if len(stem) != 2 or len(widths) != 4 or len(depths) != 4 or min(*stem, *widths, *depths) < 1:
        msg = f"MaxViT: stem {list(stem)} must be two widths, and widths {list(widths)} and depths {list(depths)} four, all at least 1"
        raise InputError(msg)
    if head_size < 1 or any(width % head_size for width in widths):
        msg = f"MaxViT: heads of {head_size} channels do not divide the widths {list(widths)}"
        raise InputError(msg)
    if convolution == "convnext" and any(b % a for a, b in pairwise([stem[1], *widths])):
        msg = f"MaxViT: with convnext each width must be a multiple of the one before it, which {[stem[1], *widths]} are not"
        raise InputError(msg)
