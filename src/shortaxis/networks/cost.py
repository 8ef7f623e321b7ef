"""What a network costs: its parameters and its arithmetic."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

if TYPE_CHECKING:
    from torch import nn


class Cost(NamedTuple):
    """Size of a network.

    Attributes:
        parameters: Number of trained values.
        flops: Floating point operations of one slice forward, as `torch.utils.flop_counter` counts them: convolutions and matrix
            products, a multiplication and an addition being two.
    """

    parameters: int
    flops: int


def network_cost(network: nn.Module, size: int = 224) -> Cost:
    """Count the parameters of a network, and its arithmetic for one slice.

    Nothing is computed: a copy without storage runs on torch's `meta` device.

    Args:
        network: From (B, 1, H, W) to logits.
        size: Edge of the slice in pixels.

    Examples:
        >>> from shortaxis.networks import build_network
        >>> cost = network_cost(build_network("unet"))
        >>> f"{cost.parameters / 1e6:.2f} M parameters, {cost.flops / 1e9:.1f} GFLOPs"
        '1.95 M parameters, 16.2 GFLOPs'
    """
    shadow = deepcopy(network).to("meta").eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        shadow(torch.empty(1, 1, size, size, device="meta"))
    return Cost(sum(parameter.numel() for parameter in network.parameters()), counter.get_total_flops())
