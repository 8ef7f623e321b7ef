"""Conformal intervals: half-widths that held the truth in the stated share of held-out patients (Vovk et al., 2005)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from shortaxis.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def conformal_half_width(truth: ArrayLike, predicted: ArrayLike, level: float = 0.9) -> float:
    """Half-width of a split-conformal interval around a prediction.

    It is the ⌈(n + 1) · level⌉-th smallest absolute error of n held-out patients. If a new patient is exchangeable with them, the interval
    holds the truth with at least the probability `level`.

    Args:
        truth: (n,) true values.
        predicted: (n,) predicted values, in the same unit.
        level: Wanted coverage in (0, 1).

    Returns:
        Half-width in the unit of the values.

    Raises:
        InputError: There are too few patients for the level.

    Examples:
        >>> conformal_half_width([0.0] * 9, [1, -2, 3, 4, 5, -6, 7, 8, 9])
        9.0
    """
    errors = np.sort(np.abs(np.asarray(truth, np.float64) - np.asarray(predicted, np.float64)))
    errors = errors[np.isfinite(errors)]
    rank = _rank(len(errors), level)
    if rank > len(errors):
        needed = math.ceil(level / (1 - level) - 1e-9)
        msg = f"{len(errors)} held-out patients with ED and ES are too few for intervals of {level:.0%}; hold out at least {needed}"
        raise InputError(msg)
    return float(errors[rank - 1])


def _rank(n: int, level: float) -> int:
    """Which of the n sorted errors is the half-width; the small number keeps 10 · 0.9 from becoming 10."""
    return math.ceil((n + 1) * level - 1e-9)
