"""The segmented images of one study, and what is measured on them together."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from shortaxis.indices import volume_curves
from shortaxis.quality.flags import study_flags
from shortaxis.quality.flags.frames import frames_on_other_grids, nothing_found
from shortaxis.study import NAMED_PHASES, Segmentation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shortaxis.quality.flags import QualityFlag
    from shortaxis.segmenting.plan import PlannedImage
    from shortaxis.segmenting.trusting import Judged
    from shortaxis.study import Study


class SegmentedImage(NamedTuple):
    """One image of a study when it is segmented.

    Attributes:
        planned: Where it came from and where its outputs go.
        judged: Its labels and what is thought of them.
    """

    planned: PlannedImage
    judged: Judged

    @property
    def study(self) -> Study:
        """The image as it was read."""
        return self.judged.segmentation.study


def measured(images: Sequence[SegmentedImage]) -> SegmentedImage:
    """What wall thickness and flags are taken from: the cine where there is one, otherwise the frames as one study.

    Frames on another grid than the first are left out.

    Args:
        images: Of one study, in their order.

    Returns:
        One image; of frames that were files of their own, with as many phases as there are frames.
    """
    cines = [image for image in images if image.study.n_phases > 1]
    if cines:
        return cines[-1]
    alike = [image for image in images if _grid(image.study) == _grid(images[0].study)]
    return alike[0] if len(alike) == 1 else _joined(alike)


def _grid(study: Study) -> tuple[object, ...]:
    return study.pixels.shape[1:], tuple(np.round(study.spacing, 3))


def _joined(images: Sequence[SegmentedImage]) -> SegmentedImage:
    studies = [image.study for image in images]
    named: dict[str, Any] = {
        name: next((index for index, study in enumerate(studies) if getattr(study, name) is not None), None) for name in NAMED_PHASES
    }
    study = replace(studies[0], pixels=np.concatenate([study.pixels for study in studies]), phase_times=None, **named)
    labels = np.concatenate([image.judged.segmentation.labels for image in images])
    verdicts = [row for image in images for row in image.judged.verdicts]
    risks = [row for image in images for row in image.judged.risks]
    poses = [pose for image in images if (pose := image.judged.segmentation.pose) is not None]
    least = min(poses, key=lambda pose: pose.certainty, default=None)
    joined = Segmentation(study, labels, pose=least, endocardium=images[0].judged.segmentation.endocardium)
    together = images[0].judged._replace(segmentation=joined, verdicts=verdicts, risks=risks)
    return SegmentedImage(images[0].planned, together)


def flags_of(image: SegmentedImage, images: Sequence[SegmentedImage] = ()) -> list[QualityFlag]:
    """The quality flags of a study, warnings first.

    Args:
        image: From `measured`.
        images: All images of the study, where it has several: frames that lie on different grids are flagged.
    """
    segmentation, verdicts = image.judged.segmentation, image.judged.verdicts
    curves = volume_curves(segmentation)
    phases = [phase for phase in (curves.end_diastole, curves.end_systole) if phase is not None]
    judged = [row for phase in phases for row in verdicts[phase]] if verdicts else []
    to_check = sum(row["verdict"] == "check" for row in judged)
    flags = study_flags(segmentation, curves=curves, end_slices=(to_check, len(judged)) if judged else None)
    frames = [(other.planned.path.name, other.study) for other in images if other.study.n_phases == 1]
    apart = frames_on_other_grids(frames)
    first = [] if any(other.judged.segmentation.labels.any() for other in images or (image,)) else [nothing_found()]
    return [*first, *([] if apart is None else [apart]), *flags]
