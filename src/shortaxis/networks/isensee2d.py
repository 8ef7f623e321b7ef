"""The 2D UNet of Isensee et al. (STACOM 2017, arXiv 1707.00587), one half of the paper's "2D&3D UNets"."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shortaxis.errors import InputError
from shortaxis.labels import N_CLASSES
from shortaxis.networks.stack_convolution import StackConvolution

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shortaxis.networks.stack import StackNeighbours

_SLOPE: Final = 0.01
_HEADS: Final = 3


class Isensee2D(nn.Module):
    """A UNet whose logits are the sum of those of its last three decoder levels.

    Two 3x3 convolutions a level, each with batch norm and leaky ReLU; max-pooling down, repetition of pixels up. Dropout stands before
    every level but the outermost two on the way down and before every decoder level but the last on the way up. The sum of the logits takes
    the place of losses of their own for the coarser levels.

    Args:
        widths: Channels of each level from full resolution to the bottleneck, three levels at least.
        classes: Number of output channels.
        dropout: Probability of dropping a value.

    Raises:
        InputError: `widths` has fewer than four or more than eight levels, or one outside 1 to 1024 channels.
    """

    along_depth = False
    """Whether the convolutions run along the stack too."""

    def __init__(self, widths: Sequence[int] = (48, 96, 192, 384, 768), *, classes: int = N_CLASSES, dropout: float = 0.3) -> None:
        super().__init__()
        if not 4 <= len(widths) <= 8 or max(widths) > 1024 or min(widths) < 1:
            msg = f"{type(self).__name__}: widths {list(widths)} must be 1 to 1024 channels on four to eight levels"
            raise InputError(msg)
        self.multiple = 2 ** (len(widths) - 1)
        self.down = nn.ModuleList(_Level(a, b, self.along_depth) for a, b in pairwise([1, *widths]))
        self.up = nn.ModuleList(_Level(a + b, b, self.along_depth) for a, b in pairwise(reversed(widths)))
        self.heads = nn.ModuleList(nn.Conv2d(width, classes, kernel_size=1) for width in reversed(widths[:_HEADS]))
        self.dropout = nn.Dropout(dropout)

    def forward(self, slices: Tensor) -> Tensor:
        """Turn slices (B, 1, H, W) into logits (B, C, H, W); H and W are multiples of `self.multiple`."""
        return self.logits(slices, None)

    def logits(self, slices: Tensor, neighbours: StackNeighbours | None) -> Tensor:
        """What `forward` returns; `neighbours` are those of each slice where the convolutions run along the stack."""
        x, skips = slices, []
        for depth, level in enumerate(self.down):
            if depth:
                skips.append(x)
                x = F.max_pool2d(x, 2)
            x = level(self.dropout(x) if depth > 1 else x, neighbours)
        last = len(self.up) - 1
        logits: Tensor | None = None
        for depth, level in enumerate(self.up):
            x = torch.cat([_repeat(x), skips.pop()], dim=1)
            x = level(self.dropout(x) if depth < last else x, neighbours)
            if depth > last - _HEADS:
                own = self.heads[depth - last - 1](x)
                logits = own if logits is None else _repeat(logits) + own
        assert logits is not None, "the last levels have heads"
        return logits


class _Level(nn.Module):
    """Two convolutions, each with batch norm and leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, along_depth: bool) -> None:
        super().__init__()
        kinds = [(inputs, outputs), (outputs, outputs)]
        self.convolutions = nn.ModuleList(
            StackConvolution(a, b, bias=False) if along_depth else nn.Conv2d(a, b, 3, padding=1, bias=False) for a, b in kinds
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(outputs) for _ in kinds)
        for convolution in self.convolutions:
            if isinstance(convolution, nn.Conv2d):
                nn.init.kaiming_normal_(convolution.weight, a=_SLOPE)

    def forward(self, x: Tensor, neighbours: StackNeighbours | None) -> Tensor:
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = convolution(x) if neighbours is None else convolution(x, neighbours)
            x = F.leaky_relu(norm(x), _SLOPE)
        return x


def _repeat(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")
