"""Fitting the meta-classifier of the pooling rule `meta`: penalised maximum likelihood on a sample of pixels, without a random result."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp

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
        doubt = (said[range(len(truth)), :, truth].amin(dim=1) < DOUBT).cpu().numpy()
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
    features = np.concatenate([logs.reshape(len(logs), n * c), np.ones((len(logs), 1))], axis=1)
    start = np.concatenate([np.tile(np.eye(c) / n, (1, n)), np.zeros((c, 1))], axis=1)
    truth = np.eye(c)[classes]

    def objective(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        theta = flat.reshape(start.shape)
        scores = features @ theta.T
        normaliser = logsumexp(scores, axis=1, keepdims=True)
        excess = weights[:, None] * (np.exp(scores - normaliser) - truth)
        loss = float(weights @ (normaliser[:, 0] - (scores * truth).sum(axis=1)))
        away = theta - start
        return loss + ridge * float((away**2).sum()), (excess.T @ features + 2 * ridge * away).ravel()

    solution = minimize(objective, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 500, "ftol": 1e-12, "gtol": 1e-8})
    theta = solution.x.reshape(start.shape)
    coefficients = theta[:, : n * c].reshape(c, n, c).transpose(1, 0, 2)
    facts = {
        "pixels": len(logs),
        "ridge": ridge,
        "objective_of_the_geometric_mean": round(objective(start.ravel())[0], 8),
        "objective": round(float(solution.fun), 8),
    }
    return np.round(coefficients, 6).tolist(), np.round(theta[:, -1], 6).tolist(), facts
