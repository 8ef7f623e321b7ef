"""A UNet that looks along the stack where its features are coarsest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor, nn

from shortaxis.errors import InputError
from shortaxis.networks.stack import stack_distances
from shortaxis.networks.unet import UNet

if TYPE_CHECKING:
    from collections.abc import Sequence

# Slices further apart than this are told apart no more.
_REACH: Final = 6


class DepthUNet(UNet):
    """The UNet, with attention over the slices of each frame in its bottleneck.

    Neighbouring slices as channels bind pixels that need not belong together, since slices are taken in different breath-holds. In the
    bottleneck a pixel is about 10 mm wide, which forgives that; and what is to be known of the neighbours is as coarse: whether the
    ventricles go on there, and where. The context comes in through a gate that starts at zero, so that the untrained network is the 2D
    UNet to the bit and takes up context only as far as the loss asks for it.

    `needs_frames` tells the ensemble to hand over which slice belongs to which frame.

    Args:
        widths: See `UNet`.
        heads: Number of attention heads, a divisor of the bottleneck's channels.
        **options: See `UNet`.

    Raises:
        InputError: As `UNet`, or `heads` does not divide the channels.
    """

    needs_frames: Final = True

    def __init__(self, widths: Sequence[int] = (32, 64, 128, 256), *, heads: int = 4, **options: Any) -> None:
        super().__init__(widths, **options)
        self.context = DepthAttention(widths[-1], heads)

    def forward(self, slices: Tensor, frame_of_slice: Tensor | None = None, valid: Tensor | None = None) -> Tensor:
        """Turn slices into logits.

        Args:
            slices: float (B, 1, H, W).
            frame_of_slice: int64 (B,), the frame of each slice. None: all are one frame.
            valid: bool (B,), False for padding slices, at which no other slice looks. None: all are valid.

        Returns:
            (B, C, H, W).
        """
        if frame_of_slice is None:
            frame_of_slice = torch.zeros(len(slices), dtype=torch.long, device=slices.device)
        x, skips = self.encode(slices)
        return self.decode(self.context(x, frame_of_slice, valid), skips)


class DepthAttention(nn.Module):
    """Attention of each pixel to the same pixel in all slices of its frame (Vaswani et al., 2017), added through a gate.

    Each head has a bias for every distance in slices. It knows no direction: data sets differ in whether a stack begins at the base.

    Args:
        channels: Of the features.
        heads: Number of heads.

    Raises:
        InputError: `heads` does not divide `channels`.
    """

    def __init__(self, channels: int, heads: int = 4) -> None:
        super().__init__()
        if heads < 1 or channels % heads:
            msg = f"DepthUNet: {heads} heads do not divide the {channels} channels of the bottleneck"
            raise InputError(msg)
        self.heads = heads
        self.norm = nn.LayerNorm(channels)
        self.project = nn.Linear(channels, 3 * channels, bias=False)
        self.combine = nn.Linear(channels, channels)
        self.nearness = nn.Parameter(torch.zeros(heads, _REACH + 1))
        self.gate = nn.Parameter(torch.zeros(channels))

    def forward(self, features: Tensor, frame_of_slice: Tensor, valid: Tensor | None) -> Tensor:
        """Add context to features (B, C, h, w); for the others see `DepthUNet.forward`."""
        slices, channels, height, width = features.shape
        pixels = self.norm(features.permute(2, 3, 0, 1).reshape(height * width, slices, channels))
        query, key, value = self.project(pixels).reshape(height * width, slices, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        scores = query @ key.transpose(-1, -2) * (channels // self.heads) ** -0.5 + self._bias(frame_of_slice, valid)
        seen = (scores.softmax(dim=-1).to(value.dtype) @ value).transpose(1, 2).reshape(height * width, slices, channels)
        context: Tensor = (self.gate * self.combine(seen)).reshape(height, width, slices, channels).permute(2, 3, 0, 1)
        return features + context.to(features.dtype)

    def _bias(self, frame_of_slice: Tensor, valid: Tensor | None) -> Tensor:
        """What is added to the scores (heads, B, B): the bias of the distance, minus infinity across frames."""
        same, distance = stack_distances(frame_of_slice, valid)
        itself = torch.eye(len(same), dtype=torch.bool, device=same.device)  # so that a padding slice sees something
        return self.nearness[:, distance.clamp(max=_REACH)].masked_fill(~(same | itself), -torch.inf)
