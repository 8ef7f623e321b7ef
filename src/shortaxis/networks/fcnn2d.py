"""The 2D network of Patravali et al. (STACOM 2017, arXiv 1707.07960), one half of the paper's "2D-3D FCNN"."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shortaxis.errors import InputError
from shortaxis.labels import N_CLASSES
from shortaxis.networks.stack_convolution import StackConvolution

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shortaxis.networks.stack import StackNeighbours


class Fcnn2D(nn.Module):
    """A UNet with batch norm and transposed 2x2 convolutions up. The widths are ours: the authors do not state theirs.

    Args:
        widths: Channels of each level from full resolution to the bottleneck.
        classes: Number of output channels.
        dropout: Probability of dropping a whole channel after the bottleneck; the authors name none.

    Raises:
        InputError: `widths` has fewer than two or more than eight levels, or one outside 1 to 1024 channels.
    """

    along_depth = False
    """Whether the convolutions run along the stack too."""

    def __init__(self, widths: Sequence[int] = (64, 128, 256, 512, 1024), *, classes: int = N_CLASSES, dropout: float = 0.0) -> None:
        super().__init__()
        if not 2 <= len(widths) <= 8 or max(widths) > 1024 or min(widths) < 1:
            msg = f"{type(self).__name__}: widths {list(widths)} must be 1 to 1024 channels on two to eight levels"
            raise InputError(msg)
        self.multiple = 2 ** (len(widths) - 1)
        self.down = nn.ModuleList(_Level(a, b, self.along_depth) for a, b in pairwise([1, *widths]))
        self.grow = nn.ModuleList(nn.ConvTranspose2d(a, b, 2, stride=2) for a, b in pairwise(reversed(widths)))
        self.up = nn.ModuleList(_Level(2 * width, width, self.along_depth) for width in reversed(widths[:-1]))
        self.dropout = nn.Dropout2d(dropout)
        self.head = nn.Conv2d(widths[0], classes, kernel_size=1)

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
            x = level(x, neighbours)
        x = self.dropout(x)
        for grow, level in zip(self.grow, self.up, strict=True):
            x = level(torch.cat([skips.pop(), grow(x)], dim=1), neighbours)
        logits: Tensor = self.head(x)
        return logits


class _Level(nn.Module):
    """Two convolutions, each with batch norm and ReLU."""

    def __init__(self, inputs: int, outputs: int, along_depth: bool) -> None:
        super().__init__()
        kinds = [(inputs, outputs), (outputs, outputs)]
        self.convolutions = nn.ModuleList(StackConvolution(a, b) if along_depth else nn.Conv2d(a, b, 3, padding=1) for a, b in kinds)
        self.norms = nn.ModuleList(nn.BatchNorm2d(outputs) for _ in kinds)

    def forward(self, x: Tensor, neighbours: StackNeighbours | None) -> Tensor:
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = convolution(x) if neighbours is None else convolution(x, neighbours)
            x = F.relu(norm(x))
        return x
