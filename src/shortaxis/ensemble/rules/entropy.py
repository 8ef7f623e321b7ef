"""Members weighed by their entropy in place of their variance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from shortaxis.ensemble.rules.weighing import ConfidenceRule

if TYPE_CHECKING:
    from torch import Tensor

# Below it a probability counts as this in the logarithm, so that the gradient stays finite at zero.
_SMALLEST: Final = 1e-7


@dataclass(frozen=True)
class Entropy(ConfidenceRule):
    """The confidence is `1 - H(μ_i) / log C`: 1 for a member that is sure of one class, 0 where all classes are alike to it.

    H is Shannon's entropy over the classes of the mean over depth. Entropy and variance both rank a certain member first and a uniform one
    last. They differ in their range, 1 here and 1/4 there, so that the same temperature lets the weights go four times as far apart, and in
    between: near certainty the entropy is the steeper of the two.

    Attributes:
        temperature: See `member_weights`.
        outer_softmax: See `fixed_pooling`.
        radius: See `Weighing`.
    """

    def confidence(self, means: Tensor) -> Tensor:
        """One less the entropy as a share of its largest value."""
        entropy = -(means * means.clamp(min=_SMALLEST).log()).sum(dim=2)
        return 1 - entropy / math.log(means.shape[2])
