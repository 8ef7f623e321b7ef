"""DeepLabV3+ (Chen et al., ECCV 2018, arXiv 1802.02611), the paper's D3P: at most 256 channels in the bottleneck."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shortaxis.errors import InputError
from shortaxis.labels import N_CLASSES
from shortaxis.networks.mobilenet import MobileNetV2, convolution

if TYPE_CHECKING:
    from collections.abc import Sequence

_LOW_LEVEL_CHANNELS: Final = 48
_DECODER_STRIDE: Final = 4


class DeepLabV3Plus(nn.Module):
    """MobileNetV2 features, atrous spatial pyramid pooling, and a decoder that joins them with features at stride 4.

    A 224x224 slice is 14x14 at output stride 16, where the side taps of rate 18 fall on padding only: that branch then acts as a 1x1
    convolution. Rates that all reach the image there are (3, 6, 9); the default is the published one.

    Args:
        channels: Channels of the pyramid and of the decoder.
        classes: Number of output channels.
        dropout: Probability of dropping a whole channel after the pyramid.
        output_stride: Pixels of the slice along the edge of one pixel in the pyramid, 16 or 8.
        rates: Dilations of the pyramid at output stride 16; at 8 they are doubled, so that they span the same part of the slice.
        width: Multiplier of the encoder's channels; 1 is the published encoder, and the paper's.

    Raises:
        InputError: `channels` exceeds 256, `width` is not above 0 and at most 1, `rates` is empty or has one outside 1 to 64, or the output
            stride is neither 16 nor 8.
    """

    def __init__(
        self,
        channels: int = 256,
        *,
        classes: int = N_CLASSES,
        dropout: float = 0.5,
        output_stride: int = 16,
        rates: Sequence[int] = (6, 12, 18),
        width: float = 1.0,
    ) -> None:
        super().__init__()
        if not 1 <= channels <= 256:
            msg = f"DeepLabV3+: channels must be 1 to 256, not {channels}"
            raise InputError(msg)
        if output_stride not in {8, 16}:
            msg = f"DeepLabV3+: output_stride must be 16 or 8, not {output_stride}"
            raise InputError(msg)
        if not 1 <= len(rates) <= 8 or min(rates) < 1 or max(rates) > 64:
            msg = f"DeepLabV3+: rates must be one to eight dilations from 1 to 64, not {list(rates)}"
            raise InputError(msg)
        if not 0 < width <= 1:
            msg = f"DeepLabV3+: width must be above 0 and at most 1, not {width}"
            raise InputError(msg)
        self.multiple = output_stride
        self.encoder = MobileNetV2(output_stride, width)
        self.pyramid = AtrousPyramid(self.encoder.high_channels, channels, [rate * 16 // output_stride for rate in rates])
        self.dropout = nn.Dropout2d(dropout)
        self.reduce = convolution(self.encoder.low_channels, _LOW_LEVEL_CHANNELS, 1)
        self.decoder = nn.Sequential(convolution(channels + _LOW_LEVEL_CHANNELS, channels, 3), convolution(channels, channels, 3))
        self.head = nn.Conv2d(channels, classes, kernel_size=1)

    def forward(self, slices: Tensor) -> Tensor:
        """Turn slices (B, 1, H, W) into logits (B, C, H, W); H and W are multiples of `self.multiple`."""
        low, high = self.encoder(slices)
        x = _enlarge(self.dropout(self.pyramid(high)), self.multiple // _DECODER_STRIDE)
        x = self.decoder(torch.cat([self.reduce(low), x], dim=1))
        return _enlarge(self.head(x), _DECODER_STRIDE)


class AtrousPyramid(nn.Module):
    """A 1x1 convolution, dilated 3x3 convolutions and the mean of the whole image side by side, joined by a 1x1 convolution."""

    def __init__(self, inputs: int, channels: int, rates: Sequence[int]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [convolution(inputs, channels, 1), *(convolution(inputs, channels, 3, dilation=rate) for rate in rates)]
        )
        # One value a channel and slice is too little for batch statistics: they would depend on the neighbours in the batch, and a batch
        # of one slice has none. So this branch has a bias in place of the normalisation.
        self.image = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(inputs, channels, 1), nn.ReLU(inplace=True))
        self.join = convolution(channels * (len(rates) + 2), channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Turn features (B, inputs, H, W) into (B, channels, H, W)."""
        image = self.image(x).expand(-1, -1, *x.shape[-2:])
        joined: Tensor = self.join(torch.cat([*(branch(x) for branch in self.branches), image], dim=1))
        return joined


def _enlarge(x: Tensor, factor: int) -> Tensor:
    return F.interpolate(x, scale_factor=float(factor), mode="bilinear", align_corners=False)
