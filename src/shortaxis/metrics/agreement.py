"""Agreement of paired indices, such as the ejection fraction of a prediction and of the truth (Bland and Altman, Lancet 327:307, 1986).

Differences are prediction minus truth. All figures are functions of sums over the pairs, so that a bootstrap needs the sums only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import ArrayLike, NDArray

LIMIT: Final = 1.96
"""Half the width of the limits of agreement in standard deviations: 95 % of normally distributed differences."""

_ROUNDING: Final = 1e-12  # relative; a variance below this is rounding noise of equal values


@dataclass(frozen=True)
class Agreement:
    """Agreement of pairs, in the unit of the index (r has none).

    Attributes:
        n: Pairs in which both sides are defined.
        undefined: Pairs left out because a side is NaN.
        bias: Mean difference; NaN without a pair.
        sd: Standard deviation of the differences (n − 1); NaN for fewer than two pairs.
        mae: Mean absolute difference; NaN without a pair.
        r: Pearson's correlation; NaN for fewer than two pairs or when one side is constant.
        low: Lower limit of agreement, bias − 1.96 SD.
        high: Upper limit of agreement, bias + 1.96 SD.
    """

    n: int
    undefined: int
    bias: float
    sd: float
    mae: float
    r: float
    low: float
    high: float


def agreement(truth: ArrayLike, prediction: ArrayLike) -> Agreement:
    """Compare two measurements of the same patients.

    Args:
        truth: (N,) in the unit of the index; NaN where undefined.
        prediction: (N,) in the same unit and order.

    Returns:
        The figures; see `Agreement` for those that are NaN.

    Raises:
        ValueError: The two differ in length.
    """
    moments = agreement_moments(truth, prediction)
    bias, sd, mae, r = (float(statistic(moments.sum(0))) for statistic in AGREEMENT_STATISTICS.values())
    n = int(moments[:, 0].sum())
    return Agreement(n, len(moments) - n, bias, sd, mae, r, bias - LIMIT * sd, bias + LIMIT * sd)


def agreement_moments(truth: ArrayLike, prediction: ArrayLike) -> NDArray[np.float64]:
    """What has to be summed over pairs to know their agreement.

    Args:
        truth: (N,), NaN where undefined.
        prediction: (N,), NaN where undefined.

    Returns:
        float64 (N, 10): 1, d, |d|, d', d'², x', x'², y', y'², x'y', where d is the difference and a dash marks values centred on their
        mean, which keeps the variances exact. Undefined pairs are zero.

    Raises:
        ValueError: The two differ in length.
    """
    x, y = np.asarray(truth, np.float64), np.asarray(prediction, np.float64)
    if x.shape != y.shape or x.ndim != 1:
        msg = f"truth has shape {x.shape}, prediction {y.shape}; both must be one (N,)"
        raise ValueError(msg)
    defined = ~(np.isnan(x) | np.isnan(y))
    moments = np.zeros((len(x), 10))
    if defined.any():
        x, y = x[defined], y[defined]
        d = y - x
        centred, x, y = d - d.mean(), x - x.mean(), y - y.mean()
        moments[defined] = np.stack([np.ones_like(d), d, np.abs(d), centred, centred**2, x, x**2, y, y**2, x * y], axis=-1)
    return moments


def _bias(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore"):
        return np.asarray(sums[..., 1] / sums[..., 0])


def _mae(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore"):
        return np.asarray(sums[..., 2] / sums[..., 0])


def _sd(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    n, centred, squares = sums[..., 0], sums[..., 3], sums[..., 4]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(n > 1, np.sqrt(np.maximum(squares - centred**2 / n, 0) / (n - 1)), np.nan)


def _pearson(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    n, x, xx, y, yy, xy = np.moveaxis(sums[..., [0, 5, 6, 7, 8, 9]], -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance_x, variance_y = xx - x**2 / n, yy - y**2 / n
        varies = (variance_x > _ROUNDING * xx) & (variance_y > _ROUNDING * yy)
        return np.where(varies, np.clip((xy - x * y / n) / np.sqrt(variance_x * variance_y), -1, 1), np.nan)


AGREEMENT_STATISTICS: Final[Mapping[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]]] = {
    "bias": _bias,
    "sd": _sd,
    "mae": _mae,
    "r": _pearson,
}
"""Each figure of `Agreement` as a function of summed moments, float64 (..., 10) to (...); NaN where undefined."""
