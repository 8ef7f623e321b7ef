"""Eq. 3 of the paper as a rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shortaxis.ensemble.pooling import variance_over_channels
from shortaxis.ensemble.rules.rule import check_switches
from shortaxis.ensemble.rules.weighing import Weighing

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Uncertainty(Weighing):
    """Eq. 3: the confidence is σ, the variance over channels of the mean over depth.

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

    def confidence(self, means: Tensor) -> Tensor:
        """σ of Eq. 3."""
        return variance_over_channels(means, unbiased=self.unbiased)
