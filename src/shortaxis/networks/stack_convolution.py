"""A 3x3x3 convolution over stacks of different depth that stand one behind another in a batch of slices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from shortaxis.networks.stack import StackNeighbours


class StackConvolution(nn.Module):
    """What `nn.Conv3d(inputs, outputs, 3, padding=1)` computes of each frame, without building volumes.

    Each slice is convolved with the three planes of the kernel, and the answers of its neighbours are added to its own. So frames of any
    depth share a batch, none is padded along its depth, and the arithmetic is that of the 3D convolution. Beyond the ends of a stack there
    are zeros, as in a padded volume.

    Args:
        inputs: Channels of the features.
        outputs: Channels of the result.
        bias: Whether to add a bias.

    Attributes:
        planes: Holds the kernel: its weight (3 · outputs, inputs, 3, 3) is `conv3d.weight.permute(2, 0, 1, 3, 4).flatten(0, 1)`.
    """

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True) -> None:
        super().__init__()
        self.planes = nn.Conv2d(inputs, 3 * outputs, 3, padding=1, bias=False)
        # He initialisation of a kernel of 27 values a channel.
        nn.init.normal_(self.planes.weight, std=(2 / (27 * inputs)) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    def forward(self, x: Tensor, neighbours: StackNeighbours) -> Tensor:
        """Turn features (B, inputs, H, W) into (B, outputs, H, W)."""
        for_behind, own, for_before = self.planes(x).chunk(3, dim=1)
        has_before, has_behind = (has[:, None, None, None].to(own.dtype) for has in (neighbours.has_before, neighbours.has_behind))
        result: Tensor = own + for_behind[neighbours.before] * has_before + for_before[neighbours.behind] * has_behind
        return result if self.bias is None else result + self.bias[:, None, None]
