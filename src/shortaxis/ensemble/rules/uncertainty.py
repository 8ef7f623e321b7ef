"""Eq. 3 of the paper as a rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shortaxis.ensemble.pooling import uncertainty_pooling
from shortaxis.ensemble.rules.rule import check_switches
from shortaxis.ensemble.rules.weighing import Weighing

if TYPE_CHECKING:
    from torch import Tensor

    from shortaxis.ensemble.pooling import Pooled


@dataclass(frozen=True)
class Uncertainty(Weighing):
    """Eq. 3, by `uncertainty_pooling`.

    Attributes:
        temperature: See `member_weights`.
        outer_softmax: See `fixed_pooling`.
        radius: See `Weighing`.
        unbiased: See `channel_variance`.
    """

    unbiased: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_switches(self, "unbiased")

    def pool(self, members: Tensor, averaging: Tensor, frame_of_slice: Tensor, temperature: float | Tensor) -> Pooled:
        """Pool at another temperature, which may be a tensor of one element."""
        sets, set_of_slice = self.sets(averaging, frame_of_slice)
        return uncertainty_pooling(
            members, sets, set_of_slice, temperature=temperature, unbiased=self.unbiased, outer_softmax=self.outer_softmax
        )
