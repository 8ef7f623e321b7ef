"""A UNet of the kind that nnU-Net plans for slices (Isensee et al., Nature Methods 2021). It is not nnU-Net: no plan, our training."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final, Literal

import torch
from torch import Tensor, nn

from shortaxis.errors import InputError
from shortaxis.labels import N_CLASSES

if TYPE_CHECKING:
    from collections.abc import Sequence

_SLOPE: Final = 0.01
_NORMS: Final = {"instance": nn.InstanceNorm2d, "batch": nn.BatchNorm2d}


class NnUNetLike(nn.Module):
    """Two 3x3 convolutions a stage, strided convolutions down, transposed convolutions up, and a head at every decoder stage.

    In training the heads below the finest take part in the loss by `auxiliary`; see `shortaxis.training.deep_supervision`.

    Args:
        widths: Channels of each stage from full resolution to the bottleneck.
        classes: Number of output channels.
        norm: `instance` as nnU-Net has it, or `batch` as its trainer for the M&Ms challenge has it.
        dropout: Probability of dropping a whole channel in the bottleneck; nnU-Net has none.
        deep_supervision: Whether the coarser heads exist and are trained; the coarsest is never trained, so that it has none.

    Raises:
        InputError: `widths` has fewer than two or more than eight stages, or one outside 1 to 512 channels, or `norm` is unknown.
    """

    def __init__(
        self,
        widths: Sequence[int] = (32, 64, 128, 256, 512, 512, 512),
        *,
        classes: int = N_CLASSES,
        norm: Literal["instance", "batch"] = "instance",
        dropout: float = 0.0,
        deep_supervision: bool = True,
    ) -> None:
        super().__init__()
        if not 2 <= len(widths) <= 8 or max(widths) > 512 or min(widths) < 1 or norm not in _NORMS:
            msg = f"NnUNetLike: widths {list(widths)} must be 1 to 512 channels on two to eight stages, and norm one of {', '.join(_NORMS)}"
            raise InputError(msg)
        self.multiple = 2 ** (len(widths) - 1)
        self.down = nn.ModuleList(_stage(a, b, norm, stride=2 if index else 1) for index, (a, b) in enumerate(pairwise([1, *widths])))
        self.grow = nn.ModuleList(nn.ConvTranspose2d(a, b, 2, stride=2) for a, b in pairwise(reversed(widths)))
        self.up = nn.ModuleList(_stage(2 * width, width, norm) for width in reversed(widths[:-1]))
        supervised = widths[: max(len(widths) - 2, 1)] if deep_supervision else widths[:1]
        self.heads = nn.ModuleList(nn.Conv2d(width, classes, kernel_size=1) for width in reversed(supervised))
        self.dropout = nn.Dropout2d(dropout)
        self.auxiliary: list[Tensor] = []
        """Logits (B, C, H / s, W / s) of the coarser heads of the last slices seen in training, the finest last; a loss empties it."""

    def forward(self, slices: Tensor) -> Tensor:
        """Turn slices (B, 1, H, W) into logits (B, C, H, W); H and W are multiples of `self.multiple`."""
        x, skips = slices, []
        for stage in self.down:
            x = stage(x)
            skips.append(x)
        skips.pop()
        x = self.dropout(x)
        headless = len(self.up) - len(self.heads)
        logits: list[Tensor] = []
        for index, (grow, stage) in enumerate(zip(self.grow, self.up, strict=True)):
            x = stage(torch.cat([grow(x), skips.pop()], dim=1))
            if index >= headless and (self.training or index == len(self.up) - 1):
                logits.append(self.heads[index - headless](x))
        self.auxiliary = logits[:-1]
        return logits[-1]


def _stage(inputs: int, outputs: int, norm: str, *, stride: int = 1) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels, step in ((inputs, stride), (outputs, 1)):
        convolution = nn.Conv2d(channels, outputs, 3, stride=step, padding=1)
        nn.init.kaiming_normal_(convolution.weight, a=_SLOPE)
        layers += [convolution, _NORMS[norm](outputs, affine=True), nn.LeakyReLU(_SLOPE, inplace=True)]
    return nn.Sequential(*layers)
