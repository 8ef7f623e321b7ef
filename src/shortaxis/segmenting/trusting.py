"""Segmenting a study, judging the end slices of each frame and keeping the entropy on the way."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from shortaxis.indices.aha import apex_is_last
from shortaxis.labels import Structure
from shortaxis.quality import entropy, judge_end_slices, slice_features
from shortaxis.quality.sureness import structure_sureness

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from shortaxis.inference import FramePrediction
    from shortaxis.segmenting.opening import OpenModel
    from shortaxis.study import Segmentation, Study

_DIGITS: Final = 3
_BRIGHTEST: Final = 255


class Judged(NamedTuple):
    """A segmentation with what is thought of it.

    Attributes:
        segmentation: The segmentation.
        verdicts: For each frame one row an end slice, ready for JSON, slices counted from 1; empty where the model has no calibration.
        entropy: uint8 (T, D, H, W), entropy of the pooled probabilities, 0 to 255 for 0 to ln 4; None where it was not kept.
        risks: For each frame the probability that each slice is poor, by slice; empty where the model has no calibration.
        rv_sureness: How sure the networks are of the RV in each frame, 0 to 1; see `shortaxis.quality.sureness`.
    """

    segmentation: Segmentation
    verdicts: list[list[dict[str, Any]]]
    entropy: NDArray[np.uint8] | None = None
    risks: Sequence[list[float]] = ()
    rv_sureness: Sequence[float] = ()


def segment_judged(
    opened: OpenModel, study: Study, on_phase: Callable[[int], None], *, keep_entropy: bool = False, **options: Any
) -> Judged:
    """Segment a study; where the model is calibrated, judge the first two and the last two slices of every frame.

    Args:
        opened: The model.
        study: The study.
        on_phase: Called with the index of each phase when it is done.
        keep_entropy: Keep the entropy, one byte a voxel.
        **options: Of `Model.segment`.

    Raises:
        InputError: As `Model.segment`.
    """
    plane = (study.pixels.shape[2], study.pixels.shape[3]), (study.spacing[1], study.spacing[2])
    pixel_mm = opened.model.grid.pixel_mm(*plane)
    verdicts: list[list[dict[str, Any]]] = []
    risks: list[list[float]] = []
    rv_sureness: list[float] = []
    unsure = np.empty(study.pixels.shape, np.uint8) if keep_entropy else None

    def judge(phase: int, prediction: FramePrediction) -> None:
        if opened.calibration is not None:
            basal_first = apex_is_last(prediction.labels, study.affine)
            signs = slice_features(*prediction.on_grid, pixel_mm, basal_first=basal_first)
            trust = opened.calibration.trust
            probability = trust.probability(signs)
            risks.append(probability.round(_DIGITS).tolist())
            judged = judge_end_slices(trust, signs, probability, basal_first=basal_first)
            verdicts.append([_row(asdict(verdict)) for verdict in judged])
        rv_sureness.append(structure_sureness(prediction.labels, prediction.probabilities)[Structure.RV])
        if unsure is not None:
            unsure[phase] = np.rint(entropy(prediction.probabilities) * _BRIGHTEST)
        on_phase(phase)

    return Judged(opened.model.segment(study, on_phase=judge, **options), verdicts, unsure, risks, rv_sureness)


def _row(verdict: dict[str, Any]) -> dict[str, Any]:
    return verdict | {
        "slice": verdict["slice"] + 1,
        "probability": round(verdict["probability"], _DIGITS),
        "reasons": list(verdict["reasons"]),
    }
