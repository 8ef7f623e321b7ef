"""The UNet with a ResNet-34 encoder of Parreño et al. (M&Ms challenge, STACOM 2020), the paper's "UNet (ResNet-34)"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shortaxis.errors import InputError
from shortaxis.labels import N_CLASSES
from shortaxis.networks.resnet import ResNetEncoder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_ENCODER_RATIO: Final = 4
_DECODER_RATIO: Final = 16


class ResNet34UNet(nn.Module):
    """A residual encoder with attention, a pyramid in the centre, and a head that sees all decoder levels at once (a hypercolumn).

    Args:
        widths: Channels of the four stages of the encoder.
        blocks: Residual blocks of each stage.
        decoder: Channels of every decoder level, a multiple of 16.
        classes: Number of output channels.

    Raises:
        InputError: A width is not a multiple of 4 from 4 to 512, there are not four stages, or the decoder does not fit.
    """

    def __init__(
        self,
        widths: Sequence[int] = (64, 128, 256, 512),
        *,
        blocks: Sequence[int] = (3, 4, 6, 3),
        decoder: int = 64,
        classes: int = N_CLASSES,
    ) -> None:
        super().__init__()
        if decoder % _DECODER_RATIO or not _DECODER_RATIO <= decoder <= 512:
            msg = f"ResNet34UNet: decoder must be a multiple of {_DECODER_RATIO} from {_DECODER_RATIO} to 512 channels, not {decoder}"
            raise InputError(msg)
        self.multiple = 16
        self.encoder = AttentiveEncoder(widths, blocks)
        inputs = [self.encoder.outputs, *[decoder] * 3]
        self.up = nn.ModuleList(_Up(a, skip, decoder) for a, skip in zip(inputs, reversed(widths), strict=True))
        self.last = nn.Sequential(
            _convolution(decoder, decoder // 2, 3, nn.ELU),
            _convolution(decoder // 2, decoder, 3, nn.ELU),
            Attention(decoder, _DECODER_RATIO),
        )
        self.head = nn.Conv2d(5 * decoder, classes, 3, padding=1)

    def forward(self, slices: Tensor) -> Tensor:
        """Turn slices (B, 1, H, W) into logits (B, C, H, W); H and W are multiples of `self.multiple`."""
        x, skips = self.encoder(slices)
        maps = []
        for up, skip in zip(self.up, reversed(skips), strict=True):
            x = up(x, skip)
            maps.append(x)
        maps.append(self.last(_resize(x, slices)))
        logits: Tensor = self.head(torch.cat([_resize(level, slices) for level in maps], dim=1))
        return logits

    def load_pretrained(self, path: Path | str) -> str:
        """Take the encoder's weights from a file of ImageNet weights; see `ResNetEncoder.load_pretrained`."""
        return self.encoder.features.load_pretrained(path)


class VendorClassifier(nn.Module):
    """The same encoder with a linear head, which says which scanner a slice comes from.

    Args:
        domains: Number of vendors.
        widths: See `ResNet34UNet`.
        blocks: See `ResNet34UNet`.
    """

    def __init__(self, domains: int = 3, *, widths: Sequence[int] = (64, 128, 256, 512), blocks: Sequence[int] = (3, 4, 6, 3)) -> None:
        super().__init__()
        self.encoder = AttentiveEncoder(widths, blocks)
        self.head = nn.Linear(self.encoder.outputs, domains)

    def forward(self, slices: Tensor) -> Tensor:
        """Turn slices (B, 1, H, W) into logits (B, domains)."""
        logits: Tensor = self.head(self.encoder(slices)[0].mean(dim=(2, 3)))
        return logits


class AttentiveEncoder(nn.Module):
    """A ResNet with attention behind each stage, then a feature pyramid and a pooling by two.

    Attributes:
        outputs: Channels of the coarsest features, half of those of the last stage.
    """

    def __init__(self, widths: Sequence[int], blocks: Sequence[int]) -> None:
        super().__init__()
        self.features = ResNetEncoder(widths, blocks)
        self.outputs = widths[-1] // 2
        self.attention = nn.ModuleList(Attention(width, _ENCODER_RATIO) for width in widths)
        self.centre = PyramidAttention(widths[-1], self.outputs)

    def forward(self, slices: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Turn slices into features at 1/32 and those of the stages at 1/2, 1/4, 1/8 and 1/16."""
        x, skips = self.features.stem(slices), []
        for stage, attention in zip(self.features.stages, self.attention, strict=True):
            x = attention(stage(x))
            skips.append(x)
        return F.max_pool2d(self.centre(x), 2, ceil_mode=True), skips


class Attention(nn.Module):
    """Concurrent squeeze and excitation in space and over channels (Roy et al., MICCAI 2018), summed.

    Args:
        channels: Of the features.
        ratio: By how much the channels are squeezed.
    """

    def __init__(self, channels: int, ratio: int) -> None:
        super().__init__()
        self.space = nn.Conv2d(channels, 1, kernel_size=1, bias=False)
        self.squeeze = nn.Conv2d(channels, channels // ratio, kernel_size=1)
        self.excite = nn.Conv2d(channels // ratio, channels, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """Weigh features (B, channels, H, W)."""
        squeezed = F.relu(self.squeeze(x.mean(dim=(2, 3), keepdim=True)))
        weighted: Tensor = x * (self.space(x).sigmoid() + self.excite(squeezed).sigmoid())
        return weighted


class PyramidAttention(nn.Module):
    """Feature pyramid attention (Li et al., BMVC 2018) with branches of 5x5 at half and 3x3 at a quarter of the resolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.image = nn.Conv2d(inputs, outputs, kernel_size=1, bias=False)
        self.own = _convolution(inputs, outputs, 1, nn.ELU)
        self.down = nn.ModuleList(_convolution(inputs, inputs, size, nn.ELU, stride=2) for size in (5, 3))
        self.side = nn.ModuleList(_convolution(inputs, outputs, size, nn.ELU) for size in (5, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Turn features (B, inputs, H, W) into (B, outputs, H, W)."""
        half = self.down[0](x)
        quarter = self.down[1](half)
        pyramid = self.side[0](half) + _resize(self.side[1](quarter), half)
        attended: Tensor = self.own(x) * _resize(pyramid, x) + self.image(x.mean(dim=(2, 3), keepdim=True))
        return attended


class _Up(nn.Module):
    """Doubles the resolution and joins the skip, half of the channels from each."""

    def __init__(self, inputs: int, skip: int, outputs: int) -> None:
        super().__init__()
        self.grow = nn.ConvTranspose2d(inputs, outputs // 2, 2, stride=2)
        self.join = nn.Conv2d(skip, outputs // 2, kernel_size=1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.attention = Attention(outputs, _DECODER_RATIO)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        height, width = skip.shape[-2:]  # an odd edge was rounded up when it was halved
        joined = torch.cat([self.grow(x)[..., :height, :width], self.join(skip)], dim=1)
        weighted: Tensor = self.attention(F.relu(self.norm(joined)))
        return weighted


def _convolution(inputs: int, outputs: int, size: int, activation: type[nn.Module], *, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, size, stride=stride, padding=size // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), activation())


def _resize(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)
