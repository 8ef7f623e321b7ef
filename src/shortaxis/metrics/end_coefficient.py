"""The End Coefficient (EC), Eq. 6 of the paper: how many frames are segmented well at the base and at the apex.

The end slices of a frame are the first two and the last two; a frame of one, two or three slices counts each slice once. Two readings
exist: `reference`, what the authors' code computes, and `paper`, what the text says. They differ in classes, in absent structures and in
the frames that count, so that their figures must not be mixed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shortaxis.labels import FOREGROUND, N_CLASSES
from shortaxis.metrics.overlap import dsc_of_confusion

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

THRESHOLD: Final = 0.8
"""A frame passes when the mean DSC of its end slices is strictly above this (Eq. 6)."""


def end_slices(depth: int) -> tuple[int, ...]:
    """Indices of the end slices in the order 0, −1, 1, −2 of the authors' code, each slice once.

    Args:
        depth: Number of slices D of the frame.

    Returns:
        Indices in [0, D).

    Raises:
        ValueError: The frame has no slice.

    Examples:
        >>> end_slices(10)
        (0, 9, 1, 8)
        >>> end_slices(3)
        (0, 2, 1)
    """
    if depth < 1:
        msg = f"a frame has at least one slice, not {depth}"
        raise ValueError(msg)
    return tuple(dict.fromkeys(index % depth for index in (0, -1, 1, -2)))


def reference_end_score(confusion: NDArray[Any]) -> float:
    """Mean end-slice DSC of one frame as the authors' code computes it.

    Per slice the mean over all four classes, background included, where a class that neither side has scores 1.0; then the mean over the
    end slices. It is defined for every frame, also where nothing is annotated.

    Args:
        confusion: Counts (D, C, C) of one frame, from `slice_confusion`.

    Returns:
        A number in [0, 1].

    Raises:
        ValueError: These are no counts (D, C, C).
    """
    ends = _ends(confusion)
    return float(dsc_of_confusion(ends, absent=1.0).mean())


def paper_end_score(confusion: NDArray[Any]) -> float:
    """Mean end-slice DSC of one frame as the paper's text says: "EC calculation considers only fully annotated end slices".

    Only end slices in which RV, MYO and LV are all annotated count; per slice the mean over the three, then the mean over those slices.

    Args:
        confusion: Counts (D, C, C) of one frame, from `slice_confusion`.

    Returns:
        A number in [0, 1], or NaN when no end slice is fully annotated: such a frame is not one of the K frames of Eq. 6.

    Raises:
        ValueError: These are no counts (D, C, C).
    """
    ends = _ends(confusion)
    annotated = (ends.sum(-1)[:, FOREGROUND] > 0).all(-1)
    return float(dsc_of_confusion(ends[annotated])[:, FOREGROUND].mean()) if annotated.any() else np.nan


def passes(score: ArrayLike) -> NDArray[np.float64]:
    """The indicator of Eq. 6 for each frame: 1 above the threshold, 0 otherwise, NaN for a frame that does not count.

    Args:
        score: Mean end-slice DSC of each frame in [0, 1], any shape; NaN where the frame does not count.

    Returns:
        float64 of the same shape.

    Raises:
        ValueError: A score lies outside [0, 1].
    """
    values = np.asarray(score, np.float64)
    stray = values[(values < 0) | (values > 1)]
    if stray.size:
        msg = f"the mean end-slice DSC of a frame lies in [0, 1], not at {stray[0]:g}; divide per cent by 100"
        raise ValueError(msg)
    return np.where(np.isnan(values), np.nan, values > THRESHOLD)


def end_coefficient(scores: ArrayLike) -> float:
    """Eq. 6: the share of the K frames whose mean end-slice DSC exceeds 0.8.

    Args:
        scores: (frames,) in [0, 1], from `reference_end_score` or `paper_end_score`; NaN frames are not among the K.

    Returns:
        A number in [0, 1], not in per cent, or NaN when no frame counts.

    Raises:
        ValueError: A score lies outside [0, 1].

    Examples:
        >>> end_coefficient([0.91, 0.70, 0.99, float("nan")])
        0.6666666666666666
    """
    indicator = passes(scores)
    counted = indicator[~np.isnan(indicator)]
    return float(counted.mean()) if counted.size else np.nan


def _ends(confusion: NDArray[Any]) -> NDArray[Any]:
    """The counts of the end slices."""
    if confusion.shape[1:] != (N_CLASSES, N_CLASSES):
        msg = f"the counts of a frame have shape (D, {N_CLASSES}, {N_CLASSES}), not {confusion.shape}; `slice_confusion` gives them"
        raise ValueError(msg)
    return confusion[list(end_slices(len(confusion)))]
