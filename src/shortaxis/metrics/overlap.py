"""Overlap of two segmentations: the Dice similarity coefficient (DSC), Eq. 5 of the paper, on masks and on confusion matrices.

What a structure that is absent scores
    Absent from one side only: 0, by Eq. 5 itself. Absent from both sides Eq. 5 is 0/0, and the caller says what that means with `absent`:
    the pooled DSC of the protocols `reference` and `paper` and the per-case DSC of `clinical` take NaN (undefined; counted, and left out
    of means), the end-slice DSC of `reference` takes 1.0, as the authors' code does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from shortaxis.labels import N_CLASSES

if TYPE_CHECKING:
    from numpy.typing import NDArray


def dsc(truth: NDArray[Any], prediction: NDArray[Any], *, absent: float = np.nan) -> float:
    """Dice similarity coefficient of two masks, Eq. 5: 2·|A ∩ B| / (|A| + |B|).

    Args:
        truth: Mask of any shape; what is not zero belongs to the structure.
        prediction: Mask of the same shape.
        absent: The score when both masks are empty.

    Returns:
        A number in [0, 1], or `absent`.

    Raises:
        ValueError: The shapes differ.

    Examples:
        >>> import numpy as np
        >>> dsc(np.array([1, 1, 0, 0]), np.array([0, 1, 1, 0]))
        0.5
    """
    _check_shapes(truth, prediction)
    a, b = truth.astype(bool), prediction.astype(bool)
    total = int(a.sum()) + int(b.sum())
    return 2 * int((a & b).sum()) / total if total else absent


def slice_confusion(truth: NDArray[np.uint8], prediction: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Count voxels by slice, true class and predicted class.

    Args:
        truth: uint8 (D, H, W), values of `shortaxis.labels.Structure`.
        prediction: uint8 (D, H, W), values of `Structure`.

    Returns:
        int64 (D, C, C); entry [d, i, j] counts the voxels of slice d whose true class is i and whose predicted class is j.

    Raises:
        ValueError: The shapes differ.
    """
    _check_shapes(truth, prediction)
    depth = len(truth)
    # One code a voxel and one count over all slices: a single pass, however many slices there are.
    code = (truth * np.uint8(N_CLASSES) + prediction).reshape(depth, -1).astype(np.intp)
    code += np.arange(depth)[:, None] * N_CLASSES**2
    return np.bincount(code.ravel(), minlength=depth * N_CLASSES**2).reshape(depth, N_CLASSES, N_CLASSES).astype(np.int64)


def dsc_parts(confusion: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Numerator and denominator of Eq. 5 for each class; both add up over frames, so that sums of them give the pooled DSC.

    Args:
        confusion: Counts (..., C, C), [..., true class, predicted class].

    Returns:
        2·|A ∩ B| and |A| + |B|, each float64 (..., C), in voxels.
    """
    overlap = np.diagonal(confusion, axis1=-2, axis2=-1)
    return 2.0 * overlap, (confusion.sum(-1) + confusion.sum(-2)).astype(np.float64)


def dsc_of_confusion(confusion: NDArray[Any], *, absent: float = np.nan) -> NDArray[np.float64]:
    """DSC (Eq. 5) of each class from confusion matrices.

    Args:
        confusion: Counts (..., C, C), [..., true class, predicted class].
        absent: The score of a class that neither side has.

    Returns:
        float64 (..., C) in [0, 1], or `absent`.
    """
    numerator, denominator = dsc_parts(confusion)
    scores = np.full(numerator.shape, absent, np.float64)
    np.divide(numerator, denominator, out=scores, where=denominator > 0)
    return scores


def _check_shapes(truth: NDArray[Any], prediction: NDArray[Any]) -> None:
    if truth.shape != prediction.shape:
        msg = f"truth has shape {truth.shape}, prediction {prediction.shape}; they must be equal"
        raise ValueError(msg)
