"""Intervals by the percentile bootstrap over patients (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13).

The frames of a patient resemble each other, so whole patients are drawn, with replacement and all their frames. Every statistic of
the protocols is a function of sums over cases (a pooled DSC of voxel counts, a mean of values and their number, a correlation of second
moments). So one draw is a vector of multiplicities, and all draws of a statistic are one matrix product.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

    Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True)
class Resampling:
    """How the bootstrap draws.

    Attributes:
        rounds: Number of draws; 0 leaves all intervals undefined.
        seed: Seed of the generator; equal seeds give equal draws, and thus paired ones for all statistics of the same patients.
        level: Coverage of the interval.
    """

    rounds: int = 1000
    seed: int = 0
    level: float = 0.95

    def __post_init__(self) -> None:
        if self.rounds < 0 or not 0 < self.level < 1:
            msg = f"rounds must not be negative and level must lie between 0 and 1, not {self.rounds} and {self.level}"
            raise ValueError(msg)


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval.

    Attributes:
        value: The figure on all cases; NaN where undefined.
        low: Lower end of the interval; NaN with one patient or without draws.
        high: Upper end of the interval; NaN with one patient or without draws.
        unit: Unit of all three; empty for a pure number.
        n: Frames, or patients for an index, that the figure rests on.
        undefined: Frames or patients that could not enter, because the figure does not exist for them.
    """

    value: float
    low: float
    high: float
    unit: str
    n: int
    undefined: int = 0

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form; NaN becomes None."""
        return {
            "value": number(self.value),
            "low": number(self.low),
            "high": number(self.high),
            "unit": self.unit,
            "n": self.n,
            "undefined": self.undefined,
        }


@dataclass(frozen=True, eq=False)
class Figure:
    """A figure as a function of sums over cases, which is all that a bootstrap has to know of it.

    Attributes:
        patients: The patient of each case, (N,).
        moments: float64 (N, K), what is summed over the cases.
        statistic: Maps sums (..., K) to values (...).
        unit: Unit of the value; empty for a pure number.
        n: Cases that the figure rests on.
        undefined: Cases that could not enter.
    """

    patients: tuple[str, ...]
    moments: NDArray[np.float64]
    statistic: Statistic
    unit: str
    n: int
    undefined: int = 0

    @classmethod
    def mean(cls, patients: Sequence[str], values: ArrayLike, *, unit: str) -> Figure:
        """Mean over cases of the defined values; the others are counted as `undefined`.

        Args:
            patients: The patient of each case, (N,).
            values: (N,), NaN where undefined; or (N, S) for the mean over S columns of their means, as the average of three structures.
            unit: Unit of the result.

        Returns:
            The mean. With several columns a case counts as undefined when any column is.
        """
        array = np.asarray(values, np.float64)
        array = array.reshape(len(array), -1)
        defined = ~np.isnan(array)
        moments = np.concatenate([np.where(defined, array, 0.0), defined], axis=1)
        n = int(defined.all(1).sum())
        return cls(tuple(patients), moments, mean_of_ratios, unit, n, len(array) - n)


class PatientBootstrap:
    """The draws for one list of cases."""

    def __init__(self, patients: Sequence[str], resampling: Resampling | None = None) -> None:
        """Draw once; every estimate of this object then uses the same draws.

        Args:
            patients: The patient of each case, (N,).
            resampling: How to draw; the default is 1000 rounds for 95 %.
        """
        self.resampling = resampling or Resampling()
        # Sorted, so that the draws do not depend on the order of the files.
        names, index = np.unique(np.asarray(patients, str), return_inverse=True)
        self._membership = (np.arange(len(names))[:, None] == index).astype(np.float64)
        # One patient always draws itself: an interval of width zero would claim certainty.
        rounds = self.resampling.rounds if len(names) > 1 else 0
        generator = np.random.default_rng(self.resampling.seed)
        draws = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), rounds) if rounds else np.empty((0, len(names)))
        self._draws = draws.astype(np.float64)

    def estimate(self, moments: NDArray[Any], statistic: Statistic, *, unit: str, n: int, undefined: int = 0) -> Estimate:
        """A statistic of sums over cases, with its interval.

        Draws in which the statistic is undefined are left out of the percentiles.

        Args:
            moments: (N, K), what is summed over the cases.
            statistic: Maps sums (..., K) to values (...).
            unit: Unit of the result.
            n: What to report as the number of cases.
            undefined: What to report as the number of cases that could not enter.

        Returns:
            The figure and its percentile interval.
        """
        value, drawn = self._sample(moments, statistic)
        drawn = drawn[~np.isnan(drawn)]
        tail = (1 - self.resampling.level) / 2
        low, high = np.quantile(drawn, [tail, 1 - tail]) if drawn.size else (np.nan, np.nan)
        return Estimate(value, float(low), float(high), unit, n, undefined)

    def sample(self, figure: Figure) -> tuple[float, NDArray[np.float64]]:
        """A figure, whose cases are those of this object, and its value in every draw.

        Draws depend on the names of the patients and the resampling alone, so that those of two models on the same patients are pairs.

        Returns:
            The value on all cases, and float64 (rounds,), NaN where undefined; without a draw for one single patient.
        """
        return self._sample(figure.moments, figure.statistic)

    def _sample(self, moments: NDArray[Any], statistic: Statistic) -> tuple[float, NDArray[np.float64]]:
        by_patient = self._membership @ np.asarray(moments, np.float64)
        return float(statistic(by_patient.sum(0))), statistic(self._draws @ by_patient)

    def of(self, figure: Figure) -> Estimate:
        """A figure, whose cases are those of this object, with its interval."""
        return self.estimate(figure.moments, figure.statistic, unit=figure.unit, n=figure.n, undefined=figure.undefined)

    def mean(self, values: ArrayLike, *, unit: str) -> Estimate:
        """Mean over cases of the defined values; the others are counted as `undefined`.

        Args:
            values: (N,), NaN where undefined; or (N, S) for the mean over S columns of their means, as the average of three structures.
            unit: Unit of the result.

        Returns:
            The mean and its interval. With several columns a case counts as undefined when any column is.
        """
        return self.of(Figure.mean((), values, unit=unit))


def mean_of_ratios(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over S structures of numerator ÷ denominator; NaN when any of them is 0/0.

    Args:
        sums: (..., 2·S), S numerators and then S denominators.

    Returns:
        float64 (...).
    """
    numerators, denominators = np.split(sums, 2, axis=-1)
    with np.errstate(invalid="ignore"):
        return np.asarray((numerators / denominators).mean(-1))


def number(value: float) -> float | None:
    """The value as JSON can hold it: None for NaN and infinity."""
    return float(value) if np.isfinite(value) else None
