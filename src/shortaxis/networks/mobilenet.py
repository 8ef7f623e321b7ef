"""The encoder of DeepLabV3+: MobileNetV2 (Sandler et al., CVPR 2018) without its classifier, at most 256 channels between its blocks."""

from __future__ import annotations

from typing import Final

from torch import Tensor, nn

# Table 2 of Sandler et al.: expansion factor, output channels, repetitions, stride of the first repetition. The last row has 320 channels
# there; the paper that this package follows allows 256 in the bottleneck.
_ROWS: Final = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 256, 1, 1))
_STEM_CHANNELS: Final = 32
_LOW_LEVEL_STRIDE: Final = 4


class MobileNetV2(nn.Module):
    """Features of one-channel slices at stride 4 and at the output stride.

    Args:
        output_stride: 16 or 8. From this stride on, strides become dilations, so that the receptive field stays the same.
        width: Multiplier of all channels, as in Sandler et al., Section 4.

    Attributes:
        low_channels: Channels of the features at stride 4; 24 at width 1.
        high_channels: Channels of the features at the output stride; 256 at width 1.
    """

    def __init__(self, output_stride: int = 16, width: float = 1.0) -> None:
        super().__init__()
        channels, reached, dilation = _widened(_STEM_CHANNELS, width), 2, 1
        shallow: list[nn.Module] = [convolution(1, channels, 3, stride=2, activation=nn.ReLU6)]
        deep: list[nn.Module] = []
        self.low_channels = channels
        for expansion, row_channels, repetitions, row_stride in _ROWS:
            outputs, stride, next_dilation = _widened(row_channels, width), row_stride, dilation
            if reached == output_stride:
                stride, next_dilation = 1, dilation * row_stride
            reached *= stride
            part = deep if reached > _LOW_LEVEL_STRIDE else shallow
            for repetition in range(repetitions):
                # The block that would have halved the resolution still sees undilated features; those after it do not.
                block = InvertedResidual(channels, outputs, expansion, stride=1 if repetition else stride, dilation=dilation)
                part.append(block)
                channels, dilation = outputs, next_dilation
            if part is shallow:
                self.low_channels = channels
        self.shallow = nn.Sequential(*shallow)
        self.deep = nn.Sequential(*deep)
        self.high_channels = channels

    def forward(self, slices: Tensor) -> tuple[Tensor, Tensor]:
        """Turn slices (B, 1, H, W) into features (B, `low_channels`, H/4, W/4) and (B, `high_channels`, H/S, W/S), S the output stride."""
        low = self.shallow(slices)
        return low, self.deep(low)


class InvertedResidual(nn.Module):
    """Widen, filter each channel on its own, narrow without activation; the input is added where shapes allow (Sandler et al., Fig. 3b)."""

    def __init__(self, inputs: int, outputs: int, expansion: int, *, stride: int, dilation: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        widen = [convolution(inputs, hidden, 1, activation=nn.ReLU6)] if expansion > 1 else []
        self.layers = nn.Sequential(
            *widen,
            convolution(hidden, hidden, 3, stride=stride, dilation=dilation, groups=hidden, activation=nn.ReLU6),
            convolution(hidden, outputs, 1, activation=None),
        )
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Turn features (B, inputs, H, W) into (B, outputs, H/stride, W/stride)."""
        y: Tensor = self.layers(x)
        return x + y if self.residual else y


def _widened(channels: int, width: float) -> int:
    """Channels times a multiplier, as a multiple of eight."""
    return max(8, round(channels * width / 8) * 8)


def convolution(
    inputs: int,
    outputs: int,
    size: int,
    *,
    stride: int = 1,
    dilation: int = 1,
    groups: int = 1,
    activation: type[nn.Module] | None = nn.ReLU,
) -> nn.Sequential:
    """A convolution that keeps the size (up to its stride), batch normalisation and, where wanted, an activation."""
    padding = dilation * (size // 2)
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, size, stride, padding, dilation, groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers) if activation is None else nn.Sequential(*layers, activation(inplace=True))
