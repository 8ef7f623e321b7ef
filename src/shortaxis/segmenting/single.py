"""One study from its files to all its outputs, in a folder that is published when everything stands in it."""

from __future__ import annotations

import shlex
import time
import warnings
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from shortaxis.errors import DataWarning, InputError
from shortaxis.indices.curves import with_phases
from shortaxis.io import refuse_unfit, write_like
from shortaxis.io.atomic import write_json
from shortaxis.io.dicom.segmentation import write_dicom_seg
from shortaxis.io.nifti_maps import write_maps
from shortaxis.segmenting.documents import DOCUMENTS, write_documents
from shortaxis.segmenting.encoding import as_utf8
from shortaxis.segmenting.findings import Findings
from shortaxis.segmenting.inputs import state_of
from shortaxis.segmenting.measuring import SegmentedImage, flags_of, measured
from shortaxis.segmenting.naming import shown_path
from shortaxis.segmenting.orienting import reoriented
from shortaxis.segmenting.plan import MAPS
from shortaxis.segmenting.reading import read_planned
from shortaxis.segmenting.reporting import Told, build_report, show_pixels, write_report
from shortaxis.segmenting.trusting import judged_together, segment_judged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from shortaxis.preprocessing import HeartPose
    from shortaxis.quality.flags import QualityFlag
    from shortaxis.segmenting.opening import OpenModel
    from shortaxis.segmenting.plan import PlannedImage, PlannedStudy
    from shortaxis.segmenting.trusting import Judged
    from shortaxis.segmenting.wishes import Wishes
    from shortaxis.study import Segmentation, Study


NO_PHASES: Final = "ED and ES are not known; name them, or take --dicom-seg all"
"""Why a DICOM-SEG of ED and ES was not written."""


class UnfitError(Exception):
    """The study at hand is unfit, which does not hinder the others; an output that cannot be written hinders them all."""

    def __init__(self, reason: InputError) -> None:
        super().__init__(str(reason))
        self.reason = reason


class Task(NamedTuple):
    """How every study of a run is segmented.

    Attributes:
        opened: The model.
        wishes: What to write, and how.
        command: Words of the command line without the inputs, or None when called from Python.
    """

    opened: OpenModel
    wishes: Wishes
    command: Sequence[str] | None = None


def segment_study(planned: PlannedStudy, stage: Path, task: Task, on_share: Callable[[float], None]) -> dict[str, Any]:
    """Segment one study and write what was found.

    Args:
        planned: The study, which is fit as far as is known.
        stage: The folder to write to.
        task: The model and the wishes.
        on_share: Called with the number of images done, in fractions.

    Returns:
        What `segment.json` holds of the study, but its name.

    Raises:
        UnfitError: The study is unfit.
        InputError: The folder cannot be written.
    """
    since = time.perf_counter()
    wishes = task.wishes
    findings = Findings(planned.name, views=wishes.views)
    with _blaming(planned):
        state = state_of(planned, wishes.series)
        images = _judged(_segment_images(planned, task, on_share), task, findings)
        flags = flags_of(measured(images), images)
    rows = [_write_image(image, stage, task) for image in images]
    # The intervals were learnt on cleaned labels.
    calibration = task.opened.calibration if wishes.clean else None
    content = findings.to_dict(task.opened.provenance, calibration)
    write_json(stage / planned.indices, content)
    found = {"images": rows, "indices": planned.indices.as_posix()}
    if wishes.report or wishes.pdf or wishes.dicom_sr or wishes.dicom_pdf:
        with _blaming(planned):
            report = build_report(planned, images, findings, flags, _told(planned, task, time.perf_counter() - since))
            found |= write_documents(report, images, planned, stage, wishes)
    if wishes.report:
        write_report(report, show_pixels(images), planned, stage)
        found |= {"report": planned.report("json").as_posix(), "page": planned.report("html").as_posix()}
    if empty := _empty_frames(findings, images):
        found["nothing_found_in"] = empty
    return found | _in_short(content, findings, flags, calibrated=task.opened.calibration is not None) | {"state": state}


