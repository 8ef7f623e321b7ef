"""Learning how wide intervals must be from patients that the networks have not seen."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy.optimize import minimize

from shortaxis.metrics.protocols import INDICES
from shortaxis.quality.intervals import LEVEL, Ends, Evidence, index_scales, parts_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

FOLDS: Final = 10
_SMALLEST: Final = 0.01
"""Scales below this share of the median evidence are not believed."""


@dataclass(frozen=True, eq=False)
class StudyErrors:
    """What one study teaches.

    Attributes:
        patient: The patient; studies of one patient never stand on both sides of a fold.
        evidence: See `Evidence`.
        errors: True value less predicted value of each index that the annotation knows.
    """

    patient: str
    evidence: Evidence
    errors: Mapping[str, float]


def fit_weights(studies: Sequence[StudyErrors]) -> dict[str, tuple[float, ...]]:
    """Weights under which the errors are most likely, each one normal with the predicted scale; see `IntervalModel.weights`."""
    weights = {}
    for name in INDICES:
        rows = [(parts_of(name, study.evidence), study.errors.get(name, math.nan)) for study in studies]
        known = [(parts, error) for parts, error in rows if parts is not None and math.isfinite(error)]
        if known:
            weights[name] = _most_likely(np.stack([parts for parts, _ in known]), np.array([error for _, error in known]))
    return weights


def _most_likely(parts: NDArray[np.float64], errors: NDArray[np.float64]) -> tuple[float, ...]:
    """Non-negative weights (K,) of parts (n, K), by the likelihood of the Laplace distribution, which yields to outliers."""
    typical = np.maximum(np.median(parts, axis=0), 1e-6)
    x, size = (parts / typical) ** 2, max(float(np.median(np.abs(errors))), 1e-6)
    y = np.abs(errors) / size

    def objective(squares: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        variance = x @ squares + _SMALLEST
        scale = np.sqrt(variance)
        value = (np.log(scale) + y / scale).mean() + 0.01 * squares.sum()
        slope = (0.5 / variance - 0.5 * y / scale**3) / len(y)
        return float(value), x.T @ slope + 0.01

    start = np.full(x.shape[1], 1 / x.shape[1])
    found = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=[(0, None)] * x.shape[1])
    return tuple(float(f"{value:.4g}") for value in size * np.sqrt(found.x) / typical)


def normalised_errors(studies: Sequence[StudyErrors], weights: Mapping[str, tuple[float, ...]]) -> dict[str, NDArray[np.float64]]:
    """Errors divided by their scales: of each index float64 (n,), NaN where it is not known."""
    result = {name: np.full(len(studies), np.nan) for name in INDICES}
    for row, study in enumerate(studies):
        for name, scale in index_scales(weights, study.evidence).items():
            if name in study.errors and scale > 0:
                result[name][row] = study.errors[name] / scale
    return result


def cross_fitted(studies: Sequence[StudyErrors]) -> dict[str, NDArray[np.float64]]:
    """As `normalised_errors`, each patient's with weights that were fitted without it."""
    patients = sorted({study.patient for study in studies})
    result = {name: np.full(len(studies), np.nan) for name in INDICES}
    for fold in range(min(FOLDS, len(patients))):
        out = set(patients[fold :: min(FOLDS, len(patients))])
        weights = fit_weights([study for study in studies if study.patient not in out])
        places = [row for row, study in enumerate(studies) if study.patient in out]
        for name, values in normalised_errors([studies[row] for row in places], weights).items():
            result[name][places] = values
    return result


def signed_ends(normalised: NDArray[np.float64], level: float = LEVEL) -> Ends | None:
    """Both ends, each missed by half of what the level leaves; None where there are too few patients to say.

    The upper end is the ⌈(n + 1)(1 + level) / 2⌉-th smallest of n normalised errors, the lower one its mirror image; if a new patient is
    exchangeable with them, the interval holds the truth with at least the probability `level`.

    Examples:
        >>> signed_ends(np.arange(-10.0, 10.0))
        Ends(low=-10.0, high=9.0, patients=20)
        >>> signed_ends(np.arange(9.0)) is None
        True
    """
    values = np.sort(normalised[np.isfinite(normalised)])
    n = len(values)
    rank = math.ceil((n + 1) * (1 + level) / 2 - 1e-9)
    if rank > n:
        rank = n
        if (n - 1) / (n + 1) < level - 0.02:  # the extremes of n patients hold a new one with this probability
            return None
    return Ends(float(values[n - rank]), float(values[rank - 1]), n)


def fit_ends(groups: Sequence[Mapping[str, NDArray[np.float64]]], at_least: Mapping[str, Ends] | None = None) -> dict[str, Ends]:
    """Ends of each index that serve every group: the farther of those of each.

    Args:
        groups: Normalised errors of each index; a group that knows too few of an index does not count for it.
        at_least: Ends that are not to be undercut.
    """
    result = {}
    for name in INDICES:
        found = [ends for group in groups if (ends := signed_ends(group[name])) is not None]
        if found:
            widest = found + ([at_least[name]] if at_least and name in at_least else [])
            lows, highs = [ends.low for ends in widest], [ends.high for ends in widest]
            result[name] = Ends(min(lows), max(highs), sum(ends.patients for ends in found))
    return result


def coverage(
    normalised: Mapping[str, NDArray[np.float64]],
    studies: Sequence[StudyErrors],
    weights: Mapping[str, tuple[float, ...]],
    counted: NDArray[np.bool_] | None = None,
) -> dict[str, Any]:
    """How often intervals hold the truth of patients whose errors did not enter their ends, and how wide they are on average.

    Args:
        normalised: From `cross_fitted` or `normalised_errors`.
        studies: In the same order.
        weights: For the widths.
        counted: bool (n,), the studies that count; None counts all. The ends are learnt from all in any case.

    Returns:
        Number of `studies`; of each index the share `held` and the `mean_width` in its unit, None where too few know it.
    """
    owners = np.array([study.patient for study in studies])
    scales = [index_scales(weights, study.evidence) for study in studies]
    counts = np.ones(len(studies), bool) if counted is None else counted
    figures: dict[str, Any] = {"studies": int(counts.sum())}
    for name in INDICES:
        values, held, widths = normalised[name], [], []
        for row in (row for row in np.flatnonzero(np.isfinite(values)) if counts[row]):
            ends = signed_ends(values[owners != owners[row]])
            if ends is not None:
                low, high = min(0.0, ends.low), max(0.0, ends.high)
                held.append(low <= values[row] <= high)
                widths.append((high - low) * scales[row][name])
        figures[name] = {"held": float(np.mean(held)), "mean_width": float(np.mean(widths))} if held else None
    return figures
