"""The indices of a study as DICOM SR: a measurement report by TID 1500, each measurement tied to its segment and source images.

Volumes and mass stand in a group for each segment of the ED and the ES object (TID 1411). What is derived from both phases (ejection
fraction, stroke volume, output) stands in a group for each ventricle (TID 1501) and refers to the segments of both. A value that is only a
lower bound is not written as a number, since DICOM has no place for "at least": a comment gives it. Flags and reasons are comments too.

Source: DICOM PS3.16, TID 300, 1411, 1500 and 1501.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import NAMESPACE_URL, uuid5

from shortaxis import __version__
from shortaxis.dicom_reports.codes import (
    COMMENT,
    DIVIDED_BY_BSA,
    HEART,
    INDEXED_TO_BODY,
    MEASURES,
    PROCEDURE,
    QUALITATIVE,
    SITES,
    UNITS,
    coded,
)
from shortaxis.dicom_reports.comments import comments_on
from shortaxis.dicom_reports.evidence import SegmentationObject, evidence_of, read_segmentation_object
from shortaxis.errors import InputError
from shortaxis.io.atomic import atomic_path
from shortaxis.io.dicom.scanning import lenient_pydicom
from shortaxis.labels import FOREGROUND, Structure

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from shortaxis.dicom_reports.codes import Measure, Phase
    from shortaxis.reports.content import IndexRow, StudyReport

_SERIES_OFFSET: Final = 1000
"""Added to the number of the DICOM-SEG series."""
_PHASE_WORDS: Final[dict[str, str]] = {"ED": "end-diastole", "ES": "end-systole"}
_DIGITS: Final = 4
"""Decimals of a number; a DICOM decimal string holds 16 characters."""


def write_measurement_report(report: StudyReport, segmentations: Sequence[Path], out: Path | str) -> None:
    """Write the indices of a study as a DICOM SR (Comprehensive SR, TID 1500).

    The object belongs to the patient and the study of the segmentation objects, and has new UIDs. It is marked as unverified and
    preliminary: no person has looked at it.

    Args:
        report: What was found.
        segmentations: The DICOM-SEG files of the study; those of the ED and the ES phase are referred to.
        out: The `.dcm` file, written whole or not at all.

    Raises:
        InputError: ED and ES are not both known or have no DICOM-SEG, highdicom is not installed, or a file cannot be read or written.
    """
    out = Path(out)
    try:
        import highdicom.sr  # noqa: F401, PLC0415 (an optional package)
    except ImportError as error:
        msg = "writing a DICOM SR needs a package that is not installed; run: pip install 'shortaxis[dicom]'"
        raise InputError(msg) from error
    files = {read_segmentation_object(path).phase: path for path in segmentations}
    phases = _decisive_phases(report)
    missing = [name for name in _PHASE_WORDS if phases.get(name) not in files]
    if missing:
        lacking = " and ".join(missing)
        msg = f"{report.study}: a DICOM SR refers to the DICOM-SEG of ED and ES, and there is none of {lacking}; name both phases"
        raise InputError(msg)
    objects: dict[str, SegmentationObject] = {name: read_segmentation_object(files[phases[name]]) for name in _PHASE_WORDS}
    with lenient_pydicom(out):
        document = _document(report, objects, files[phases["ED"]])
        with atomic_path(out) as temporary:
            document.save_as(temporary, enforce_file_format=True)


def _decisive_phases(report: StudyReport) -> dict[str, int]:
    return {frame.phase: frame.frame for frame in report.frames if frame.phase is not None}


def _document(report: StudyReport, objects: Mapping[str, SegmentationObject], first: Path) -> Any:
    import highdicom  # noqa: PLC0415
    from highdicom import sr  # noqa: PLC0415

    provenance = report.provenance
    device = sr.ObserverContext(
        observer_type=highdicom.sr.CodedConcept("121007", "DCM", "Device"),
        observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
            uid=highdicom.UID.from_uuid(str(uuid5(NAMESPACE_URL, provenance.model_sha256))),
            name="shortaxis",
            manufacturer_name="shortaxis",
            model_name=provenance.model,
            serial_number=provenance.model_sha256,
        ),
    )
    content = sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=device),
        procedure_reported=coded(PROCEDURE),
        imaging_measurements=list(_Groups(report, objects).all()),
    )
    _add_comments(content[0], comments_on(report))
    header = objects["ED"].header
    return sr.ComprehensiveSR(
        evidence=evidence_of(first, list(objects.values())),
        content=content,
        series_instance_uid=highdicom.UID(),
        series_number=int(header.SeriesNumber) + _SERIES_OFFSET,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer="shortaxis",
        manufacturer_model_name=header.ManufacturerModelName,
        software_versions=__version__,
        device_serial_number=header.DeviceSerialNumber,
        is_complete=True,
        is_final=False,
        is_verified=False,
        series_description="shortaxis measurements",
        specific_character_set="ISO_IR 192",
    )


class _Groups:
    """The measurement groups of a report."""

    def __init__(self, report: StudyReport, objects: Mapping[str, SegmentationObject]) -> None:
        from highdicom import sr  # noqa: PLC0415
        from pydicom.sr.codedict import codes  # noqa: PLC0415

        self._report = report
        self._objects = objects
        self._sr = sr
        self._algorithm = sr.AlgorithmIdentification(
            name="shortaxis",
            version=__version__,
            parameters=[f"model={report.provenance.model}", f"model_sha256={report.provenance.model_sha256}"],
            family=codes.cid7162.ArtificialIntelligence,
        )

    def all(self) -> Iterator[Any]:
        """First the segments of ED and ES, then what is derived from both, then what was not measured on segments."""
        for phase in ("ED", "ES"):
            for structure in FOREGROUND:
                if rows := self._rows((structure,), (phase,)):
                    yield self._of_segment(structure, phase, rows)
        for structure in FOREGROUND:
            if rows := self._rows((structure,), ("ED", "ES")):
                yield self._derived(structure, rows)
        if rows := self._rows((), ()):
            yield self._of_heart(rows)

    def _rows(self, structures: tuple[Structure, ...], phases: tuple[Phase, ...]) -> dict[str, IndexRow]:
        """The indices with a value that are measured there, each followed by the same divided by the body surface area."""
        wanted = [name for name, measure in MEASURES.items() if (measure.structures, measure.phases) == (structures, phases)]
        rows = {key: self._report.indices.get(key) for name in wanted for key in (name, name + INDEXED_TO_BODY)}
        return {name: row for name, row in rows.items() if row is not None and row.value is not None and not row.lower_bound}

    def _of_segment(self, structure: Structure, phase: Phase, rows: Mapping[str, IndexRow]) -> Any:
        sr, one = self._sr, self._objects[phase]
        tracking_id, tracking_uid = one.tracking[int(structure)]
        images = [sr.SourceImageForSegmentation(image.sop_class, image.sop_instance, list(image.frames) or None) for image in one.images]
        segment = sr.ReferencedSegment(one.header.SOPClassUID, one.header.SOPInstanceUID, int(structure), source_images=images)
        return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=sr.TrackingIdentifier(uid=tracking_uid, identifier=f"{tracking_id}, {_PHASE_WORDS[phase]}"),
            referenced_segment=segment,
            finding_type=coded(SITES[structure]),
            finding_sites=[sr.FindingSite(coded(HEART))],
            algorithm_id=self._algorithm,
            measurements=[self._number(name, row, ()) for name, row in rows.items()],
        )

    def _derived(self, structure: Structure, rows: Mapping[str, IndexRow]) -> Any:
        sr = self._sr
        tracking_id, _ = self._objects["ED"].tracking[int(structure)]
        return sr.MeasurementsAndQualitativeEvaluations(
            tracking_identifier=sr.TrackingIdentifier(identifier=f"{tracking_id}, function"),
            finding_type=coded(SITES[structure]),
            finding_sites=[sr.FindingSite(coded(HEART))],
            algorithm_id=self._algorithm,
            measurements=[self._number(name, row, (structure,)) for name, row in rows.items()],
        )

    def _of_heart(self, rows: Mapping[str, IndexRow]) -> Any:
        sr = self._sr
        return sr.MeasurementsAndQualitativeEvaluations(
            tracking_identifier=sr.TrackingIdentifier(identifier="patient"),
            finding_sites=[sr.FindingSite(coded(HEART))],
            measurements=[self._number(name, row, ()) for name, row in rows.items()],
        )

    def _number(self, name: str, row: IndexRow, segments: tuple[Structure, ...]) -> Any:
        """One measurement; `segments` are those of both phases that it is derived from."""
        sr = self._sr
        measure: Measure = MEASURES[name.removesuffix(INDEXED_TO_BODY)]
        value = round(row.value or 0.0, _DIGITS)
        properties = None
        if row.interval is not None:
            low, high = row.interval
            properties = sr.MeasurementProperties(
                upper_measurement_uncertainty=round(high - value, _DIGITS), lower_measurement_uncertainty=round(value - low, _DIGITS)
            )
            for item in properties:  # highdicom writes them without the unit
                item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence = [sr.CodedConcept.from_code(coded(UNITS[row.unit]))]
        return sr.Measurement(
            name=coded(measure.code),
            value=value,
            unit=coded(UNITS[row.unit]),
            derivation=coded(DIVIDED_BY_BSA) if name.endswith(INDEXED_TO_BODY) else None,
            properties=properties,
            referenced_images=[self._segment_as_source(one, segment) for segment in segments for one in self._objects.values()] or None,
        )

    def _segment_as_source(self, one: SegmentationObject, structure: Structure) -> Any:
        image = self._sr.SourceImageForMeasurement(one.header.SOPClassUID, one.header.SOPInstanceUID)
        image.ReferencedSOPSequence[0].ReferencedSegmentNumber = int(structure)
        return image


def _add_comments(root: Any, comments: Sequence[str]) -> None:
    """Put comments into the container of qualitative evaluations (TID 1500, row 12)."""
    from highdicom import sr  # noqa: PLC0415

    if not comments:
        return
    container = sr.ContainerContentItem(name=coded(QUALITATIVE), relationship_type="CONTAINS")
    container.ContentSequence = sr.ContentSequence(
        [sr.TextContentItem(name=coded(COMMENT), value=text, relationship_type="CONTAINS") for text in comments]
    )
    root.ContentSequence.append(container)
