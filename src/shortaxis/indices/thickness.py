"""Thickness of the left ventricular wall, and how much it thickens, by AHA segment.

Measured is the thickness in the plane of the slice, at a right angle to the centreline of the wall (`shortaxis.indices.ring`). Towards the
apex the wall leans against the slice, and the thickness in the plane is more than the thickness across the wall: at 30° by 15 %. A
segment's thickness is the median over the slices of its level of the mean over its arc, so that one slice that the valve plane cuts in part
does not decide. `shortaxis.indices.aha` says where the segments lie.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from shortaxis.indices.aha import SEGMENTS, AhaModel, aha_model, apex_is_last
from shortaxis.indices.curves import with_phases
from shortaxis.indices.endocardium import with_endocardium
from shortaxis.indices.index import Index
from shortaxis.indices.ring import RAYS
from shortaxis.labels import Structure

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shortaxis.study import Segmentation, Spacing, Study

_SOURCE: Final = "segments: Cerqueira et al., Circulation 105:539, 2002; centreline: Sheehan et al., Circulation 74:293, 1986"
_TOLD_BY: Final = {"affine": "the orientation of the image", "image": "the top of the image, since the affine has no orientation"}


@dataclass(frozen=True, eq=False)
class WallThickness:
    """Thickness of the wall at one phase.

    Attributes:
        mm: float64 (16,), thickness of the segments 1 to 16 in mm; NaN where it cannot be measured.
        orientation: `affine` or `image`: what told anterior from inferior; None when nothing was measured.
        reason: Why nothing was measured, in words; None when it was.
    """

    mm: NDArray[np.float64]
    orientation: str | None = None
    reason: str | None = None


def wall_thickness(
    labels: NDArray[np.uint8], spacing: Spacing, affine: NDArray[np.float64] | None = None, *, basal_first: bool | None = None
) -> WallThickness:
    """Measure the wall of one frame.

    Args:
        labels: uint8 (D, H, W), values of `shortaxis.labels.Structure`.
        spacing: (z, y, x) in mm.
        affine: (4, 4), index (d, h, w, 1) to RAS+ mm; None when unknown.
        basal_first: Whether the slices run from base to apex; None lets `shortaxis.indices.aha.apex_is_last` tell.

    Returns:
        The thickness of the 16 segments.
    """
    model = aha_model(labels, spacing, affine, basal_first=basal_first)
    if not isinstance(model, AhaModel):
        return WallThickness(np.full(len(SEGMENTS), np.nan), reason=model)
    by_segment: list[list[float]] = [[] for _ in SEGMENTS]
    for slice_index, ring in model.rings.items():
        thickness = ring.thickness()
        at_ray = model.segment_at(model.levels[slice_index], RAYS)
        for segment in np.unique(at_ray):
            by_segment[segment - 1].append(float(thickness[at_ray == segment].mean()))
    return WallThickness(np.array([np.median(values) for values in by_segment]), model.orientation)


def _basal_first(labels: NDArray[np.uint8], study: Study) -> bool | None:
    """Whether the slices of a study run from base to apex: by its ED frame, or by that at ES where ED is not known or shows no LV."""
    known = (labels[phase] for phase in (study.end_diastole, study.end_systole) if phase is not None)
    frame = next((frame for frame in known if (frame >= Structure.MYO).any()), None)
    return None if frame is None else apex_is_last(frame, study.affine)


def regional_indices(segmentation: Segmentation) -> dict[str, Index]:
    """Wall thickness at ED and ES and thickening, on the 16 segments and over all of them.

    Args:
        segmentation: Labels of a study. ED and ES are the study's, or are found as `shortaxis.indices.curves` says.

    Returns:
        By name: `wall_thickness_ed_aha01` to `…16` and `wall_thickness_es_aha01` to `…16` in mm, `wall_thickening_aha01` to `…16` in %
        of the thickness at ED, the means `wall_thickness_ed_mean`, `wall_thickness_es_mean` and `wall_thickening_mean`, and
        `wall_thickness_ed_max`. What cannot be known has no value but a reason.
    """
    study = with_phases(segmentation)
    basal_first = _basal_first(segmentation.labels, study)
    walls = {
        name: WallThickness(np.full(len(SEGMENTS), np.nan), reason=f"the {name} phase is not known")
        if phase is None
        else wall_thickness(segmentation.labels[phase], study.spacing, study.affine, basal_first=basal_first)
        for name, phase in (("end-diastolic", study.end_diastole), ("end-systolic", study.end_systole))
    }
    diastole, systole = walls.values()
    found: dict[str, Index] = {}

    def add(name: str, values: NDArray[np.float64], unit: str, what: str, reason: str | None, orientation: str | None) -> None:
        told = f"; anterior told by {_TOLD_BY[orientation]}" if orientation else ""
        for number, (value, segment) in enumerate(zip(values, SEGMENTS, strict=True), 1):
            known = None if np.isnan(value) else float(value)
            found[f"{name}_aha{number:02}"] = Index(
                f"{name}_aha{number:02}", known, unit, f"{what}, segment {number}: {segment}{told}", _SOURCE, reason
            )
        mean = None if reason else float(values.mean())
        found[f"{name}_mean"] = Index(f"{name}_mean", mean, unit, f"{what}, mean of the 16 segments", _SOURCE, reason)

    thick = "thickness of the LV wall in the plane of the slice, across the wall, at {}"
    add("wall_thickness_ed", diastole.mm, "mm", thick.format("end-diastole"), diastole.reason, diastole.orientation)
    add("wall_thickness_es", systole.mm, "mm", thick.format("end-systole"), systole.reason, systole.orientation)
    largest = None if diastole.reason else float(diastole.mm.max())
    what = "largest thickness of the 16 segments at end-diastole"
    found["wall_thickness_ed_max"] = Index("wall_thickness_ed_max", largest, "mm", what, _SOURCE, diastole.reason)
    thickening = 100 * (systole.mm / diastole.mm - 1)
    what = "thickening of the LV wall: 100 × (ES − ED) ÷ ED"
    add("wall_thickening", thickening, "%", what, diastole.reason or systole.reason, diastole.orientation)
    return with_endocardium(found, segmentation.endocardium)
