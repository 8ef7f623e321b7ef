"""Fitting the meta-classifier of the pooling rule `meta`: penalised maximum likelihood on a sample of pixels, without a random result."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax

from shortaxis.ensemble.rules.meta import LEAST_PROBABILITY

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

PER_FRAME: Final = 1000
"""Pixels of a frame that are kept of those in doubt, and as many of the others."""
DOUBT: Final = 0.99
"""A pixel is in doubt where some member gives its true class less than this."""


@dataclass
class Examples:
    """A sample of pixels, each with a weight that makes up for those it stands for, so that the fit is that of all pixels.

    Nearly all pixels of a frame are background that every member is sure of and nobody can learn from; those in doubt are sampled apart.
    """

    _logs: list[NDArray[np.float64]] = field(default_factory=list)
    _classes: list[NDArray[np.intp]] = field(default_factory=list)
    _weights: list[NDArray[np.float64]] = field(default_factory=list)

    def add(self, members: Tensor, labels: Tensor, *, seed: int) -> None:
        """Add a frame.

        Args:
            members: Probabilities (N, D, C, G, G) of members that have not seen the patient.
            labels: (D, G, G).
            seed: Draws the pixels.
        """
        n, _, classes = members.shape[:3]
        said = members.permute(1, 3, 4, 0, 2).reshape(-1, n, classes)  # pixels first
        truth = labels.reshape(-1).long()
        doubt = (said[torch.arange(len(truth), device=truth.device), :, truth].amin(dim=1) < DOUBT).cpu().numpy()
        generator = np.random.default_rng((seed, n))
        for stratum in (np.flatnonzero(doubt), np.flatnonzero(~doubt)):
            if len(stratum):
                chosen = np.sort(generator.permutation(stratum)[:PER_FRAME])
                self._logs.append(said[chosen].clamp(min=LEAST_PROBABILITY).log().cpu().numpy().astype(np.float64))
                self._classes.append(truth[chosen].cpu().numpy())
                self._weights.append(np.full(len(chosen), len(stratum) / len(chosen)))

    def arrays(self) -> tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.float64]]:
        """Log-probabilities (P, N, C), true classes (P,), and weights (P,) that sum to one."""
        weights = np.concatenate(self._weights)
        return np.concatenate(self._logs), np.concatenate(self._classes), weights / weights.sum()


def fit_meta(examples: Examples, ridge: float) -> tuple[list[list[list[float]]], list[float], dict[str, Any]]:
    """Minimise the mean negative log-likelihood plus `ridge · |θ − θ₀|²`, θ₀ the geometric mean of the members.

    The objective is convex, and strictly so by the ridge: there is one solution, whatever the start.

    Args:
        examples: What to learn from.
        ridge: Pull towards θ₀.

    Returns:
        Coefficients (N, C, C) and bias (C,) of `shortaxis.ensemble.rules.meta.Meta`, and how well they do on the examples.
    """
    logs, classes, weights = examples.arrays()
    _, n, c = logs.shape
    start = np.concatenate([np.tile(np.eye(c) / n, (1, n)), np.zeros((c, 1))], axis=1)
    problem = _Problem(
        features=np.concatenate([logs.reshape(len(logs), n * c), np.ones((len(logs), 1))], axis=1),
        truth=np.eye(c)[classes],
        weights=weights,
        start=start,
        ridge=ridge,
    )
    solution = minimize(
        problem.value, start.ravel(), jac=problem.slope, hess=problem.curvature, method="trust-exact", options={"gtol": 1e-9}
    )
    theta = solution.x.reshape(start.shape)
    coefficients = theta[:, : n * c].reshape(c, n, c).transpose(1, 0, 2)
    facts = {
        "pixels": len(logs),
        "ridge": ridge,
        "objective_of_the_geometric_mean": round(problem.value(start.ravel()), 8),
        "objective": round(float(solution.fun), 8),
    }
    return np.round(coefficients, 6).tolist(), np.round(theta[:, -1], 6).tolist(), facts


@dataclass(frozen=True)
class _Problem:
    """The objective of `fit_meta` with its first and second derivatives, for P pixels, K features and C classes; θ is (C, K), flat.

    Attributes:
        features: (P, K).
        truth: One-hot (P, C).
        weights: (P,), summing to one.
        start: θ₀ (C, K).
        ridge: Of the penalty.
    """

    features: NDArray[np.float64]
    truth: NDArray[np.float64]
    weights: NDArray[np.float64]
    start: NDArray[np.float64]
    ridge: float

    def value(self, flat: NDArray[np.float64]) -> float:
        scores = self.features @ flat.reshape(self.start.shape).T
        likelihood = self.weights @ ((scores * self.truth).sum(axis=1) - logsumexp(scores, axis=1))
        return float(self.ridge * ((flat - self.start.ravel()) ** 2).sum() - likelihood)

    def slope(self, flat: NDArray[np.float64]) -> NDArray[np.float64]:
        excess = self.weights[:, None] * (self._probabilities(flat) - self.truth)
        away = flat - self.start.ravel()
        slope: NDArray[np.float64] = (excess.T @ self.features).ravel() + 2 * self.ridge * away
        return slope

    def curvature(self, flat: NDArray[np.float64]) -> NDArray[np.float64]:
        p = self._probabilities(flat)
        c, k = self.start.shape
        result = 2 * self.ridge * np.eye(c * k)
        for i in range(c):
            for j in range(c):
                each = self.weights * p[:, i] * ((i == j) - p[:, j])
                result[i * k : (i + 1) * k, j * k : (j + 1) * k] += self.features.T @ (each[:, None] * self.features)
        return result

    def _probabilities(self, flat: NDArray[np.float64]) -> NDArray[np.float64]:
        probabilities: NDArray[np.float64] = softmax(self.features @ flat.reshape(self.start.shape).T, axis=1)
        return probabilities
