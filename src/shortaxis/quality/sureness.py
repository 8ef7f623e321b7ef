"""How sure the networks are of each structure of a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shortaxis.labels import FOREGROUND

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shortaxis.labels import Structure


def structure_sureness(labels: NDArray[np.uint8], probabilities: NDArray[np.float32]) -> dict[Structure, float]:
    """The Dice coefficient between the pooled probabilities of a frame and its labels: 1 where every voxel is decided.

    Args:
        labels: uint8 (D, H, W), values of `shortaxis.labels.Structure`.
        probabilities: float32 (C, D, H, W).

    Returns:
        For RV, myocardium and LV a number from 0 to 1; 0 for a structure without a voxel.
    """
    found = {}
    for structure in FOREGROUND:
        mask, probability = labels == structure, probabilities[structure]
        total = float(probability.sum()) + np.count_nonzero(mask)
        found[structure] = 2 * float(probability[mask].sum()) / total if mask.any() else 0.0
    return found
