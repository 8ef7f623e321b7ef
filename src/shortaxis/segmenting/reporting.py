"""From a segmented study to what its report says and shows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np

from shortaxis import __version__
from shortaxis.indices import SEGMENTS, regional_indices
from shortaxis.indices.aha import apex_is_last
from shortaxis.indices.curves import with_phases
from shortaxis.io.atomic import atomic_path
from shortaxis.io.dicom import DicomSource
from shortaxis.io.dicom.identity import read_identity
from shortaxis.io.nifti_header import NiftiSource
from shortaxis.reports.content import (
    SCHEMA_VERSION,
    Flag,
    FrameRow,
    ImageFacts,
    IndexRow,
    Patient,
    Provenance,
    RepairRow,
    ReportPixels,
    ScanRow,
    StudyReport,
    WallSegment,
)
from shortaxis.reports.page import write_page
from shortaxis.segmenting.inputs import content_sha256
from shortaxis.segmenting.measuring import measured
from shortaxis.segmenting.naming import shown_notes, shown_path

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from shortaxis.quality.flags import QualityFlag
    from shortaxis.segmenting.findings import Findings
    from shortaxis.segmenting.measuring import SegmentedImage
    from shortaxis.segmenting.opening import OpenModel
    from shortaxis.segmenting.plan import PlannedStudy
    from shortaxis.segmenting.wishes import Wishes
    from shortaxis.study import Segmentation

_DIGITS = 3


class Told(NamedTuple):
    """What a report needs to know besides the study.

    Attributes:
        opened: The model.
        wishes: What the user wished.
        command: The command line for this study, or None.
        seconds: Wall time for this study.
    """

    opened: OpenModel
    wishes: Wishes
    command: str | None
    seconds: float


def build_report(
    planned: PlannedStudy, images: Sequence[SegmentedImage], findings: Findings, flags: Sequence[QualityFlag], told: Told
) -> StudyReport:
    """Say all that is known of a study.

    Args:
        planned: Which study it is.
        images: Its images, in the order in which `findings` took them.
        findings: The indices and frames.
        flags: From `flags_of`.
        told: The rest.

    Raises:
        InputError: A source file is gone.
    """
    whole = measured(images)
    segments, reason = _segments(whole.judged.segmentation)
    calibration = told.opened.calibration if told.wishes.clean else None
    return StudyReport(
        schema_version=SCHEMA_VERSION,
        study=planned.name,
        patient=_patient(images) if told.wishes.keep_identifiers else None,
        images=[_facts(image, planned, keep=told.wishes.keep_identifiers) for image in images],
        phases=findings.phases,
        indices=msgspec.convert(findings.index_rows(calibration), dict[str, IndexRow]),
        segments=segments,
        segments_reason=reason,
        frames=_frames(images, findings),
        flags=[Flag(**vars(flag)) for flag in flags],
        provenance=_provenance(told),
        repairs=_repairs(images, findings),
        scan=None if calibration is None else msgspec.convert(findings.scan(calibration), ScanRow | None),
        endocardium=None if findings.endocardium is None else findings.endocardium.value,
    )


def show_pixels(images: Sequence[SegmentedImage]) -> ReportPixels:
    """Put the frames of all images one after the other; smaller ones get an empty margin.

    Args:
        images: In the order of the report.

    Returns:
        Arrays with all frames on the T axis; those of a single image are not copied.
    """
    whole = measured(images).judged.segmentation
    study = with_phases(whole)
    labels = whole.labels[study.end_diastole or 0]
    return ReportPixels(
        image=_stack([image.study.pixels for image in images]),
        labels=_stack([image.judged.segmentation.labels for image in images]),
        spacing=images[0].study.spacing,
        basal_first=apex_is_last(labels, study.affine),
        entropy=_stack_known([image.judged.entropy for image in images]),
        sigma=_stack_known([image.judged.segmentation.sigma for image in images]),
        omega=_stack_known([image.judged.segmentation.omega for image in images]),
    )


def write_report(report: StudyReport, pixels: ReportPixels, planned: PlannedStudy, out: Path) -> None:
    """Write `report.json` and `report.html` where the plan of the study wants them.

    Args:
        report: From `build_report`.
        pixels: From `show_pixels`.
        planned: Which study it is.
        out: The folder that the plan's paths are relative to.

    Raises:
        InputError: The folder cannot be written.
    """
    with atomic_path(out / planned.report("json")) as temporary:
        temporary.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    write_page(report, pixels, out / planned.report("html"))


def _stack_known(arrays: Sequence[NDArray[Any] | None]) -> NDArray[Any] | None:
    known = [array for array in arrays if array is not None]
    return _stack(known) if len(known) == len(arrays) else None


def _stack(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    if len(arrays) == 1:
        return arrays[0]
    largest = np.max([array.shape[1:] for array in arrays], axis=0)
    return np.concatenate(
        [np.pad(array, [(0, 0), *((0, int(most - own)) for most, own in zip(largest, array.shape[1:], strict=True))]) for array in arrays]
    )


def _facts(image: SegmentedImage, planned: PlannedStudy, *, keep: bool) -> ImageFacts:
    study, dicom = image.study, image.planned.dicom
    notes = study.source.notes if isinstance(study.source, DicomSource | NiftiSource) else ()
    phases, slices, rows, columns = study.pixels.shape
    z, y, x = (round(millimetres, _DIGITS + 1) for millimetres in study.spacing)
    return ImageFacts(
        file=shown_path(image.planned.shown, keep=keep),
        format="DICOM" if dicom else "NIfTI",
        sha256=content_sha256(image.planned, study),
        phases=phases,
        slices=slices,
        rows=rows,
        columns=columns,
        spacing_mm=(z, y, x),
        notes=shown_notes(notes, planned, keep=keep),
    )


def _patient(images: Sequence[SegmentedImage]) -> Patient | None:
    source = images[0].study.source
    return Patient(**vars(read_identity(source))) if isinstance(source, DicomSource) else None


def _segments(segmentation: Segmentation) -> tuple[list[WallSegment], str | None]:
    source = segmentation.study.source
    if isinstance(source, NiftiSource) and source.no_volumes is not None:
        return [], source.no_volumes
    regional = regional_indices(segmentation)
    reasons = [regional[f"wall_thickness_{phase}_mean"].reason for phase in ("ed", "es")]
    if all(reasons):
        return [], reasons[0]

    def value(name: str, number: int) -> float | None:
        millimetres = regional[f"{name}_aha{number:02}"].value
        return None if millimetres is None else round(millimetres, _DIGITS)

    return [
        WallSegment(number, name, value("wall_thickness_ed", number), value("wall_thickness_es", number), value("wall_thickening", number))
        for number, name in enumerate(SEGMENTS, 1)
    ], None


def _frames(images: Sequence[SegmentedImage], findings: Findings) -> list[FrameRow]:
    """One row a frame; ED and ES, also the RV's own, are named only in the images that the indices rest on."""
    times = [
        None if image.study.phase_times is None else round(image.study.phase_times[phase], _DIGITS)
        for image in images
        for phase in range(image.study.n_phases)
    ]
    rows = [
        {"end_slices": [], "slice_risk": [], **row, "time_ms": time}
        | {name: row[name] if decisive else None for name in ("phase", "rv_phase")}
        for row, time, decisive in zip(findings.frames, times, findings.decisive, strict=True)
    ]
    return msgspec.convert(rows, list[FrameRow])


def _repairs(images: Sequence[SegmentedImage], findings: Findings) -> list[RepairRow]:
    rows, first = [], 0
    for image in images:
        for repair in image.judged.segmentation.repairs:
            frame = findings.frames[first + repair.phase]
            areas = (round(repair.before_mm2, 1), round(repair.after_mm2, 1))
            rows.append(
                {"image": frame["image"], "frame": frame["frame"], "slice": repair.slice + 1, "structure": repair.structure.name}
                | dict(zip(("before_mm2", "after_mm2"), areas, strict=True))
            )
        first += image.study.n_phases
    return msgspec.convert(rows, list[RepairRow])


def _provenance(told: Told) -> Provenance:
    return Provenance(
        shortaxis_version=__version__,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        command=told.command,
        model=told.opened.provenance["name"],
        model_sha256=told.opened.provenance["sha256"],
        calibrated=told.opened.calibration is not None,
        device=str(told.opened.model.device),
        seconds=round(told.seconds, _DIGITS),
        options=told.wishes.beyond_defaults(),
        notice=told.opened.provenance.get("notice"),
    )
