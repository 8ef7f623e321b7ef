"""Learning how far the endocardium of one convention lies from the border that the networks draw.

What is learnt is the shift of `shortaxis.inference.endocardium`. It takes frames in which annotators of that convention outlined the LV
cavity; nothing else needs to be annotated. Learn it on patients that the networks have not seen, or at least not with that border.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from shortaxis.errors import InputError
from shortaxis.inference.endocardium import is_shifted_cavity, move_endocardium
from shortaxis.labels import UNKNOWN, Structure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from shortaxis.datasets.dataset import Dataset
    from shortaxis.inference import Model

SHIFTS: Final = tuple(float(shift) for shift in np.arange(0, 6.01, 0.25))
"""The shifts that are tried; with the largest the border lies about three pixels of 1.4 mm farther out."""


class OutlinedFrame(NamedTuple):
    """A frame in which the LV cavity is annotated.

    Attributes:
        probabilities: float32 (C, D, H, W), the pooled probabilities of the networks.
        labels: uint8 (D, H, W), the labels with the border that the networks draw, values of `Structure`.
        cavity: uint8 (D, H, W), the annotation: `Structure.LV`, or `UNKNOWN` for pixels that do not count; anything else is not LV.
    """

    probabilities: NDArray[np.float32]
    labels: NDArray[np.uint8]
    cavity: NDArray[np.uint8]


@dataclass(frozen=True)
class LearntShift:
    """The shift under which the cavities agree best with the annotation.

    Attributes:
        shift: Of the log-odds.
        dsc: Mean 3D DSC of the LV in % for each of `shifts`.
        shifts: Those that were tried.
        frames: How many frames it was learnt from.
    """

    shift: float
    dsc: tuple[float, ...]
    shifts: tuple[float, ...]
    frames: int


def learn_shift(frames: Iterable[OutlinedFrame], shifts: Sequence[float] = SHIFTS) -> LearntShift:
    """Learn the shift that gives the largest mean DSC of the LV over frames; of equals the smallest.

    Args:
        frames: Taken one after another, so that only one has to be in memory. Those without an annotated cavity do not count.
        shifts: To be tried, not negative, in rising order.

    Raises:
        InputError: No frame has an annotated cavity; or the best shift is the largest, so that the border lies beyond what is tried.
    """
    scores = np.array([scored for frame in frames if (scored := _dsc_of(frame, shifts)) is not None])
    if not len(scores):
        msg = "no frame has an annotated LV cavity, so no shift can be learnt; give frames in which the cavity is outlined"
        raise InputError(msg)
    dsc = scores.mean(axis=0)
    best = int(dsc.argmax())
    if best == len(shifts) - 1 and best > 0:
        msg = (
            f"the cavities agree best with the largest shift tried, {shifts[best]:g}; check that the frames belong to their annotation, or "
            "try larger shifts"
        )
        raise InputError(msg)
    return LearntShift(shifts[best], tuple(dsc.tolist()), tuple(shifts), len(scores))


def learn_endocardial_shift(model: Model, dataset: Dataset, shifts: Sequence[float] = SHIFTS) -> LearntShift:
    """Learn the shift of a model from annotated patients; set `Model.endocardial_shift` to it.

    Args:
        model: The model.
        dataset: Frames in which at least the LV cavity is annotated. Their label files are read as they are, where there are any: a
            reader may hide the border of another convention (`shortaxis.datasets.sunnybrook`).
        shifts: As `learn_shift`.

    Raises:
        InputError: As `learn_shift`, or a frame cannot be read.
    """
    return learn_shift(_outlined(model, dataset), shifts)


def _outlined(model: Model, dataset: Dataset) -> Iterator[OutlinedFrame]:
    for ref in dataset.refs:
        if Structure.LV in ref.annotated:
            frame = ref.load_annotated()
            predicted = model.segment_frame(frame.image, (frame.spacing[1], frame.spacing[2]))
            yield OutlinedFrame(predicted.probabilities, predicted.labels, frame.labels)


def _dsc_of(frame: OutlinedFrame, shifts: Sequence[float]) -> list[float] | None:
    """3D DSC of the LV in % for each shift, within a box around both cavities and the myocardium; None without an annotated cavity."""
    if not (frame.cavity == Structure.LV).any():
        return None
    heart = ((frame.labels >= Structure.MYO) | (frame.cavity == Structure.LV)).any(axis=0)
    rows, columns = (np.flatnonzero(heart.any(axis=axis)) for axis in (1, 0))
    # One pixel more on each side, so that the box does not become the edge of the picture.
    box = (slice(max(rows[0] - 1, 0), rows[-1] + 2), slice(max(columns[0] - 1, 0), columns[-1] + 2))
    probabilities, labels, cavity = frame.probabilities[:, :, *box], frame.labels[:, *box], frame.cavity[:, *box]
    counts, true = cavity != UNKNOWN, cavity == Structure.LV
    scores = []
    for shift in shifts:
        found = (move_endocardium(labels, is_shifted_cavity(probabilities, shift)) == Structure.LV) & counts
        scores.append(float(200.0 * np.count_nonzero(found & true) / (np.count_nonzero(found) + np.count_nonzero(true))))
    return scores
