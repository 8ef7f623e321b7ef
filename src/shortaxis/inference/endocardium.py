"""The endocardium at the compact myocardium instead of on the inner side of the trabeculae.

Annotators draw the border of the LV cavity by one of two conventions (`shortaxis.endocardium.Endocardium`). Networks that learnt one
also know much of the other: where they hesitate between LV and myocardium there are trabeculae. So the border is moved by a shift s of
the log-odds between the two: a pixel of the myocardium becomes LV where log p_LV - log p_MYO > -s. It moves far where the networks
hesitate, and hardly where the wall is clear-cut.

Nothing else changes. Only pixels that are labelled as myocardium become LV, so the RV and the epicardium stay; the outermost pixels of
the myocardium stay too, so the wall never disappears; and a pixel only changes where a path of such pixels in its slice leads to the
cavity, so that a slice without a cavity keeps none.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Final

import numpy as np
import scipy  # its parts load when they are used

from shortaxis.ensemble.model_file import file_sha256
from shortaxis.errors import InputError
from shortaxis.io.limits import read_text
from shortaxis.labels import Structure

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

DEFAULT_SHIFT: Final = 2.5
"""Shift s for a model that has none of its own; it was chosen on patients of Sunnybrook, as docs/concepts.md says."""
MAX_SHIFT: Final = 10.0
"""At e^10 : 1 for the myocardium the networks do not hesitate."""
SHIFT_KEY: Final = "endocardial_shift"
"""Name of the model's own shift in its calibration file."""


def check_shift(shift: object, source: str = SHIFT_KEY) -> float:
    """Check a shift.

    Args:
        shift: A number from 0 to `MAX_SHIFT`.
        source: What to name in the error.

    Raises:
        InputError: It is no such number.
    """
    if isinstance(shift, bool) or not isinstance(shift, int | float) or not (math.isfinite(shift) and 0 <= shift <= MAX_SHIFT):
        msg = f"{source}: the shift of the endocardium must be a number from 0 to {MAX_SHIFT:g}, not {shift!r}; learn it with learn_shift"
        raise InputError(msg)
    return float(shift)


def is_shifted_cavity(probabilities: NDArray[np.float32], shift: float) -> NDArray[np.bool_]:
    """Where log p_LV - log p_MYO > -shift.

    Args:
        probabilities: float32 (C, ...), in the order of `Structure`.
        shift: Of the log-odds, not negative.

    Returns:
        bool (...).
    """
    return np.asarray(probabilities[Structure.LV] * np.float32(math.exp(shift)) > probabilities[Structure.MYO])


def move_endocardium(labels: NDArray[np.uint8], cavity: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Give pixels of the myocardium to the LV.

    Args:
        labels: uint8 (D, H, W), values of `Structure`.
        cavity: bool (D, H, W), from `is_shifted_cavity`.

    Returns:
        A new array of the same shape. What is not labelled as myocardium stays as it is.
    """
    moved = labels.copy()
    for before, after, wanted in zip(labels, moved, cavity, strict=True):
        inside = before == Structure.LV
        if not inside.any():
            continue
        ventricle = inside | (before == Structure.MYO)
        # Erosion leaves out the pixels whose neighbours in the slice are outside: the rim of the wall.
        allowed = inside | (wanted & scipy.ndimage.binary_erosion(ventricle))
        after[scipy.ndimage.binary_propagation(inside, mask=allowed)] = Structure.LV
    return moved


class ShiftedCavity:
    """Remembers for every phase of a study where the LV would lie with the shift, one byte a voxel.

    Args:
        shape: (T, D, H, W) of the study.
        shift: Of the log-odds.
    """

    def __init__(self, shape: tuple[int, ...], shift: float) -> None:
        self._shift = shift
        self._cavity = np.zeros(shape, np.bool_)

    def add(self, phase: int, probabilities: NDArray[np.float32]) -> None:
        """Take the pooled probabilities (C, D, H, W) of a phase on its own grid."""
        self._cavity[phase] = is_shifted_cavity(probabilities, self._shift)

    def replace(self, phase: int, slice_: int, probabilities: NDArray[np.float32], where: NDArray[np.bool_]) -> None:
        """Take other probabilities (C, H, W) for those pixels (H, W) of a slice whose labels were decided by them."""
        self._cavity[phase, slice_][where] = is_shifted_cavity(probabilities, self._shift)[where]

    def move(self, labels: NDArray[np.uint8]) -> None:
        """Move the endocardium in the labels (T, D, H, W) of all phases, in place."""
        for frame, cavity in zip(labels, self._cavity, strict=True):
            frame[:] = move_endocardium(frame, cavity)


def shift_beside(model: Path) -> float | None:
    """The shift that the calibration beside a model file holds; None where there is no calibration, or it holds none.

    Raises:
        InputError: The calibration cannot be read, holds no valid shift, or was made for another model file.
    """
    path = model.with_suffix(".calibration.json")
    if not path.is_file():
        return None
    try:
        content = json.loads(read_text(path))
    except (OSError, ValueError) as error:
        msg = f"{path}: not a calibration, or damaged ({error}); make it again with `shortaxis calibrate`"
        raise InputError(msg) from error
    shift = content.get(SHIFT_KEY) if isinstance(content, dict) else None
    if shift is None:
        return None
    if content.get("model_sha256") != file_sha256(model):
        msg = f"{path} was made for another model file; make it again with `shortaxis calibrate`, or remove it"
        raise InputError(msg)
    return check_shift(shift, str(path))
