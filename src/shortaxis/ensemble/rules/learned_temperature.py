"""A temperature that is trained together with the members."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from shortaxis.ensemble.pooling import Pooled
    from shortaxis.ensemble.rules.weighing import Weighing

# Adam moves a parameter by about the learning rate a step, whatever its gradient: a thousand steps at 1e-3 would change the temperature
# e-fold at the most. With this factor it can reach any that makes sense.
_GAIN: Final = 10.0


class LearnedTemperature(nn.Module):
    """A weighing rule with its temperature τ as a parameter: `τ = τ_0 · exp(10 θ)`, θ = 0 at the start.

    The exponential keeps τ above zero. The parameter belongs to the ensemble: it is averaged, saved and loaded as the weights are, and
    weight decay draws it to τ_0.

    Args:
        rule: The rule whose temperature is learned; its own is τ_0.
    """

    def __init__(self, rule: Weighing) -> None:
        super().__init__()
        self.rule = rule
        # One element and not none: optimizers keep scalars of their own beside each parameter and must tell them apart.
        self.log_temperature = nn.Parameter(torch.zeros(1))

    @property
    def per_slice(self) -> bool:
        """Whether every slice has weights of its own."""
        return self.rule.per_slice

    @property
    def temperature(self) -> Tensor:
        """τ, of one element."""
        return self.rule.temperature * torch.exp(_GAIN * self.log_temperature)

    def forward(self, members: Tensor, averaging: Tensor, frame_of_slice: Tensor) -> Pooled:
        """Pool at the temperature of the moment."""
        return self.rule.pool(members, averaging, frame_of_slice, self.temperature.to(members.dtype))

    def extra_repr(self) -> str:
        """The rule; torch lists modules only."""
        return str(self.rule)
