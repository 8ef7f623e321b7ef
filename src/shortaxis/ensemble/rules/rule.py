"""What every pooling rule has in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from shortaxis.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from shortaxis.ensemble.pooling import Pooled


class PoolingRule(Protocol):
    """Turns member probabilities (N, B, C, H, W) into one prediction; see `pooling` for the shapes.

    A rule is a small frozen object, or an `nn.Module` where it has something to learn: its parameters are then trained, averaged, saved and
    loaded with those of the members. A rule whose attribute `per_slice` is true weighs every slice on its own, so that its σ and ω̄ are
    (N, B, H, W) in place of (N, F, H, W).
    """

    def __call__(self, members: Tensor, averaging: Tensor, frame_of_slice: Tensor) -> Pooled:
        """Pool the members."""
        ...


def check_switches(rule: PoolingRule, *names: str) -> None:
    """Refuse what is neither true nor false: any text, such as "no", would count as true.

    Raises:
        InputError: One of the attributes is no bool.
    """
    for name in names:
        if not isinstance(getattr(rule, name), bool):
            msg = f"{type(rule).__name__.lower()} pooling: {name} must be true or false, not {getattr(rule, name)!r}"
            raise InputError(msg)
