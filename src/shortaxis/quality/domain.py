"""Whether a scan looks like those that the calibration knows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from shortaxis.errors import InputError
from shortaxis.quality.appearance import APPEARANCE

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHARE_INSIDE: Final = 0.95
"""Share of the calibration's own scans that count as inside."""
_SHRINKAGE: Final = 0.3
MOST_NAMED: Final = 3
_FAR: Final = 2.0
"""Standard deviations from which on a figure is named."""


@dataclass(frozen=True)
class KnownDomain:
    """Where the scans of the calibration lie among all that a scan could look like.

    Attributes:
        mean: Of each figure of `APPEARANCE`.
        deviation: Standard deviation of each.
        precision: Inverse of the correlation matrix, drawn a little towards independence; (K, K).
        limit: Mahalanobis distance above which a scan is outside.
        towards: Weights of the standardised figures whose sum rises from the known scans towards those of other hospitals that took part in
            the calibration (Fisher's linear discriminant); empty where none did.
        towards_limit: Sum above which a scan is outside.
        figures: Names of the figures, to notice a calibration of another version.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    precision: tuple[tuple[float, ...], ...]
    limit: float
    towards: tuple[float, ...] = ()
    towards_limit: float = 0.0
    figures: tuple[str, ...] = tuple(APPEARANCE)

    def __post_init__(self) -> None:
        if self.figures != tuple(APPEARANCE):
            msg = "the calibration describes scans by other figures than this version; make it again with `shortaxis calibrate`"
            raise InputError(msg)
        count = len(self.figures)
        parts = [np.array(part, np.float64) for part in (self.mean, self.deviation, self.precision)]
        whole = [part.shape for part in parts] == [(count,), (count,), (count, count)] and all(np.isfinite(part).all() for part in parts)
        towards = len(self.towards) in (0, count) and bool(np.isfinite(np.array(self.towards, np.float64)).all())
        limits = np.array([self.limit, self.towards_limit], np.float64)
        if not whole or not towards or min(self.deviation) <= 0 or np.isnan(limits).any():
            msg = "the known scans of the calibration are damaged; make it again with `shortaxis calibrate`"
            raise InputError(msg)

    def distance(self, figures: NDArray[np.float64]) -> float:
        """Mahalanobis distance of a scan, from `appearance`."""
        return float(_distances(figures[None], self)[0])

    def is_inside(self, figures: NDArray[np.float64] | None) -> bool:
        """Whether the scan looks like those of the calibration; one that cannot be described does not."""
        if figures is None or self.distance(figures) > self.limit:
            return False
        return not self.towards or float(self.standardised(figures) @ np.array(self.towards)) <= self.towards_limit

    def unlike(self, figures: NDArray[np.float64]) -> tuple[str, ...]:
        """In words, what differs most from the scans of the calibration, the farthest first; empty where no figure alone is far off."""
        apart = np.abs(self.standardised(figures))
        order = [place for place in np.argsort(-apart, kind="stable") if apart[place] > _FAR]
        return tuple(list(APPEARANCE.values())[place] for place in order[:MOST_NAMED])

    def standardised(self, figures: NDArray[np.float64]) -> NDArray[np.float64]:
        """The figures of a scan in standard deviations from the mean."""
        return np.asarray((figures - np.array(self.mean)) / np.array(self.deviation))


def learn_domain(scans: NDArray[np.float64], others: NDArray[np.float64] | None = None) -> KnownDomain:
    """Learn what known scans look like; each is held against the others of them to find the limits.

    Args:
        scans: Figures (n, K) of n known scans, one a patient.
        others: Figures (m, K) of scans of other hospitals that are not to count as known; None where there are none.
    """
    whole = _fit(scans, others)
    distances, sums = [], []
    for row in range(len(scans)):
        rest = _fit(np.delete(scans, row, axis=0), others)
        distances.append(_distances(scans[[row]], rest)[0])
        sums.append(float(rest.standardised(scans[row]) @ np.array(rest.towards)) if rest.towards else 0.0)
    limit, towards_limit = (float(np.quantile(values, SHARE_INSIDE)) for values in (distances, sums))
    return replace(whole, limit=limit, towards_limit=towards_limit)


def _fit(scans: NDArray[np.float64], others: NDArray[np.float64] | None) -> KnownDomain:
    mean, deviation = scans.mean(axis=0), scans.std(axis=0, ddof=1)
    deviation = np.maximum(deviation, 0.02)  # a protocol that never varies must not make every other one infinitely far
    standard = (scans - mean) / deviation
    correlation = standard.T @ standard / (len(scans) - 1)
    correlation = (1 - _SHRINKAGE) * correlation + _SHRINKAGE * np.eye(len(mean))
    precision = np.linalg.inv(correlation)
    rows = tuple(tuple(float(f"{value:.6g}") for value in row) for row in precision)
    towards: tuple[float, ...] = ()
    if others is not None and len(others):
        towards = tuple(float(f"{value:.6g}") for value in precision @ ((others - mean) / deviation).mean(axis=0))
    return KnownDomain(tuple(mean.round(6).tolist()), tuple(deviation.round(6).tolist()), rows, np.inf, towards)


def _distances(scans: NDArray[np.float64], domain: KnownDomain) -> NDArray[np.float64]:
    standard = (scans - np.array(domain.mean)) / np.array(domain.deviation)
    return np.asarray(np.sqrt(np.einsum("ni,ij,nj->n", standard, np.array(domain.precision), standard)))
