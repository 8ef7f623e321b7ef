"""How the picture of a file lies whose header does not say so, or says something else than the picture shows.

The networks know hearts as a radiological display shows them: the RV to the left of the LV, or above left. A file that was saved with its
rows first, or whose affine is wrong, shows the heart turned or mirrored, and the RV is then found in part or not at all. Where the labels
do not lie as in a display, or the networks are unsure of the RV in a file without orientation, one frame is segmented in each of the
eight ways to order and flip its two axes, and the study is segmented again as the one that the networks are clearly surer of.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from shortaxis.io.nifti_header import NiftiSource
from shortaxis.labels import Structure
from shortaxis.quality.sureness import structure_sureness
from shortaxis.study import NAMED_PHASES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from shortaxis.inference import Model
    from shortaxis.inference.predictor import FramePrediction
    from shortaxis.study import Segmentation, Study

RV_DEGREES: Final = (-60.0, 80.0)
"""Where the RV lies from the LV in a display, in degrees from left (0) to up (90): the ACDC training patients have -48 to 71."""
LEAST_RV_SHARE: Final = 0.15
"""RV cavity over LV cavity below which the RV counts as not found."""
RV_FOUND: Final = 0.93
"""Sureness of the RV from which on a picture without orientation is not looked at again: of frames shown upside down it is 0.88 to 0.94."""
CLEARLY_SURER: Final = 0.02
"""How much the score of another orientation must be higher."""

SURE: Final = 0.8
"""The score that another orientation must have at least: networks that see no heart are unsure of it in any."""


class Orientation(NamedTuple):
    """One of the eight ways to show a picture.

    Attributes:
        transposed: Whether rows and columns are exchanged first.
        flip_rows: Whether the new rows then run backwards.
        flip_columns: Whether the new columns then run backwards.
    """

    transposed: bool
    flip_rows: bool
    flip_columns: bool

    def describe(self) -> str:
        """Say it in words."""
        parts = [
            words
            for words, done in (
                ("rows and columns exchanged", self.transposed),
                ("rows from bottom to top", self.flip_rows),
                ("columns from right to left", self.flip_columns),
            )
            if done
        ]
        return ", ".join(parts) or "as it is stored"


ORIENTATIONS: Final = tuple(Orientation(*choice) for choice in product((False, True), repeat=3))
"""All eight; the first leaves a picture as it is."""


def lies_as_displayed(labels: NDArray[np.uint8], spacing: tuple[float, float]) -> bool:
    """Whether the RV of a frame lies where a radiological display shows it.

    Args:
        labels: uint8 (D, H, W), values of `shortaxis.labels.Structure`.
        spacing: (y, x) in mm.

    Returns:
        True also where no LV was found, so that nothing can be said.
    """
    cavity, right = np.count_nonzero(labels == Structure.LV), np.count_nonzero(labels == Structure.RV)
    if not cavity:
        return True
    if right < LEAST_RV_SHARE * cavity:
        return False
    down, across = (_centre(labels == Structure.RV) - _centre(labels >= Structure.MYO)) * spacing
    low, high = RV_DEGREES
    return bool(low <= np.degrees(np.arctan2(-down, -across)) <= high)


def reoriented(model: Model, segmentation: Segmentation, rv_sureness: Sequence[float]) -> tuple[Study, str] | None:
    """Find an orientation in which the networks are clearly surer than in that of the study, where its labels do not lie as displayed.

    Args:
        model: The model.
        segmentation: Of a study from a NIfTI file, in the orientation that its header gives.
        rv_sureness: How sure the networks are of the RV in each phase; see `structure_sureness`.

    Returns:
        The study in that orientation, whose outputs still go to the grid of its file, and what to remark; None where all stays.
    """
    study = segmentation.study
    if model.finder is not None or not isinstance(study.source, NiftiSource):
        return None  # an aligned grid follows the heart, however it lies
    phase = int((segmentation.labels != Structure.BACKGROUND).sum(axis=(1, 2, 3)).argmax())
    plane = (study.spacing[1], study.spacing[2])
    unknown = study.source.directions is None
    if lies_as_displayed(segmentation.labels[phase], plane) and not (unknown and rv_sureness[phase] < RV_FOUND):
        return None
    unnamed: dict[str, Any] = dict.fromkeys(NAMED_PHASES)
    frame = replace(study, pixels=study.pixels[phase : phase + 1], phase_times=None, **unnamed)
    scores = []
    for orientation in ORIENTATIONS:
        shown = turned(frame, orientation)
        prediction = model.segment_frame(shown.pixels[0], (shown.spacing[1], shown.spacing[2]))
        scores.append(_score(prediction))
    best = int(np.argmax(scores))
    if scores[best] < max(SURE, scores[0] + CLEARLY_SURER):
        return None
    what = "does not say how its picture lies" if unknown else "contradicts the heart that its picture shows"
    note = f"its header {what}; it is segmented with {ORIENTATIONS[best].describe()}, so shown, the networks are surest of the heart"
    found = turned(study, ORIENTATIONS[best])
    return replace(found, source=replace(found.source, orientation_note=note)), note


def _score(prediction: FramePrediction) -> float:
    return float(np.mean(list(structure_sureness(prediction.labels, prediction.probabilities).values())))


def turned(study: Study, orientation: Orientation) -> Study:
    """Show a study in another orientation: pixels, spacing, affine and the layout of its file go along.

    Args:
        study: From a NIfTI file.
        orientation: How to show it.
    """
    source: NiftiSource = study.source
    layout, (z, y, x) = source.layout, study.spacing
    (depth, row, column), (flip_depth, flip_row, flip_column) = layout.axes, layout.flips
    pixels = study.pixels
    if orientation.transposed:
        pixels = pixels.swapaxes(2, 3)
        row, column, flip_row, flip_column, y, x = column, row, flip_column, flip_row, x, y
    pixels = pixels[:, :, :: -1 if orientation.flip_rows else 1, :: -1 if orientation.flip_columns else 1]
    flips = (flip_depth, flip_row ^ orientation.flip_rows, flip_column ^ orientation.flip_columns)
    new = replace(layout, axes=(depth, row, column), flips=flips)
    affine = study.affine @ np.linalg.inv(layout.index_matrix()) @ new.index_matrix()
    return replace(study, pixels=np.ascontiguousarray(pixels), spacing=(z, y, x), affine=affine, source=replace(source, layout=new))


def _centre(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Centroid (y, x) of a mask (D, H, W) in pixels."""
    return np.asarray(np.argwhere(mask)[:, 1:].mean(axis=0), np.float64)
