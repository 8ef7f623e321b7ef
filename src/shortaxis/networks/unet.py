"""UNet (Ronneberger et al., MICCAI 2015) at the size the paper uses: at most 256 channels in the bottleneck, bilinear up-sampling."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shortaxis.errors import InputError
from shortaxis.labels import N_CLASSES

if TYPE_CHECKING:
    from collections.abc import Sequence

# So many slices are decoded at a time on a CPU where no gradient is asked for: the widest features lie there, and those of a whole frame
# would take twice the memory.
_AT_ONCE: Final = 2


class UNet(nn.Module):
    """A plain 2D UNet: two 3x3 convolutions a level, max-pooling down, bilinear interpolation up, skip connections joined by channel.

    Args:
        widths: Channels of each level from full resolution to the bottleneck.
        classes: Number of output channels.
        dropout: Probability of dropping a whole channel after the bottleneck.
        patch: Edge in pixels of the square that the stem folds into channels and the head unfolds again. 1 is the UNet of the paper; 2
            runs every level at half the resolution, for about a quarter of the arithmetic.

    Raises:
        InputError: `widths` has no or more than eight levels, or exceeds 256 channels in one, or `patch` is not positive.
    """

    def __init__(
        self,
        widths: Sequence[int] = (32, 64, 128, 256),
        *,
        classes: int = N_CLASSES,
        dropout: float = 0.5,
        patch: int = 1,
    ) -> None:
        super().__init__()
        if not 1 <= len(widths) <= 8 or max(widths) > 256 or min(widths) < 1 or patch < 1:
            msg = f"UNet: widths {list(widths)} must be 1 to 256 channels on one to eight levels, and patch ({patch}) at least 1"
            raise InputError(msg)
        self.multiple = patch * 2 ** (len(widths) - 1)
        self.patch = patch
        self.down = nn.ModuleList(_double_convolution(a, b) for a, b in pairwise([patch**2, *widths]))
        self.up = nn.ModuleList(_double_convolution(a + b, b) for a, b in pairwise(reversed(widths)))
        self.dropout = nn.Dropout2d(dropout)
        self.head = nn.Conv2d(widths[0], classes * patch**2, kernel_size=1)

    def forward(self, slices: Tensor) -> Tensor:
        """Turn slices (B, 1, H, W) into logits (B, C, H, W); H and W are multiples of `self.multiple`."""
        return self.decode(*self.encode(slices))

    def encode(self, slices: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Turn slices into the features of the bottleneck and those of the levels above it, finest first."""
        x = F.pixel_unshuffle(slices, self.patch)
        skips: list[Tensor] = []
        for level, block in enumerate(self.down):
            if level:
                skips.append(x)
                x = F.max_pool2d(x, 2)
            x = block(x)
        return x, skips

    def decode(self, x: Tensor, skips: list[Tensor]) -> Tensor:
        """Turn what `encode` gives into logits."""
        if torch.is_grad_enabled() or self.training or x.device.type != "cpu" or len(x) <= _AT_ONCE:
            return self._decode(x, skips)
        parts = zip(*(torch.split(features, _AT_ONCE) for features in (x, *skips)), strict=True)
        return torch.cat([self._decode(first, rest) for first, *rest in parts])

    def _decode(self, x: Tensor, skips: list[Tensor]) -> Tensor:
        x = self.dropout(x)
        for skip, block in zip(reversed(skips), self.up, strict=True):
            x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
            x = block(torch.cat([skip, x], dim=1))
        return F.pixel_shuffle(self.head(x), self.patch)


def _double_convolution(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers += [nn.Conv2d(channels, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)
