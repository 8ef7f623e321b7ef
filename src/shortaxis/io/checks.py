"""Checks on a study that a reader does not make, since a data set may hold such images but nobody should segment them.

`shortaxis segment` and `shortaxis doctor` both make them, so that both refuse the same files in the same words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shortaxis.errors import InputError
from shortaxis.io.dicom import DicomSource

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from shortaxis.study import Study

MOST_LABELS: Final = 6
"""Different values that an image has at most to be taken for labels; a scan has hundreds."""
LABELLED_PERCENT: Final = 95.0
"""% of the voxels outside the background that a label image shows with so few values, even where it was resampled."""
ONE_PLACE: Final = 0.9
"""Correlation of the two halves of a stack from which on both show one place.

The stacks of the ACDC training patients have 0.4 and less, a cine of one slice of the phantom has 0.94."""
FEWEST_FOR_ONE_PLACE: Final = 4
"""Slices below which near and far cannot be distinguished."""
_INTEGER: Final = 1e-3
"""How far labels may lie off their whole numbers."""
_PERCENTILES: Final = (0.5, 99.5)
_MOST_LOOKED_AT: Final = 3
"""Phases that are looked at for labels."""


def refuse_unfit(study: Study, name: Path | str) -> None:
    """Refuse a study that is no cine of the heart: a label image, a blank phase, or phases that are stored as slices.

    Args:
        study: The study to look at.
        name: What to name in the error, usually the file.

    Raises:
        InputError: The study is one of these.
    """
    refuse_labels(study, name)
    refuse_constant(study, name)
    refuse_one_place(study, name)


def refuse_constant(study: Study, name: Path | str) -> None:
    """Refuse a study in which some phase shows nothing.

    Args:
        study: The study to look at.
        name: What to name in the error, usually the file.

    Raises:
        InputError: All voxels of a phase have one value.
    """
    flat = study.pixels.reshape(study.n_phases, -1)
    constant = (flat.min(axis=1) == flat.max(axis=1)).nonzero()[0]
    if constant.size:
        where = f" in phase {constant[0] + 1}" if study.n_phases > 1 else ""
        msg = f"{name}: all voxels{where} have the value {flat[constant[0], 0]:g}; give an image that shows a heart"
        raise InputError(msg)


def refuse_labels(study: Study, name: Path | str) -> None:
    """Refuse an image of labels, also one whose labels are no whole numbers or were resampled.

    Args:
        study: The study to look at.
        name: What to name in the error, usually the file.

    Raises:
        InputError: Nearly all voxels outside the background have one of a few values.
    """
    shown = [frame for frame in study.pixels if frame.min() < frame.max()]
    found = [_labels(frame) for frame in shown[:: max(1, len(shown) // _MOST_LOOKED_AT)]]
    if shown and all(values is not None for values in found):
        values = sorted({value for some in found if some is not None for value in some})
        listed = ", ".join(f"{value:g}" for value in values[:MOST_LABELS])
        msg = f"{name}: has the values {listed} and hardly any others, so it is a label image and not a scan; give the image it belongs to"
        raise InputError(msg)


def _labels(frame: NDArray[np.float32]) -> list[float] | None:
    """The few values that a label image (D, H, W) consists of, or None."""
    whole = np.rint(frame)
    integer = bool(whole.min() < whole.max()) and bool((np.abs(frame - whole) <= _INTEGER).all())
    values, counts = np.unique(whole if integer else frame, return_counts=True)
    largest = np.argsort(counts)[::-1][:MOST_LABELS]
    if len(values) > MOST_LABELS:
        background = counts[largest[0]]
        if counts[largest].sum() - background < LABELLED_PERCENT / 100 * (frame.size - background):
            return None
    return [float(value) for value in values[largest]]


def refuse_one_place(study: Study, name: Path | str) -> None:
    """Refuse an image whose slices all show one place: a cine of one slice that was stored as a stack, or with axes exchanged.

    Args:
        study: The study to look at.
        name: What to name in the error, usually the file.

    Raises:
        InputError: Every slice of the first phase looks like the one half the stack away.
    """
    if study.n_slices < FEWEST_FOR_ONE_PLACE or isinstance(study.source, DicomSource):
        return  # DICOM says of every image where it lies
    likeness = likeness_of_halves(study.pixels[0])
    if likeness < ONE_PLACE:
        return
    if study.n_phases == 1:
        what, remedy = "it is a cine of one slice whose time axis is stored as slices", "store time as the fourth axis, (x, y, 1, time)"
    else:
        what, remedy = "its axes of time and of slices are exchanged", "store time as the fourth axis"
    msg = f"{name}: its {study.n_slices} slices show one and the same place (correlation {likeness:.2f}), so {what}; {remedy}"
    raise InputError(msg)


def likeness_of_halves(frame: NDArray[Any]) -> float:
    """Least correlation between slices that lie half a stack apart.

    Args:
        frame: Any real dtype (D, H, W).
    """
    half = len(frame) // 2
    # A few bright pixels that stay in their place would make any two slices alike.
    slices = np.clip(frame, *np.percentile(frame, _PERCENTILES)).reshape(len(frame), -1).astype(np.float64)
    slices -= slices.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(slices, axis=1)
    if not norms.all():
        return 0.0
    return float(((slices[:-half] * slices[half:]).sum(axis=1) / (norms[:-half] * norms[half:])).min())
