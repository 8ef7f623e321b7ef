"""Pixel-wise uncertainty of an ensemble, from the probabilities of its members."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SMALLEST: Final = 1e-12


def entropy(probabilities: NDArray[np.floating]) -> NDArray[np.float32]:
    """Shannon entropy over the classes, as a share of its largest value log C.

    Args:
        probabilities: (C, ...), summing to one over C.

    Returns:
        float32 (...), 0 for a certain class, 1 where all classes are equally likely.
    """
    p = np.asarray(probabilities, np.float32)
    bits = -(p * np.log(np.maximum(p, _SMALLEST))).sum(axis=0)
    return np.asarray(np.clip(bits / np.log(len(p)), 0, 1), np.float32)


def mutual_information(members: NDArray[np.floating]) -> NDArray[np.float32]:
    """Entropy of the mean prediction less the mean entropy of the members: what the members disagree about (Houlsby et al., 2011).

    Args:
        members: (N, C, ...) probabilities of the members.

    Returns:
        float32 (...), as a share of log C; 0 where all members say the same.
    """
    parts = np.mean([entropy(member) for member in members], axis=0)
    return np.asarray(np.clip(entropy(np.mean(members, axis=0)) - parts, 0, 1), np.float32)


def disagreement(members: NDArray[np.floating]) -> NDArray[np.float32]:
    """Share of pairs of members that choose different classes.

    Args:
        members: (N, C, ...) probabilities of the members.

    Returns:
        float32 (...), 0 for an ensemble of one.
    """
    chosen = np.argmax(members, axis=1)
    n = len(chosen)
    if n < 2:
        return np.zeros(chosen.shape[1:], np.float32)
    differing = sum((chosen[i] != chosen[j]).astype(np.float32) for i in range(n) for j in range(i))
    return np.asarray(differing / (n * (n - 1) / 2), np.float32)
