"""Averages of the weights on the way of one training run: an exponential moving one, or a plain one over its last steps."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

M = TypeVar("M", bound=nn.Module)


class AveragedWeights(Generic[M]):
    """Keeps an average of a module's parameters and buffers.

    The decay of the moving average grows with the steps as (1 + t) / (10 + t) up to its final value, so that it forgets the start soon. The
    plain average (stochastic weight averaging; Izmailov et al., UAI 2018) weighs all steps from `first` on alike. Running statistics of
    normalisation layers are averaged as the weights are, and not measured anew.

    Args:
        module: The module to follow; the average starts as a copy of it.
        decay: Final decay per step; 0 follows the module exactly.
        first: Step from which on a plain average is taken, before which the module is followed exactly; None: a moving average.
    """

    def __init__(self, module: M, decay: float, *, first: int | None = None) -> None:
        self.module: M = copy.deepcopy(module).eval().requires_grad_(requires_grad=False)
        self.decay = decay
        self.first = first

    @torch.no_grad()
    def update(self, module: M, step: int) -> None:
        """Take in the weights after step `step` (counted from 0)."""
        decay = self._decay(step)
        mine, theirs = self.module.state_dict(), module.state_dict()
        floats = [name for name, value in mine.items() if value.is_floating_point()]
        torch._foreach_lerp_([mine[name] for name in floats], [theirs[name] for name in floats], 1 - decay)
        for name in mine.keys() - set(floats):
            mine[name].copy_(theirs[name])

    def _decay(self, step: int) -> float:
        """Share of the average that stays: (n - 1) / n at the n-th step of a plain average."""
        if self.first is None:
            return min(self.decay, (1 + step) / (10 + step))
        return 1 - 1 / max(step - self.first + 1, 1)
