"""What a prediction itself tells of each of its slices, without a truth at hand: the signs that the trust in a slice is built on.

Every sign is written so that more is worse. All are computed on the grid of the networks, where slices of every scanner look alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shortaxis.labels import FOREGROUND, Structure
from shortaxis.quality.uncertainty import entropy

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_SMALL_MM2: Final = 100.0


@dataclass(frozen=True, eq=False)
class _Frame:
    """One frame on the grid: pooled (C, D, G, G), member choices (N, D, G, G), pooled choice (D, G, G), area of a pixel in mm²."""

    pooled: NDArray[np.float32]
    choices: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    pixel_mm: tuple[float, float]

    @property
    def pixel_mm2(self) -> float:
        return self.pixel_mm[0] * self.pixel_mm[1]

    def masks(self) -> NDArray[np.bool_]:
        """Predicted masks (3, D, G, G) of RV, MYO and LV."""
        return np.stack([self.labels == structure for structure in FOREGROUND])

    def areas_mm2(self) -> NDArray[np.float64]:
        """Predicted areas (3, D)."""
        return np.asarray(self.masks().sum(axis=(2, 3)) * self.pixel_mm2, np.float64)


def member_disagreement(frame: _Frame) -> NDArray[np.float64]:
    """1 - DSC between the members, mean over pairs and over the structures that either sees; 0 where none sees any."""
    scores = []
    for first, second in combinations(frame.choices, 2):
        masks = np.stack([(first == s, second == s) for s in FOREGROUND])
        both = (masks[:, 0] & masks[:, 1]).sum(axis=(2, 3))
        total = masks.sum(axis=(1, 3, 4))
        scores.append(_mean_present(1 - _ratio(2 * both, total), total > 0))
    return np.mean(scores, axis=0) if scores else np.zeros(frame.labels.shape[0])


def softness(frame: _Frame) -> NDArray[np.float64]:
    """1 - the DSC that the probabilities themselves expect of the mask, mean over the predicted structures; 0 where none is predicted."""
    masks = frame.masks()
    soft = frame.pooled[1:]
    overlap = 2 * np.where(masks, soft, 0).sum(axis=(2, 3), dtype=np.float64)
    total = soft.sum(axis=(2, 3), dtype=np.float64) + masks.sum(axis=(2, 3))
    return _mean_present(1 - _ratio(overlap, total), np.any(masks, axis=(2, 3)))


def edge_entropy(frame: _Frame) -> NDArray[np.float64]:
    """Entropy summed over the slice, per length of a circle with the heart's area (at least 1 cm²): how wide the unsure rim is, in mm."""
    unsure = entropy(frame.pooled).sum(axis=(1, 2), dtype=np.float64) * frame.pixel_mm2
    heart = frame.areas_mm2().sum(axis=0)
    return np.asarray(unsure / np.sqrt(4 * np.pi * np.maximum(heart, _SMALL_MM2)), np.float64)


def faint_structure(frame: _Frame) -> NDArray[np.float64]:
    """Largest soft area in cm² of a structure that the mask leaves out of the slice: something may be missing here."""
    soft = frame.pooled[1:].sum(axis=(2, 3), dtype=np.float64) * frame.pixel_mm2 / 100
    return np.asarray(np.where(frame.masks().any(axis=(2, 3)), 0, soft).max(axis=0), np.float64)


def missing_structure(frame: _Frame) -> NDArray[np.float64]:
    """Number of structures that the neighbour towards the middle shows and this slice does not."""
    present = np.any(frame.masks(), axis=(2, 3))
    return np.asarray((_neighbour(present) & ~present).sum(axis=0), np.float64)


def area_change(frame: _Frame) -> NDArray[np.float64]:
    """Largest change of a structure's area against the neighbour towards the middle, as |log ratio| of areas of at least 1 cm²."""
    logarithm = np.log(np.maximum(frame.areas_mm2(), _SMALL_MM2))
    return np.asarray(np.abs(logarithm - _neighbour(logarithm)).max(axis=0), np.float64)


def centroid_jump(frame: _Frame) -> NDArray[np.float64]:
    """Distance in cm between the heart's centroid and that of the neighbour towards the middle; 0 where either slice is empty."""
    heart = frame.labels != Structure.BACKGROUND
    count = heart.sum(axis=(1, 2))
    rows, columns = np.arange(heart.shape[1]) * frame.pixel_mm[0], np.arange(heart.shape[2]) * frame.pixel_mm[1]
    centres = np.stack([(heart.sum(axis=2) * rows).sum(axis=1), (heart.sum(axis=1) * columns).sum(axis=1)]) / np.maximum(count, 1)
    distance = np.linalg.norm(centres - _neighbour(centres), axis=0) / 10
    return np.where((count > 0) & (_neighbour(count) > 0), distance, 0.0)


def smallness(frame: _Frame) -> NDArray[np.float64]:
    """Inverse radius in 1/cm of a circle with the heart's area (at least 1 cm²): a small section is hard to hit."""
    heart = np.maximum(frame.areas_mm2().sum(axis=0), _SMALL_MM2)
    return np.asarray(10 / np.sqrt(heart / np.pi), np.float64)


def endness(frame: _Frame) -> NDArray[np.float64]:
    """1 for the first and last slice, 1/2 for the second and last but one, 0 for the others."""
    depth = len(frame.labels)
    distance = np.minimum(np.arange(depth), np.arange(depth)[::-1])
    return np.asarray(np.maximum(0, 1 - distance / 2), np.float64)


FEATURES: Final[dict[str, Callable[[_Frame], NDArray[np.float64]]]] = {
    function.__name__: function
    for function in (
        member_disagreement,
        softness,
        edge_entropy,
        faint_structure,
        missing_structure,
        area_change,
        centroid_jump,
        smallness,
        endness,
    )
}


def slice_features(
    pooled: NDArray[np.floating], members: NDArray[np.floating], pixel_mm: tuple[float, float]
) -> dict[str, NDArray[np.float64]]:
    """Compute every sign of every slice of one frame.

    Args:
        pooled: (C, D, G, G) pooled probabilities on the grid.
        members: (N, C, D, G, G) member probabilities on the grid.
        pixel_mm: Edges of a grid pixel in mm, (y, x).

    Returns:
        Name of the sign to float64 (D,).
    """
    frame = _Frame(
        np.asarray(pooled, np.float32),
        np.argmax(members, axis=1).astype(np.uint8),
        np.argmax(pooled, axis=0).astype(np.uint8),
        pixel_mm,
    )
    return {name: compute(frame) for name, compute in FEATURES.items()}


def _neighbour(values: NDArray[Any]) -> NDArray[Any]:
    """Values (..., D) of the neighbour one step nearer to the middle; the middle slice of an odd number looks at the one before it."""
    depth = values.shape[-1]
    index = np.arange(depth)
    step = np.where(index < depth / 2 - 0.5, 1, -1)
    return values[..., np.clip(index + step, 0, depth - 1)]


def _ratio(numerator: NDArray[np.floating], denominator: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.asarray(np.divide(numerator, denominator, out=np.ones(denominator.shape), where=denominator > 0), np.float64)


def _mean_present(values: NDArray[np.float64], present: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean over the first axis of what is present; 0 where nothing is."""
    return np.asarray(np.where(present, values, 0).sum(axis=0) / np.maximum(present.sum(axis=0), 1), np.float64)