@contextmanager
def _blaming(planned: PlannedStudy) -> Iterator[None]:
    """Whatever is wrong with files in this block is the study's own trouble."""
    try:
        yield
    except InputError as error:
        raise UnfitError(error) from error
    except OSError as error:
        msg = f"{planned.source}: cannot be read ({error.strerror or error}); check that it is still there and may be read"
        raise UnfitError(InputError(msg)) from error


def outputs_of(row: dict[str, Any]) -> Iterator[str]:
    """The files of a study, relative to the output folder, by its row in `segment.json`."""
    yield from (row[kind] for kind in ("indices", "report", "page", *DOCUMENTS) if kind in row)
    for image in row["images"]:
        yield from (image[kind] for kind in ("labels", *MAPS) if kind in image)
        yield from image.get("dicom_seg", ())


def _told(planned: PlannedStudy, task: Task, seconds: float) -> Told:
    command = None
    if task.command is not None:
        sources = (shown_path(source, keep=task.wishes.keep_identifiers) for source in planned.inputs)
        command = as_utf8(shlex.join([*task.command[:2], *sources, *task.command[2:]]))
    return Told(task.opened, task.wishes, command, seconds)


def _segment_images(planned: PlannedStudy, task: Task, on_share: Callable[[float], None]) -> list[SegmentedImage]:
    """Segment the images, ED first: it shows the heart best, and the frames that lie with it are looked at in its pose."""
    paired = len(planned.images) > 1
    order = sorted(range(len(planned.images)), key=lambda index: not _shows_diastole(planned.images[index]))
    first: Segmentation | None = None
    done: dict[int, SegmentedImage] = {}
    for index in order:
        image = planned.images[index]
        study = read_planned(image, task.wishes, paired=paired)
        refuse_unfit(study, image.path)
        pose = None if first is None or not _lies_with(study, first.study) else first.pose
        judged = _segment_image(image, study, task, lambda share: on_share(len(done) + share), pose)
        if first is None and judged.segmentation.study.end_diastole is not None:
            first = judged.segmentation
        done[index] = SegmentedImage(image, judged)
    return [done[index] for index in range(len(done))]


def _shows_diastole(image: PlannedImage) -> bool:
    """Whether the image is known to be the ED frame before it is read."""
    of_data_set = image.ref is not None and image.ref.end_diastole == 0
    return of_data_set or "ED" in (image.phase, None if image.acdc is None else image.acdc.phase)


def _lies_with(study: Study, other: Study) -> bool:
    """Whether two images show the same slices in the same places."""
    alike = study.pixels.shape[1:] == other.pixels.shape[1:] and study.spacing == other.spacing
    return alike and np.allclose(study.affine, other.affine, atol=1e-3)


def _judged(images: Sequence[SegmentedImage], task: Task, findings: Findings) -> list[SegmentedImage]:
    """The images with their verdicts; what is found of them goes into `findings`."""
    together = judged_together([image.judged for image in images], task.opened.calibration)
    result = []
    for (image, _), judged in zip(images, together, strict=True):
        name = shown_path(image.shown, keep=task.wishes.keep_identifiers)
        findings.add(judged.segmentation, name, (image.acdc.frame if image.acdc else None) or 1, judged)
        result.append(SegmentedImage(image, judged))
    return result


def _segment_image(image: PlannedImage, study: Study, task: Task, on_share: Callable[[float], None], pose: HeartPose | None) -> Judged:
    wishes = task.wishes
    segment = partial(
        segment_judged,
        task.opened,
        on_phase=lambda phase: on_share((phase + 1) / study.n_phases),
        keep_entropy=wishes.report,
        keep_probabilities=wishes.probabilities,
        keep_uncertainty=wishes.uncertainty or wishes.report,
        clean=wishes.clean,
        temporal=wishes.temporal,
        endocardium=wishes.endocardium,
    )
    judged = segment(study, pose=pose)
    found = reoriented(task.opened.model, judged.segmentation, judged.rv_sureness)
    if found is None:
        return judged
    better, note = found
    warnings.warn(f"{image.path}: {note}", DataWarning, stacklevel=2)
    return segment(better)


