"""Overlap of two segmentations: the Dice similarity coefficient (DSC), Eq. 5 of the paper, on counts, masks and confusion matrices.

Eq. 5 itself is `dsc_of_counts`; whatever has a DSC counts its voxels and calls it.

What a structure that is absent scores
    Absent from one side only: 0, by Eq. 5 itself. Absent from both sides Eq. 5 is 0/0, and the caller says what that means with `absent`:
    the pooled DSC of the protocols `reference` and `paper` and the per-case DSC of `clinical` take NaN (undefined; counted, and left out
    of means), the end-slice DSC of `reference` takes 1.0, as the authors' code does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shortaxis.labels import FOREGROUND, N_CLASSES, Structure

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

NEXT_TO_NOTHING: Final = 0.1
FITTING: Final = 0.5
"""The DSC below which a structure is missed, and above which it is found."""


def dsc_of_counts(overlap: ArrayLike, sizes: ArrayLike, *, absent: float = np.nan) -> NDArray[np.float64]:
    """Dice similarity coefficient, Eq. 5: 2·|A ∩ B| / (|A| + |B|).

    Args:
        overlap: |A ∩ B|, any shape, in voxels; 100 times that gives the DSC in per cent.
        sizes: |A| + |B| in voxels, a shape that broadcasts with it.
        absent: The score where both are empty.

    Returns:
        float64 of the common shape, in [0, 1], or `absent`.

    Examples:
        >>> float(dsc_of_counts(1, 4))
        0.5
    """
    numerator, denominator = np.broadcast_arrays(2.0 * np.asarray(overlap), np.asarray(sizes, np.float64))
    scores = np.full(numerator.shape, absent, np.float64)
    np.divide(numerator, denominator, out=scores, where=denominator > 0)
    return scores


def dsc(truth: NDArray[Any], prediction: NDArray[Any], *, absent: float = np.nan) -> float:
    """Dice similarity coefficient of two masks, Eq. 5.

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
    return float(dsc_of_counts((a & b).sum(), a.sum() + b.sum(), absent=absent))


def slice_confusion(truth: NDArray[np.uint8], prediction: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Count voxels by slice, true class and predicted class.

    Args:
        truth: uint8 (D, H, W), values of `shortaxis.labels.Structure`.
        prediction: uint8 (D, H, W), values of `Structure`.

    Returns:
        int64 (D, C, C); entry [d, i, j] counts the voxels of slice d whose true class is i and whose predicted class is j.

    Raises:
        ValueError: The shapes differ, or a value is no class.

    Examples:
        >>> import numpy as np
        >>> slice_confusion(np.array([[[0, 1, 2, 3]]]), np.array([[[0, 1, 3, 3]]]))[0].tolist()
        [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 1]]
    """
    _check_shapes(truth, prediction)
    for side, labels in (("truth", truth), ("prediction", prediction)):
        if labels.dtype.kind not in "iu" or labels.min(initial=0) < 0 or labels.max(initial=0) >= N_CLASSES:
            msg = f"the {side} must be integer labels 0 to {N_CLASSES - 1}; translate them with `LabelScheme.to_canonical` first"
            raise ValueError(msg)
    depth = len(truth)
    # One code a voxel and one count over all slices: a single pass, however many slices there are.
    code = (truth * np.uint8(N_CLASSES) + prediction).reshape(depth, -1).astype(np.intp)
    code += np.arange(depth)[:, None] * N_CLASSES**2
    return np.bincount(code.ravel(), minlength=depth * N_CLASSES**2).reshape(depth, N_CLASSES, N_CLASSES).astype(np.int64)


def dsc_counts(confusion: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """What Eq. 5 counts of each class; both add up over frames, so that `dsc_of_counts` of their sums is the pooled DSC.

    Args:
        confusion: Counts (..., C, C), [..., true class, predicted class].

    Returns:
        |A ∩ B| and |A| + |B|, each (..., C), in voxels.
    """
    return np.diagonal(confusion, axis1=-2, axis2=-1), confusion.sum(-1) + confusion.sum(-2)


def dsc_of_confusion(confusion: NDArray[Any], *, absent: float = np.nan) -> NDArray[np.float64]:
    """DSC (Eq. 5) of each class from confusion matrices.

    Args:
        confusion: Counts (..., C, C), [..., true class, predicted class].
        absent: The score of a class that neither side has.

    Returns:
        float64 (..., C) in [0, 1], or `absent`.
    """
    return dsc_of_counts(*dsc_counts(confusion), absent=absent)


def exchanged(confusion: NDArray[Any]) -> dict[Structure, Structure]:
    """Tell whether the two sides call the same structures by different names, as under different label schemes.

    Args:
        confusion: Counts (C, C), [true class, predicted class].

    Returns:
        For each true structure the predicted one that fits it, where two or all three are exchanged: each has a DSC below 0.1 with
        the structure of its own name and above 0.5 with another's. Otherwise empty.
    """
    sizes = confusion.sum(1)[1:, None] + confusion.sum(0)[None, 1:]
    scores = dsc_of_counts(confusion[1:, 1:], sizes, absent=0.0)
    own = np.arange(len(FOREGROUND))
    best = np.where(scores.max(axis=1) > FITTING, scores.argmax(axis=1), own)
    moved = best != own
    if not moved.any() or len(set(best)) < len(own) or (np.diagonal(scores)[moved] >= NEXT_TO_NOTHING).any():
        return {}
    return {structure: FOREGROUND[index] for structure, index in zip(FOREGROUND, best, strict=True)}


def _check_shapes(truth: NDArray[Any], prediction: NDArray[Any]) -> None:
    if truth.shape != prediction.shape:
        msg = f"truth has shape {truth.shape}, prediction {prediction.shape}; they must be equal"
        raise ValueError(msg)
