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

# So many slices are decoded at a time on a CPU where no gradient is asked for. Features of a whole frame leave the processor's cache, which
# with a level on unfolded pixels costs a sixth of the time and two and a half times the memory.
_AT_ONCE: Final = 2


class UNet(nn.Module):
    """A plain 2D UNet: two 3x3 convolutions a level, max-pooling down, bilinear interpolation up, skip connections joined by channel.

    Args:
        widths: Channels of each level from full resolution to the bottleneck.
        classes: Number of output channels.
        dropout: Probability of dropping a whole channel after the bottleneck.
        patch: Edge in pixels of the square that the stem folds into channels and the head unfolds again. 1 is the UNet of the paper; 2
            runs every level at half the resolution, for about a quarter of the arithmetic.
        fine: Channels of a level on unfolded pixels (`FineLevel`), which corrects the logits of the folded ones; 0: there is none.

    Raises:
        InputError: `widths` has no or more than eight levels, or exceeds 256 channels in one, `patch` is not positive, or `fine` is asked
            for where nothing is folded.
    """

    def __init__(
        self,
        widths: Sequence[int] = (32, 64, 128, 256),
        *,
        classes: int = N_CLASSES,
        dropout: float = 0.5,
        patch: int = 1,
        fine: int = 0,
    ) -> None:
        super().__init__()
        if not 1 <= len(widths) <= 8 or max(widths) > 256 or min(widths) < 1 or patch < 1:
            msg = f"UNet: widths {list(widths)} must be 1 to 256 channels on one to eight levels, and patch ({patch}) at least 1"
            raise InputError(msg)
        if fine < 0 or (fine and patch == 1):
            msg = f"UNet: fine ({fine}) must be a number of channels, or 0, and needs a patch above 1; unfolded pixels have no finer ones"
            raise InputError(msg)
        self.multiple = patch * 2 ** (len(widths) - 1)
        self.patch = patch
        self.down = nn.ModuleList(_double_convolution(a, b) for a, b in pairwise([patch**2, *widths]))
        self.up = nn.ModuleList(_double_convolution(a + b, b) for a, b in pairwise(reversed(widths)))
        self.dropout = nn.Dropout2d(dropout)
        self.head = nn.Conv2d(widths[0], classes * patch**2, kernel_size=1)
        self.fine = FineLevel(widths[0], fine, classes=classes, patch=patch) if fine else None

    def forward(self, slices: Tensor) -> Tensor:
        """Turn slices (B, 1, H, W) into logits (B, C, H, W); H and W are multiples of `self.multiple`."""
        return self.decode(*self.encode(slices))

    def encode(self, slices: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Turn slices into the features of the bottleneck and those of the levels above it, finest first."""
        x = F.pixel_unshuffle(slices, self.patch)
        skips: list[Tensor] = [] if self.fine is None else [self.fine.edges(slices)]
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
        coarse = skips if self.fine is None else skips[1:]
        for skip, block in zip(reversed(coarse), self.up, strict=True):
            x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
            x = block(torch.cat([skip, x], dim=1))
        logits = F.pixel_shuffle(self.head(x), self.patch)
        return logits if self.fine is None else logits + self.fine(x, skips[0])


class FineLevel(nn.Module):
    """A level of few channels on unfolded pixels beside a `UNet` that folds them.

    What the folded levels know of a patch is unfolded again, joined with the edges seen in the image itself, and turned into a correction
    of the logits. Its last layer starts at zero, so that the untrained network is the one without this level to the bit.

    Args:
        folded: Channels of the UNet's finest level.
        channels: Of this level.
        classes: Number of output channels.
        patch: See `UNet`.
    """

    def __init__(self, folded: int, channels: int, *, classes: int, patch: int) -> None:
        super().__init__()
        self.patch = patch
        self.edges = _convolution(1, channels)
        self.unfold = nn.Conv2d(folded, channels * patch**2, kernel_size=1)
        self.join = nn.Sequential(*_convolution(2 * channels, channels), *_convolution(channels, channels))
        self.correct = nn.Conv2d(channels, classes, kernel_size=1)
        for value in self.correct.parameters():
            nn.init.zeros_(value)

    def forward(self, folded: Tensor, edges: Tensor) -> Tensor:
        """Turn folded features (B, ., H / patch, W / patch) and what `edges` gives (B, ., H, W) into a correction (B, C, H, W)."""
        unfolded = F.pixel_shuffle(self.unfold(folded), self.patch)
        correction: Tensor = self.correct(self.join(torch.cat([edges, unfolded], dim=1)))
        return correction


def _double_convolution(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(*_convolution(inputs, outputs), *_convolution(outputs, outputs))


def _convolution(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))
