"""All that a prediction says about its own quality: of each slice, of each volume, and of the scan as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shortaxis.quality.appearance import appearance
from shortaxis.quality.features import FEATURES, slice_features
from shortaxis.quality.grid_frame import grid_frame, heart_span
from shortaxis.quality.phase_signs import PHASE_SIGNS, PhaseView, phase_signs
from shortaxis.quality.structure_signs import doubt_of_presence
from shortaxis.quality.volume_evidence import volume_at_risk, volume_evidence

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from shortaxis.inference import FramePrediction
    from shortaxis.study import Spacing

SIGNS = (*FEATURES, *PHASE_SIGNS)
"""Names of all signs of a slice."""


class FrameEvidence(NamedTuple):
    """What one predicted frame says of itself.

    Attributes:
        signs: Signs of its slices, each float64 (D,), from `slice_features`.
        view: What its companion phase needs to know of it.
        parts: float64 (K, 3), from `volume_evidence`.
        slice_mm: float64 (D,), length along the normal that each slice stands for.
        figures: From `appearance`.
    """

    signs: dict[str, NDArray[np.float64]]
    view: PhaseView
    parts: NDArray[np.float64]
    slice_mm: NDArray[np.float64]
    figures: NDArray[np.float64] | None


def frame_evidence(
    prediction: FramePrediction,
    image: NDArray[np.generic],
    spacing: Spacing,
    pixel_mm: tuple[float, float],
    *,
    slice_extents: Sequence[float] | None = None,
    basal_first: bool | None = None,
) -> FrameEvidence:
    """Gather the evidence of one frame.

    Args:
        prediction: Of the frame.
        image: (D, H, W), its pixels.
        spacing: (z, y, x) in mm.
        pixel_mm: Edges of a pixel of the networks' grid in mm, (y, x).
        slice_extents: As `Study.slice_extents`; None takes the slice distance.
        basal_first: Whether the stack runs from base to apex; None lets the masks say.
    """
    frame = grid_frame(*prediction.on_grid, pixel_mm, basal_first)
    slice_mm = np.full(frame.depth, spacing[0]) if slice_extents is None else np.asarray(slice_extents, np.float64)
    return FrameEvidence(
        slice_features(frame),
        PhaseView.of(frame, doubt_of_presence(frame)),
        volume_evidence(frame, slice_mm),
        slice_mm,
        appearance(np.asarray(image), prediction.labels, spacing),
    )


def all_signs(frame: FrameEvidence, other: FrameEvidence | None) -> dict[str, NDArray[np.float64]]:
    """Signs of the slices of a frame beside its companion phase (see `phase_signs`), each float64 (D,), in the order of `SIGNS`."""
    return frame.signs | phase_signs(frame.view, None if other is None else other.view)


def shared_span(frame: FrameEvidence, other: FrameEvidence | None) -> tuple[int, int] | None:
    """First and last slice that show a structure in either frame; None where neither shows any."""
    areas = frame.view.areas_mm2 if other is None else frame.view.areas_mm2 + other.view.areas_mm2
    shown = np.asarray(areas.any(axis=0))
    return heart_span(shown) if shown.any() else None


def study_parts(frames: Mapping[str, FrameEvidence], risks: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    """The evidence that the intervals rest on (`shortaxis.quality.intervals.Evidence`), from frames and slice risks by `ED` and `ES`."""
    return {
        phase: np.vstack([frame.parts, volume_at_risk(frame.view.areas_mm2.copy(), frame.slice_mm, risks[phase])])
        for phase, frame in frames.items()
    }
