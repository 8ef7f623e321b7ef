"""Rules after the pattern of Eq. 3: a mean over slices, the confidence of each member in it, a softmax of that over the members.

`Weighing` is what they have in common with Eq. 3 itself; `ConfidenceRule` puts another confidence in the place of σ.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shortaxis.ensemble.pooling import Pooled, depth_mean, neighbourhood_matrix, weighted_pooling
from shortaxis.ensemble.rules.rule import check_switches
from shortaxis.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Weighing(ABC):
    """A rule that weighs the members pixel by pixel, over the whole frame or around each slice.

    Attributes:
        temperature: See `member_weights`.
        outer_softmax: See `fixed_pooling`.
        radius: How many slices to each side enter the mean of a slice: 0 looks at the slice alone, 1 at it and its two neighbours.
            None, the paper, takes the mean over the whole depth of the frame, so that all its slices share their weights.
    """

    temperature: float = 1.0
    outer_softmax: bool = True
    radius: int | None = None

    def __post_init__(self) -> None:
        name = type(self).__name__.lower()
        if not 0 < self.temperature < math.inf:
            msg = f"{name} pooling: the temperature must be a number above zero, not {self.temperature}"
            raise InputError(msg)
        if self.radius is not None and (type(self.radius) is not int or self.radius < 0):
            msg = f"{name} pooling: the radius must be a whole number of slices from 0 on, not {self.radius!r}"
            raise InputError(msg)
        check_switches(self, "outer_softmax")

    @property
    def per_slice(self) -> bool:
        """Whether every slice has weights of its own."""
        return self.radius is not None

    def __call__(self, members: Tensor, averaging: Tensor, frame_of_slice: Tensor) -> Pooled:
        """Pool at the rule's own temperature."""
        return self.pool(members, averaging, frame_of_slice, self.temperature)

    def sets(self, averaging: Tensor, frame_of_slice: Tensor) -> tuple[Tensor, Tensor | None]:
        """The sets of slices that means are taken over, (K, B), and the one that holds for each slice, (B,) or None where K = B."""
        if self.radius is None:
            return averaging, frame_of_slice
        return neighbourhood_matrix(averaging, frame_of_slice, self.radius), None

    @abstractmethod
    def pool(self, members: Tensor, averaging: Tensor, frame_of_slice: Tensor, temperature: float | Tensor) -> Pooled:
        """Pool at another temperature, which may be a tensor of one element."""


@dataclass(frozen=True)
class ConfidenceRule(Weighing):
    """Eq. 3 with another confidence than σ; a kind of confidence is one subclass."""

    @abstractmethod
    def confidence(self, means: Tensor) -> Tensor:
        """How far each member may be believed.

        Args:
            means: (N, K, C, H, W) mean probabilities of each member over K sets of slices.

        Returns:
            (N, K, H, W); more is better.
        """

    def pool(self, members: Tensor, averaging: Tensor, frame_of_slice: Tensor, temperature: float | Tensor) -> Pooled:
        """Pool at another temperature, which may be a tensor of one element."""
        sets, set_of_slice = self.sets(averaging, frame_of_slice)
        confidence = self.confidence(depth_mean(members, sets))
        return weighted_pooling(members, confidence, set_of_slice, temperature=temperature, outer_softmax=self.outer_softmax)
