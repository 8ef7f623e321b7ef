"""What a prediction itself tells of each of its slices, without a truth at hand: the signs that the trust in a slice is built on.

Most are written so that more is worse. All are computed on the grid of the networks, where slices of every scanner look alike. Signs of
the slice as a whole stand here, signs of each structure in `shortaxis.quality.structure_signs`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import scipy  # its parts load when they are used, which keeps quick what needs none

from shortaxis.labels import FOREGROUND, Structure
from shortaxis.quality.grid_frame import SMALL_MM2, ratio
from shortaxis.quality.structure_signs import STRUCTURE_SIGNS, members_apart
from shortaxis.quality.uncertainty import entropy

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from shortaxis.quality.grid_frame import GridFrame


def member_disagreement(frame: GridFrame) -> NDArray[np.float64]:
    """1 - DSC between the members, mean over pairs and over the structures that any of them sees; 0 where none sees any."""
    seen = np.stack([(frame.choices == structure).any(axis=(0, 2, 3)) for structure in FOREGROUND])
    return _mean_present(members_apart(frame), seen)


def softness(frame: GridFrame) -> NDArray[np.float64]:
    """1 - the DSC that the probabilities themselves expect of the mask, mean over the predicted structures; 0 where none is predicted."""
    masks = frame.masks
    soft = frame.pooled[1:]
    overlap = 2 * np.where(masks, soft, 0).sum(axis=(2, 3), dtype=np.float64)
    total = soft.sum(axis=(2, 3), dtype=np.float64) + masks.sum(axis=(2, 3))
    return _mean_present(1 - ratio(overlap, total), frame.present)


def edge_entropy(frame: GridFrame) -> NDArray[np.float64]:
    """Entropy summed over the slice, per length of a circle with the heart's area (at least 1 cm²): how wide the unsure rim is, in mm."""
    unsure = entropy(frame.pooled).sum(axis=(1, 2), dtype=np.float64) * frame.pixel_mm2
    heart = frame.areas_mm2().sum(axis=0)
    return np.asarray(unsure / np.sqrt(4 * np.pi * np.maximum(heart, SMALL_MM2)), np.float64)


def faint_structure(frame: GridFrame) -> NDArray[np.float64]:
    """Largest soft area in cm² of a structure that the mask leaves out of the slice: something may be missing here."""
    soft = frame.pooled[1:].sum(axis=(2, 3), dtype=np.float64) * frame.pixel_mm2 / 100
    return np.asarray(np.where(frame.present, 0, soft).max(axis=0), np.float64)


def missing_structure(frame: GridFrame) -> NDArray[np.float64]:
    """Number of structures that the neighbour towards the middle shows and this slice does not."""
    present = frame.present
    return np.asarray((frame.neighbour(present) & ~present).sum(axis=0), np.float64)


def area_change(frame: GridFrame) -> NDArray[np.float64]:
    """Largest change of a structure's area against the neighbour towards the middle, as |log ratio| of areas of at least 1 cm²."""
    logarithm = np.log(np.maximum(frame.areas_mm2(), SMALL_MM2))
    return np.asarray(np.abs(logarithm - frame.neighbour(logarithm)).max(axis=0), np.float64)


def centroid_jump(frame: GridFrame) -> NDArray[np.float64]:
    """Distance in cm between the heart's centroid and that of the neighbour towards the middle; 0 where either slice is empty."""
    heart = frame.labels != Structure.BACKGROUND
    count = heart.sum(axis=(1, 2))
    rows, columns = np.arange(heart.shape[1]) * frame.pixel_mm[0], np.arange(heart.shape[2]) * frame.pixel_mm[1]
    centres = np.stack([(heart.sum(axis=2) * rows).sum(axis=1), (heart.sum(axis=1) * columns).sum(axis=1)]) / np.maximum(count, 1)
    distance = np.linalg.norm(centres - frame.neighbour(centres), axis=0) / 10
    return np.where((count > 0) & (frame.neighbour(count) > 0), distance, 0.0)


def smallness(frame: GridFrame) -> NDArray[np.float64]:
    """Inverse radius in 1/cm of a circle with the heart's area (at least 1 cm²): a small section is hard to hit."""
    heart = np.maximum(frame.areas_mm2().sum(axis=0), SMALL_MM2)
    return np.asarray(10 / np.sqrt(heart / np.pi), np.float64)


def depth_in_heart(frame: GridFrame) -> NDArray[np.float64]:
    """Slices from the nearer end of the heart inward: 1 for the outermost one that shows it, 0 and less beyond; from -2 to 3."""
    index = np.arange(frame.depth)
    return np.clip(np.minimum(index - frame.heart[0], frame.heart[1] - index) + 1.0, -2, 3)


def open_ring(frame: GridFrame) -> NDArray[np.float64]:
    """Share of the LV cavity's border that no myocardium covers; 0 where there is no cavity."""
    cavity = frame.masks[FOREGROUND.index(Structure.LV)]
    around = scipy.ndimage.binary_dilation(cavity, scipy.ndimage.generate_binary_structure(2, 1)[None]) & ~cavity
    bare = (around & (frame.labels != Structure.MYO)).sum(axis=(1, 2))
    return np.where(cavity.any(axis=(1, 2)), ratio(bare, around.sum(axis=(1, 2))), 0.0)


def basal(frame: GridFrame) -> NDArray[np.float64]:
    """1 for the slices of the heart's basal half, 0 for those of its apical half."""
    first_half = np.arange(frame.depth) <= sum(frame.heart) / 2
    return np.asarray(first_half == frame.basal_first, np.float64)


SLICE_SIGNS: Final[dict[str, Callable[[GridFrame], NDArray[np.float64]]]] = {
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
        depth_in_heart,
        open_ring,
        basal,
    )
}

FEATURES: Final = (*SLICE_SIGNS, *(f"{name}_{part.name.lower()}" for name in STRUCTURE_SIGNS for part in FOREGROUND))
"""Names of all signs: those of the slice, and those of each structure, such as `doubt_inside_rv`."""


def slice_features(frame: GridFrame) -> dict[str, NDArray[np.float64]]:
    """Compute every sign of every slice of one frame: name of the sign to float64 (D,), in the order of `FEATURES`."""
    signs = {name: compute(frame) for name, compute in SLICE_SIGNS.items()}
    for name, compute in STRUCTURE_SIGNS.items():
        values = compute(frame)
        signs |= {f"{name}_{part.name.lower()}": values[place] for place, part in enumerate(FOREGROUND)}
    return signs


def _mean_present(values: NDArray[np.float64], present: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean over the first axis of what is present; 0 where nothing is."""
    return np.asarray(np.where(present, values, 0).sum(axis=0) / np.maximum(present.sum(axis=0), 1), np.float64)