def _write_image(image: SegmentedImage, stage: Path, task: Task) -> dict[str, Any]:
    """Write labels, maps and DICOM-SEG; say of which input they are, and give their paths relative to the output folder by kind."""
    planned, segmentation, wishes = image.planned, image.judged.segmentation, task.wishes
    write_like(wishes.scheme.from_canonical(segmentation.labels), image.study, stage / planned.labels)
    name = shown_path(planned.shown, keep=wishes.keep_identifiers)
    written: dict[str, Any] = {"input": name, "frames": image.study.n_phases, "labels": planned.labels.as_posix()}
    maps = {"probabilities": segmentation.probabilities} if wishes.probabilities else {}
    if wishes.uncertainty:
        maps |= {"sigma": _with_slices(segmentation.sigma), "omega": _with_slices(segmentation.omega)}
    for kind, values in maps.items():
        if values is not None:
            path = planned.map_path(kind)
            write_maps(values, image.study, stage / path)
            written[kind] = path.as_posix()
    if wishes.seg_phases is not None:
        files = _write_dicom_seg(image, stage, task)
        written["dicom_seg"] = [file.relative_to(stage).as_posix() for file in files]
        if not files:
            written["dicom_seg_reason"] = NO_PHASES
            warnings.warn(f"{planned.path}: no DICOM-SEG was written: {NO_PHASES}", DataWarning, stacklevel=2)
    return written


def _with_slices(values: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
    """Bring maps (T, N, H, W) that hold for all slices to (T, N, 1, H, W); those with one map a slice stay as they are."""
    return values[:, :, None] if values is not None and values.ndim == 4 else values


def _write_dicom_seg(image: SegmentedImage, stage: Path, task: Task) -> list[Path]:
    segmentation, model = image.judged.segmentation, task.opened.provenance
    study = with_phases(segmentation)
    phases = None
    if task.wishes.seg_phases == "ed-es":
        phases = [phase for phase in (study.end_diastole, study.end_systole) if phase is not None]
        if not phases:
            return []
    out = stage / image.planned.dicom_seg
    try:
        return write_dicom_seg(
            segmentation.labels,
            study,
            out,
            model_name=model["name"],
            model_sha256=model["sha256"],
            phases=phases,
            endocardium=segmentation.endocardium,
        )
    except InputError as error:  # a source file that is gone; a full disk stops the next output
        raise UnfitError(error) from error


def _empty_frames(findings: Findings, images: Sequence[SegmentedImage]) -> list[str]:
    """Which of ED and ES show none of the structures; `all frames` where ED and ES are not known and no frame shows any.

    The labels tell it, not the volumes: those of a tiny or unknown spacing may be zero.
    """
    empty = [not frame.any() for image in images for frame in image.judged.segmentation.labels]
    if decisive := findings.decisive_frames():
        return [
            phase
            for phase, chosen in decisive.items()
            if any(none for none, row in zip(empty, findings.frames, strict=True) if row is chosen)
        ]
    return ["all frames"] if all(empty) else []


def _in_short(content: dict[str, Any], findings: Findings, flags: Sequence[QualityFlag], *, calibrated: bool) -> dict[str, Any]:
    """What the table of a run says of a study."""
    indices = content["indices"]
    frames = findings.decisive_frames()
    to_check = [
        f"{phase}:{verdict['slice']}"
        for phase, row in frames.items()
        for verdict in row.get("end_slices", ())
        if verdict["verdict"] == "check"
    ]
    return {
        "values": {name: row["value"] for name, row in indices.items() if row["value"] is not None},
        "intervals": {name: row["interval"] for name, row in indices.items() if "interval" in row},
        "endocardium": content["endocardium"],
        "phases": findings.phases,
        "frames": {phase.lower(): row["frame"] for phase, row in frames.items()},
        "flags": [flag.name for flag in flags],
        "to_check": to_check if calibrated else None,
    }
