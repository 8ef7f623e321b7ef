"""Segmenting the images of a study, and judging their slices when ED and ES are known."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from shortaxis.indices.aha import apex_is_last
from shortaxis.indices.curves import with_phases
from shortaxis.labels import Structure
from shortaxis.quality import entropy, judge_slices
from shortaxis.quality.evidence import all_signs, frame_evidence, shared_span
from shortaxis.quality.sureness import structure_sureness

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from shortaxis.inference import FramePrediction
    from shortaxis.preprocessing import HeartPose
    from shortaxis.quality.calibration import Calibration
    from shortaxis.quality.evidence import FrameEvidence
    from shortaxis.segmenting.opening import OpenModel
    from shortaxis.study import Segmentation, Study

_DIGITS: Final = 3
_BRIGHTEST: Final = 255


class Judged(NamedTuple):
    """A segmentation with what is thought of it.

    Attributes:
        segmentation: The segmentation.
        entropy: uint8 (T, D, H, W), entropy of the pooled probabilities, 0 to 255 for 0 to ln 4; None where it was not kept.
        evidence: What each frame says of its own quality; empty where the model has no calibration.
        verdicts: For each frame one row a slice that is judged, ready for JSON, slices counted from 1; empty until `judged_together`.
        risks: For each frame the probability that each slice is poor, by slice; empty until `judged_together`.
        rv_sureness: How sure the networks are of the RV in each frame, 0 to 1; see `shortaxis.quality.sureness`.
    """

    segmentation: Segmentation
    entropy: NDArray[np.uint8] | None = None
    evidence: Sequence[FrameEvidence] = ()
    verdicts: Sequence[list[dict[str, Any]]] = ()
    risks: Sequence[list[float]] = ()
    rv_sureness: Sequence[float] = ()


def segment_judged(
    opened: OpenModel,
    study: Study,
    on_phase: Callable[[int], None],
    *,
    keep_entropy: bool = False,
    pose: HeartPose | None = None,
    **options: Any,
) -> Judged:
    """Segment a study; where the model is calibrated, gather what its verdicts and intervals rest on.

    Args:
        opened: The model.
        study: The study.
        on_phase: Called with the index of each phase when it is done.
        keep_entropy: Keep the entropy, one byte a voxel.
        pose: As `Model.segment`.
        **options: Of `Model.segment`.

    Raises:
        InputError: As `Model.segment`.
    """
    plane = (study.pixels.shape[2], study.pixels.shape[3]), (study.spacing[1], study.spacing[2])
    pixel_mm = opened.model.grid.pixel_mm(*plane)
    evidence: list[FrameEvidence] = []
    rv_sureness: list[float] = []
    unsure = np.empty(study.pixels.shape, np.uint8) if keep_entropy else None

    def look(phase: int, prediction: FramePrediction) -> None:
        if opened.calibration is not None:
            basal_first = apex_is_last(prediction.labels, study.affine)
            said = frame_evidence(
                prediction, study.pixels[phase], study.spacing, pixel_mm, slice_extents=study.slice_extents, basal_first=basal_first
            )
            evidence.append(said)
        rv_sureness.append(structure_sureness(prediction.labels, prediction.probabilities)[Structure.RV])
        if unsure is not None:
            unsure[phase] = np.rint(entropy(prediction.probabilities) * _BRIGHTEST)
        on_phase(phase)

    return Judged(opened.model.segment(study, on_phase=look, pose=pose, **options), unsure, evidence, rv_sureness=rv_sureness)


def judged_together(images: Sequence[Judged], calibration: Calibration | None) -> list[Judged]:
    """Judge the slices of all images of one study, ED and ES against each other.

    Args:
        images: Of one study: a cine, or frames that name their phase, or both.
        calibration: Of the model; None leaves all as it is.
    """
    if calibration is None:
        return list(images)
    frames: dict[str, FrameEvidence] = {}
    for image in images:
        if image.segmentation.study.n_phases == 1:
            frames |= _named(image)
    result = []
    for image in images:
        named = _named(image) if image.segmentation.study.n_phases > 1 else frames
        risks, verdicts = [], []
        for frame in image.evidence:
            signs = all_signs(frame, other := _companion(frame, named))
            probability = calibration.trust.probability(signs)
            span = shared_span(frame, other)
            judged = judge_slices(calibration.trust, signs, probability, span, basal_first=frame.view.basal_first)
            risks.append(probability.round(_DIGITS).tolist())
            verdicts.append([_row(asdict(verdict)) for verdict in judged])
        result.append(image._replace(risks=risks, verdicts=verdicts))
    return result


def _named(image: Judged) -> dict[str, FrameEvidence]:
    """The evidence of the ED and the ES frame, as far as they are known: named by the study, or found on the curve of the final labels."""
    study = with_phases(image.segmentation)
    known = {"ED": study.end_diastole, "ES": study.end_systole}
    return {name: image.evidence[phase] for name, phase in known.items() if phase is not None}


def _companion(frame: FrameEvidence, named: dict[str, FrameEvidence]) -> FrameEvidence | None:
    """ES for ED, and ED for every other frame; None where it is not known or lies on another grid."""
    other = named.get("ES") if frame is named.get("ED") else named.get("ED")
    if other is None or other is frame or len(other.slice_mm) != len(frame.slice_mm):
        return None
    return other


def _row(verdict: dict[str, Any]) -> dict[str, Any]:
    return verdict | {
        "slice": verdict["slice"] + 1,
        "probability": round(verdict["probability"], _DIGITS),
        "reasons": list(verdict["reasons"]),
    }
