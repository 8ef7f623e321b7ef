"""A learned meta-classifier over the members: stacking in the sense of Wolpert, "Stacked generalization", Neural Networks 5 (1992)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch

from shortaxis.ensemble.pooling import Pooled
from shortaxis.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

LEAST_PROBABILITY: Final = 1e-4
"""What the meta-classifier takes for anything smaller: its logarithms stay within a range that a few weights can serve."""

Coefficients = tuple[tuple[tuple[float, ...], ...], ...]


@dataclass(frozen=True)
class Meta:
    """Multinomial logistic regression on the members' log-probabilities, the same at every pixel: a 1×1 convolution and a softmax.

    `softmax_c(b_c + Σ_i Σ_k W_ick log ŷ_ik)`. σ is none; ω̄_i is the share of member i in Σ|W|, the same everywhere.

    Attributes:
        coefficients: W as (N, C, C): member, class that is scored, class that the member speaks of. None: the identity over N for every
            member, which is the geometric mean of the members.
        bias: b as (C,); None is zero.
    """

    coefficients: Coefficients | None = None
    bias: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        try:
            if self.coefficients is not None:
                table = tuple(tuple(tuple(map(_finite, row)) for row in member) for member in self.coefficients)
                object.__setattr__(self, "coefficients", table)
            if self.bias is not None:
                object.__setattr__(self, "bias", tuple(map(_finite, self.bias)))
        except TypeError as error:
            msg = "meta pooling: coefficients must be numbers by member, scored class and spoken class, and bias numbers by class"
            raise InputError(msg) from error

    def __call__(self, members: Tensor, averaging: Tensor, frame_of_slice: Tensor) -> Pooled:  # noqa: ARG002
        """Pool by the meta-classifier."""
        weights, bias = self._tensors(members)
        scores = torch.einsum("nck,nbkhw->bchw", weights, members.clamp(min=LEAST_PROBABILITY).log()) + bias[:, None, None]
        strength = weights.abs().sum(dim=(1, 2))
        share = strength / strength.sum().clamp(min=1e-12)
        n, _, _, height, width = members.shape
        omega = share[:, None, None, None].expand(n, len(averaging), height, width)
        return Pooled(torch.softmax(scores, dim=1), None, omega)

    def _tensors(self, members: Tensor) -> tuple[Tensor, Tensor]:
        n, _, classes, _, _ = members.shape
        identity = torch.eye(classes, dtype=members.dtype, device=members.device).expand(n, classes, classes) / n
        weights = identity if self.coefficients is None else members.new_tensor(self.coefficients)
        bias = members.new_zeros(classes) if self.bias is None else members.new_tensor(self.bias)
        if weights.shape != (n, classes, classes) or bias.shape != (classes,):
            msg = f"meta pooling has coefficients {tuple(weights.shape)} and bias {tuple(bias.shape)} for {n} members of {classes} classes"
            raise InputError(msg)
        return weights, bias


def _finite(value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        msg = f"meta pooling: {value!r} is not a finite number"
        raise InputError(msg)
    return float(value)
