"""Swin-Unet (Cao et al., ECCV workshops 2022): a UNet whose blocks are Swin transformers (Liu et al., ICCV 2021)."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shortaxis.errors import InputError
from shortaxis.labels import N_CLASSES
from shortaxis.networks.attention import Attention, Perceptron, StochasticDepth, start_as_transformer
from shortaxis.networks.imagenet import load_swin

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_COLOURS: Final = 3
"""Channels that the grey slice is repeated to, as images of ImageNet have."""


class SwinUNet(nn.Module):
    """Attention within windows, in every second block within shifted ones; patches are merged on the way down and expanded on the way up.

    The published network is tied to 224x224 slices. This one takes any multiple of `multiple`: features that are no whole number of
    windows are padded, and nothing looks at the padding; an axis that fits into one window is not shifted.

    Args:
        width: Channels of the first stage; they double from stage to stage.
        classes: Number of output channels.
        dropout: Largest probability of stochastic depth; it grows from 0 over the blocks of the encoder, and the decoder mirrors it.
        depths: Blocks of each stage, of the decoder as of the encoder.
        heads: Heads of each stage.
        window: Edge of a window in features.
        patch: Edge in pixels of the square that becomes one feature.

    Raises:
        InputError: `depths` and `heads` are of different length or empty, heads do not divide the channels of their stage, or `width`,
            `window` or `patch` is not positive, or `patch` is no power of two.
    """

    def __init__(
        self,
        width: int = 96,
        *,
        classes: int = N_CLASSES,
        dropout: float = 0.2,
        depths: Sequence[int] = (2, 2, 2, 2),
        heads: Sequence[int] = (3, 6, 12, 24),
        window: int = 7,
        patch: int = 4,
    ) -> None:
        super().__init__()
        _check(width, depths, heads, window, patch)
        channels = [width * 2**stage for stage in range(len(depths))]
        rates = iter(_rates(dropout, sum(depths)))
        stages = [(width, count, list(islice(rates, depth)), window) for width, count, depth in zip(channels, heads, depths, strict=True)]
        self.multiple = patch * 2 ** (len(depths) - 1)
        self.embed = nn.Conv2d(_COLOURS, width, patch, stride=patch)
        self.embed_norm = nn.LayerNorm(width)
        self.down = nn.ModuleList(SwinStage(*stage) for stage in stages)
        self.merge = nn.ModuleList(PatchMerging(a) for a in channels[:-1])
        self.norm = nn.LayerNorm(channels[-1])
        self.expand = nn.ModuleList(PatchExpanding(a, 2) for a in reversed(channels[1:]))
        self.join = nn.ModuleList(nn.Linear(2 * a, a) for a in reversed(channels[:-1]))
        self.up = nn.ModuleList(SwinStage(*stage) for stage in reversed(stages[:-1]))
        self.up_norm = nn.LayerNorm(width)
        self.unfold = PatchExpanding(width, patch, outputs=width)
        self.head = nn.Conv2d(width, classes, kernel_size=1, bias=False)
        start_as_transformer(self)

    def load_pretrained(self, path: Path | str) -> str:
        """Take over the weights of Swin-T (ImageNet-1k); see `imagenet.load_swin`."""
        return load_swin(self, path)

    def forward(self, slices: Tensor) -> Tensor:
        """Turn slices (B, 1, H, W) into logits (B, C, H, W); H and W are multiples of `self.multiple`."""
        x = self.embed_norm(self.embed(slices.expand(-1, _COLOURS, -1, -1)).movedim(1, -1))
        skips: list[Tensor] = []
        for level, stage in enumerate(self.down):
            if level:
                skips.append(x)
                x = self.merge[level - 1](x)
            x = stage(x)
        x = self.norm(x)
        for expand, join, stage, skip in zip(self.expand, self.join, self.up, reversed(skips), strict=True):
            x = stage(join(torch.cat([expand(x), skip], dim=-1)))
        logits: Tensor = self.head(self.unfold(self.up_norm(x)).movedim(-1, 1))
        return logits


class SwinStage(nn.Sequential):
    """Blocks of one stage, from (B, H, W, C) to the same; every second one is shifted by half a window.

    Args:
        channels: C.
        heads: Number of heads.
        rates: Probability of stochastic depth of each block.
        window: Edge of a window.
    """

    def __init__(self, channels: int, heads: int, rates: Sequence[float], window: int) -> None:
        shifts = (0 if index % 2 == 0 else window // 2 for index in range(len(rates)))
        super().__init__(*(SwinBlock(channels, heads, rate, window, shift) for rate, shift in zip(rates, shifts, strict=True)))


class SwinBlock(nn.Module):
    """Attention within windows and a perceptron, each behind a normalisation and beside a shortcut; see `SwinStage` for the arguments."""

    def __init__(self, channels: int, heads: int, rate: float, window: int, shift: int) -> None:
        super().__init__()
        self.window, self.shift = window, shift
        self.attention_norm = nn.LayerNorm(channels)
        self.attention = Attention(channels, heads)
        self.position = RelativePositionBias(window, heads)
        self.perceptron_norm = nn.LayerNorm(channels)
        self.perceptron = Perceptron(channels, 4 * channels)
        self.depth = StochasticDepth(rate)

    def forward(self, x: Tensor) -> Tensor:
        """Turn features (B, H, W, C) into others of the same shape."""
        x = x + self.depth(self._within_windows(self.attention_norm(x)))
        features: Tensor = x + self.depth(self.perceptron(self.perceptron_norm(x)))
        return features

    def _within_windows(self, x: Tensor) -> Tensor:
        height, width = x.shape[1:3]
        window = self.window
        down, across = (axis_shift(length, window, self.shift) for length in (height, width))
        x = F.pad(x, (0, 0, 0, -width % window, 0, -height % window))
        padded = x.shape[1:3]
        bias = self.position()
        visible = shifted_window_mask((height, width), window, self.shift, x.device)
        if visible is not None:
            bias = bias + torch.zeros(visible.shape, device=x.device).masked_fill(~visible, -torch.inf)[:, None]
        tokens = windows_of(x.roll((-down, -across), (1, 2)), window)
        x = joined_windows(self.attention(tokens, bias), padded, window)
        return x.roll((down, across), (1, 2))[:, :height, :width]


class RelativePositionBias(nn.Module):
    """A learned bias of every head for every distance of two features of a window.

    Args:
        window: Edge of a window.
        heads: Number of heads.
    """

    def __init__(self, window: int, heads: int) -> None:
        super().__init__()
        self.window = window
        self.table = nn.Parameter(torch.empty((2 * window - 1) ** 2, heads))
        nn.init.trunc_normal_(self.table, std=0.02)

    def forward(self) -> Tensor:
        """Return the bias (heads, N, N), N the features of a window."""
        axis = torch.arange(self.window, device=self.table.device)
        apart = axis[:, None] - axis[None, :] + self.window - 1
        index = apart[:, None, :, None] * (2 * self.window - 1) + apart[None, :, None, :]
        bias: Tensor = self.table[index.flatten()].reshape(self.window**2, self.window**2, -1).permute(2, 0, 1)
        return bias


class PatchMerging(nn.Module):
    """Joins each square of 2x2 features (B, H, W, C) to one of (B, H/2, W/2, 2C).

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * channels)
        self.reduce = nn.Linear(4 * channels, 2 * channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Merge."""
        batch, height, width, channels = x.shape
        # The order of the four is that of Swin's own files: down the column first.
        square = x.reshape(batch, height // 2, 2, width // 2, 2, channels).permute(0, 1, 3, 4, 2, 5).flatten(3)
        merged: Tensor = self.reduce(self.norm(square))
        return merged


class PatchExpanding(nn.Module):
    """Unfolds each feature (B, H, W, C) to a square of them, (B, fH, fW, outputs).

    Args:
        channels: C.
        factor: f.
        outputs: Channels of the result; None is C / 2.
    """

    def __init__(self, channels: int, factor: int, outputs: int | None = None) -> None:
        super().__init__()
        outputs = outputs or channels // 2
        self.factor = factor
        self.spread = nn.Linear(channels, factor**2 * outputs, bias=False)
        self.norm = nn.LayerNorm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Expand."""
        square = self.spread(x).unflatten(-1, (self.factor, self.factor, -1))
        unfolded: Tensor = self.norm(square.permute(0, 1, 3, 2, 4, 5).flatten(3, 4).flatten(1, 2))
        return unfolded


def windows_of(x: Tensor, window: int) -> Tensor:
    """Cut features (B, H, W, C) into windows (B, K, N, C), row by row; H and W are multiples of the window's edge, N its square."""
    batch, height, width, channels = x.shape
    squares = x.reshape(batch, height // window, window, width // window, window, channels).transpose(2, 3)
    return squares.reshape(batch, -1, window**2, channels)


def joined_windows(windows: Tensor, shape: Sequence[int], window: int) -> Tensor:
    """The inverse of `windows_of`, for features of `shape` (H, W)."""
    batch, channels = windows.shape[0], windows.shape[-1]
    height, width = shape
    squares = windows.reshape(batch, height // window, width // window, window, window, channels).transpose(2, 3)
    return squares.reshape(batch, height, width, channels)


def axis_shift(length: int, window: int, shift: int) -> int:
    """By how much an axis is rolled: one that fits into a window is not."""
    return shift if length > window else 0


def shifted_window_mask(shape: tuple[int, int], window: int, shift: int, device: torch.device | str = "cpu") -> Tensor | None:
    """Which features of a window may look at each other.

    Rolling by the shift brings features from both ends of an axis into one window, and padding fills up the last one.

    Args:
        shape: (H, W) of the features without padding.
        window: Edge of a window.
        shift: By how much they are rolled, along an axis that is longer than a window.
        device: Of the result.

    Returns:
        bool (K, N, N), False where the one of the row must not see the one of the column; None where all may see each other.
    """
    shifts = [axis_shift(length, window, shift) for length in shape]
    if not any(shifts) and not any(length % window for length in shape):
        return None
    parts = [_parts(length, window, along, device) for length, along in zip(shape, shifts, strict=True)]
    part = windows_of((parts[0][:, None] * 3 + parts[1][None, :])[None, :, :, None], window)[0, ..., 0]
    return part[:, :, None] == part[:, None, :]


def _parts(length: int, window: int, shift: int, device: torch.device | str) -> Tensor:
    """Where the features of a padded and rolled axis come from: 0 as they stand, 1 rolled over the end, 2 padding."""
    padded = length + -length % window
    place = torch.arange(padded, device=device)
    origin = (place + shift) % padded
    return torch.where(origin >= length, 2, (place >= padded - shift).long())


def _rates(largest: float, blocks: int) -> list[float]:
    """Probabilities of stochastic depth, from 0 for the first block to the largest for the last."""
    return [largest * block / max(blocks - 1, 1) for block in range(blocks)]


def _check(width: int, depths: Sequence[int], heads: Sequence[int], window: int, patch: int) -> None:
    if not depths or len(depths) != len(heads) or min(depths) < 1:
        msg = f"Swin-Unet: depths {list(depths)} and heads {list(heads)} must name as many stages, each of at least one block"
        raise InputError(msg)
    if min(width, window, patch) < 1 or patch & (patch - 1):
        msg = f"Swin-Unet: width ({width}), window ({window}) and patch ({patch}) must be positive, and patch a power of two"
        raise InputError(msg)
    for stage, count in enumerate(heads):
        if count < 1 or width * 2**stage % count:
            msg = f"Swin-Unet: {count} heads do not divide the {width * 2**stage} channels of stage {stage + 1}"
            raise InputError(msg)
