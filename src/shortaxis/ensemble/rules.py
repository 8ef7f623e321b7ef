"""The pooling rules by name, each a small frozen object around the pure functions of `pooling`. A new rule is one class and one line."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from shortaxis.ensemble.pooling import Pooled, fixed_pooling, uncertainty_pooling
from shortaxis.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


class PoolingRule(Protocol):
    """Turns member probabilities (N, B, C, H, W) into one prediction; see `pooling` for the shapes."""

    def __call__(self, members: Tensor, averaging: Tensor, frame_of_slice: Tensor) -> Pooled:
        """Pool the members."""
        ...


@dataclass(frozen=True)
class Fixed:
    """Eq. 2 with prior weights.

    Attributes:
        weights: One non-negative weight a member, summing to one; None means equal weights.
        outer_softmax: See `fixed_pooling`.
    """

    weights: tuple[float, ...] | None = None
    outer_softmax: bool = True

    def __post_init__(self) -> None:
        # Written so that NaN, which compares false with everything, is refused too.
        if self.weights is not None and not (all(weight >= 0 for weight in self.weights) and abs(sum(self.weights) - 1) <= 1e-6):
            msg = f"fixed pooling: the weights {list(self.weights)} must be non-negative and sum to one"
            raise InputError(msg)
        _check_switches(self, "outer_softmax")

    def __call__(self, members: Tensor, averaging: Tensor, frame_of_slice: Tensor) -> Pooled:  # noqa: ARG002
        """Pool by Eq. 2."""
        weights = self.weights or (1.0 / len(members),) * len(members)
        if len(weights) != len(members):
            msg = f"fixed pooling has {len(weights)} weights for {len(members)} members; give one weight a member"
            raise InputError(msg)
        return fixed_pooling(members, members.new_tensor(weights), averaging, outer_softmax=self.outer_softmax)


@dataclass(frozen=True)
class Uncertainty:
    """Eq. 3.

    Attributes:
        temperature: See `member_weights`.
        unbiased: See `channel_variance`.
        outer_softmax: See `fixed_pooling`.
    """

    temperature: float = 1.0
    unbiased: bool = True
    outer_softmax: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.temperature < math.inf:
            msg = f"uncertainty pooling: the temperature must be a number above zero, not {self.temperature}"
            raise InputError(msg)
        _check_switches(self, "outer_softmax", "unbiased")

    def __call__(self, members: Tensor, averaging: Tensor, frame_of_slice: Tensor) -> Pooled:
        """Pool by Eq. 3."""
        return uncertainty_pooling(
            members,
            averaging,
            frame_of_slice,
            temperature=self.temperature,
            unbiased=self.unbiased,
            outer_softmax=self.outer_softmax,
        )


POOLINGS: Final[dict[str, Callable[..., PoolingRule]]] = {"fixed": Fixed, "uncertainty": Uncertainty}


def build_pooling(name: str, **options: Any) -> PoolingRule:
    """Build a pooling rule by its registered name.

    Raises:
        InputError: The name is unknown, or the rule has no such option or refuses its value.
    """
    if name not in POOLINGS:
        msg = f"no pooling rule is called '{name}'; known are {', '.join(sorted(POOLINGS))}"
        raise InputError(msg)
    if isinstance(options.get("weights"), list):
        options["weights"] = tuple(options["weights"])
    try:
        return POOLINGS[name](**options)
    except TypeError as error:
        msg = f"pooling rule '{name}' does not take the options {options}: {error}"
        raise InputError(msg) from error


def _check_switches(rule: PoolingRule, *names: str) -> None:
    """Refuse what is neither true nor false: any text, such as "no", would count as true."""
    for name in names:
        if not isinstance(getattr(rule, name), bool):
            msg = f"{type(rule).__name__.lower()} pooling: {name} must be true or false, not {getattr(rule, name)!r}"
            raise InputError(msg)
