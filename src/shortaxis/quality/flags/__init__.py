"""What is wrong with a study as a whole: flags that a reader of its indices should know.

A check looks at the labels, the volume curves and the geometry, never at the truth, and holds one figure against one named limit. Limits
are set so that annotations of good studies are hardly ever flagged; docs/flags.md says how often they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from shortaxis.indices.curves import volume_curves
from shortaxis.quality.flags import body, extent, function, header, orientation, phases, pose, right_ventricle, stack
from shortaxis.quality.flags.flag import Examined, ExaminedFrame, QualityFlag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shortaxis.indices.curves import VolumeCurves
    from shortaxis.study import Segmentation

__all__ = ["CHECKS", "QualityFlag", "study_flags"]

CHECKS: Final[tuple[Callable[[Examined], QualityFlag | Iterator[QualityFlag] | None], ...]] = (
    pose.heart_not_located,
    header.doubtful_header,
    header.images_left_out,
    orientation.picture_turned,
    orientation.right_ventricle_on_the_left,
    orientation.apex_at_the_base,
    stack.missing_structure,
    stack.too_few_slices,
    stack.slices_far_apart,
    stack.gap_in_stack,
    stack.base_not_covered,
    stack.apex_not_covered,
    stack.empty_slice_within,
    extent.farther_at_systole,
    extent.ends_abruptly,
    stack.cut_by_border,
    stack.motion_between_slices,
    function.ef_outside_physiology,
    function.volume_outside_physiology,
    function.stroke_volumes_disagree,
    function.mass_changes,
    phases.few_phases,
    phases.phases_missing,
    phases.heartbeat_not_covered,
    phases.implausible_systole,
    phases.named_phase_not_extreme,
    right_ventricle.rv_phases_differ,
    phases.unsteady_cine,
    phases.many_end_slices_to_check,
    body.implausible_body_size,
)
"""All checks, in the order in which their flags are shown."""


def study_flags(
    segmentation: Segmentation, *, curves: VolumeCurves | None = None, end_slices: tuple[int, int] | None = None
) -> list[QualityFlag]:
    """Examine a segmented study as a whole.

    Args:
        segmentation: Labels of a cine, of ED and ES, or of one frame; ED and ES that its study does not name are found on the LV
            curve, and the RV's own on the RV curve.
        curves: Its `volume_curves`, where they are at hand.
        end_slices: How many of the end slices of ED and ES are to be checked, and how many were judged; None without verdicts.

    Returns:
        The flags, warnings first, each kind in the order of `CHECKS`; empty where nothing is amiss.
    """
    curves = volume_curves(segmentation) if curves is None else curves
    study = segmentation.study

    def frame(name: str, phase: int | None) -> ExaminedFrame | None:
        return None if phase is None else ExaminedFrame(name, segmentation.labels[phase], study.spacing)

    diastole, systole = frame("end-diastole", curves.end_diastole), frame("end-systole", curves.end_systole)
    known = tuple(each for each in (diastole, systole) if each is not None)
    fallback = ExaminedFrame("the largest LV", segmentation.labels[int(curves.lv_ml.argmax())], study.spacing)
    seen = Examined(study, curves, diastole, systole, known or (fallback,), len(segmentation.repairs), end_slices, segmentation.pose)
    flags: list[QualityFlag] = []
    for check in CHECKS:
        found = check(seen)
        flags += [] if found is None else [found] if isinstance(found, QualityFlag) else list(found)
    return sorted(flags, key=lambda flag: flag.severity != "warning")
