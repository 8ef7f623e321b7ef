"""Members weighed by their share in the mutual information of the ensemble."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from shortaxis.ensemble.rules.weighing import ConfidenceRule

if TYPE_CHECKING:
    from torch import Tensor

_SMALLEST: Final = 1e-7


@dataclass(frozen=True)
class MutualInformation(ConfidenceRule):
    """The confidence is `-KL(μ_i ‖ μ̄) / log C`, with μ̄ the mean of all members: 0 for a member that agrees with all, less for one apart.

    The mutual information between the class and the choice of a member, H(μ̄) - mean_i H(μ_i) (Houlsby et al., 2011), is a figure of the
    whole ensemble; it is also the mean over the members of KL(μ_i ‖ μ̄) (the Jensen-Shannon divergence; Lin, 1991), of which each member's
    part is taken here. With two members a consensus says little; three or more can outvote one.

    Attributes:
        temperature: See `member_weights`.
        outer_softmax: See `fixed_pooling`.
        radius: See `Weighing`.
    """

    def confidence(self, means: Tensor) -> Tensor:
        """The negative divergence from the mean of the members, as a share of log C."""
        consensus = means.mean(dim=0, keepdim=True)
        ratio = means.clamp(min=_SMALLEST).log() - consensus.clamp(min=_SMALLEST).log()
        return -(means * ratio).sum(dim=2) / math.log(means.shape[2])
