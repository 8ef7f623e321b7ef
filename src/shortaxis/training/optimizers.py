"""The optimizers and the decays of the learning rate that a recipe may name."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch.nn import Parameter
    from torch.optim import Optimizer as TorchOptimizer

    from shortaxis.training.recipe import Optimizer, Schedule

POWER: Final = 0.9
"""Exponent of the polynomial decay of nnU-Net, TransUNet and Swin-Unet."""


def optimizer_of(options: Optimizer, parameters: Sequence[Parameter]) -> TorchOptimizer:
    """Build the optimizer that a recipe's table asks for.

    Args:
        options: The table.
        parameters: What it changes, all on one device.
    """
    rate, decay = options.learning_rate, options.weight_decay
    fused = parameters[0].is_cuda or None
    match options.name:
        case "rmsprop":
            return torch.optim.RMSprop(parameters, lr=rate, weight_decay=decay, momentum=options.momentum, foreach=True)
        case "sgd":
            return torch.optim.SGD(
                parameters, lr=rate, weight_decay=decay, momentum=options.momentum, nesterov=options.nesterov, foreach=True
            )
        case "adam":
            return torch.optim.Adam(parameters, lr=rate, weight_decay=decay, fused=fused)
        case "adamw":
            return torch.optim.AdamW(parameters, lr=rate, weight_decay=decay, fused=fused)


def decay_of(schedule: Schedule, done: float) -> float:
    """Factor of the peak learning rate.

    Args:
        schedule: Names the decay.
        done: Share in [0, 1] of the steps behind the warm-up that are done.

    Examples:
        >>> from shortaxis.training.recipe import Schedule
        >>> decay_of(Schedule(steps=100, decay="exponential", final=0.01), 0.5)
        0.1
    """
    match schedule.decay:
        case "constant":
            return 1.0
        case "cosine":
            return (1 + math.cos(math.pi * done)) / 2
        case "polynomial":
            return float(max(1 - done, 0.0) ** POWER)
        case "exponential":
            return float(schedule.final**done)
        case "tenths":
            return 0.1 ** sum(done >= share for share in schedule.at)
