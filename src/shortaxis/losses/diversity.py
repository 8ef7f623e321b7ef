"""Terms that keep the members of an ensemble apart: joint training lets them settle on the same mistakes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch

from shortaxis.errors import InputError
from shortaxis.losses.terms import SMALLEST, one_hot, weighted_mean

if TYPE_CHECKING:
    from torch import Tensor


class Diversity(Protocol):
    """A term that is small where members differ.

    Args:
        members: float32 (N, B, C, H, W), N ≥ 2.
        labels: int64 (B, H, W).
        weight: float32 (B,), as for `Loss`.
    """

    def __call__(self, members: Tensor, labels: Tensor, weight: Tensor, /) -> Tensor:
        """Return a scalar."""
        ...


def negative_correlation(members: Tensor, labels: Tensor, weight: Tensor) -> Tensor:  # noqa: ARG001
    """Negative correlation learning (Liu and Yao, Neural Networks 12, 1999).

    The penalty of member i is `(ŷ_i - ȳ) · Σ_{j≠i} (ŷ_j - ȳ) = -|ŷ_i - ȳ|²`, ȳ the plain mean of the members; here its mean over members
    and pixels. By the ambiguity decomposition (Krogh and Vedelsby, NIPS 1994) the squared error of ȳ is the mean squared error of the
    members plus this term, so a weight of 1 beside a squared error would train the mean alone, and 0 each member alone.

    Raises:
        InputError: There is a single member.
    """
    _refuse_one(members)
    spread = (members - members.mean(dim=0, keepdim=True)).square().sum(dim=2)
    return -weighted_mean(spread.mean(dim=(0, 2, 3)), weight)


def error_correlation(members: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
    """Correlation of the members' errors, mean over all pairs: what an average cannot take away (Ueda and Nakano, ICNN 1996).

    The errors are `e_i = ŷ_i - y` over all classes and pixels of the batch. Over the classes of a pixel they sum to zero, so their mean is
    zero and the correlation of two members is `e_i · e_j / (|e_i| |e_j|)`, in [-1, 1]. It has no unit: being wrong by more does not lower
    it.

    Raises:
        InputError: There is a single member.
    """
    _refuse_one(members)
    n = len(members)
    errors = ((members - one_hot(labels, members)) * weight.sqrt()[:, None, None, None]).flatten(1)
    directions: Tensor = errors / torch.linalg.vector_norm(errors, dim=1, keepdim=True).clamp(min=SMALLEST)
    # The squared length of the sum counts each pair twice and each member once.
    pairs = directions.sum(dim=0).square().sum() - directions.square().sum()
    return pairs / (n * (n - 1))


def _refuse_one(members: Tensor) -> None:
    if len(members) < 2:
        msg = "a diversity term needs at least two members; leave loss.diversity out of the recipe"
        raise InputError(msg)
