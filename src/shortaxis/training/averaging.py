"""Exponential moving average of the weights."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

M = TypeVar("M", bound=nn.Module)


class AveragedWeights(Generic[M]):
    """Keeps an average of a module's parameters and buffers.

    The decay grows with the steps as (1 + t) / (10 + t) up to its final value, so that the average forgets the start soon.

    Args:
        module: The module to follow; the average starts as a copy of it.
        decay: Final decay per step; 0 follows the module exactly.
    """

    def __init__(self, module: M, decay: float) -> None:
        self.module: M = copy.deepcopy(module).eval().requires_grad_(requires_grad=False)
        self.decay = decay

    @torch.no_grad()
    def update(self, module: M, step: int) -> None:
        """Take in the weights after step `step` (counted from 0)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        mine, theirs = self.module.state_dict(), module.state_dict()
        floats = [name for name, value in mine.items() if value.is_floating_point()]
        torch._foreach_lerp_([mine[name] for name in floats], [theirs[name] for name in floats], 1 - decay)
        for name in mine.keys() - set(floats):
            mine[name].copy_(theirs[name])
