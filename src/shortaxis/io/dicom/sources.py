"""The images that a segmentation refers to, and the patient and study that it belongs to, read anew from the source files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from shortaxis.errors import InputError
from shortaxis.io.dicom.reader import DicomSource
from shortaxis.io.dicom.scanning import lenient_pydicom, scan_headers
from shortaxis.io.dicom.values import many, number

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pydicom import Dataset

    from shortaxis.io.dicom.headers import Plane
    from shortaxis.io.dicom.reader import Instance
    from shortaxis.study import Study

_MR_IMAGE: Final = "1.2.840.10008.5.1.4.1.1.4"
_MUST_STAND: Final = ("PatientID", "PatientName", "AccessionNumber", "StudyID", "ReferringPhysicianName")
"""Type 2 attributes of the patient and the study: they are written even where they are empty."""
_NUMBERS: Final = frozenset({"DS", "IS"})
"""Value representations of numbers in text."""
_LAST_COPIED_GROUP: Final = 0x0040
"""Groups above hold overlays, functional groups and pixels: nothing of the patient and the study."""


@dataclass(frozen=True, eq=False)
class SourceFrame:
    """One source image.

    Attributes:
        plane: What its header says.
        number: Number of the frame, counted from 1, in a file of several; None for a file of one.
        resampled: Whether `plane` is where the study has the image, on whose grid its pixels were resampled.
    """

    plane: Plane
    number: int | None
    resampled: bool = False


def dicom_source(study: Study, wish: str) -> DicomSource:
    """Give the DICOM source of a study.

    Args:
        study: The study.
        wish: What needs it, to begin the error with.

    Raises:
        InputError: The study was not read from DICOM.
    """
    if not isinstance(study.source, DicomSource):
        msg = f"{wish} needs a study that was read from DICOM, since it refers to DICOM images; give the DICOM files of the study"
        raise InputError(msg)
    return study.source


def source_frames(instances: Sequence[Sequence[Instance]]) -> list[list[SourceFrame]]:
    """Read the headers of source images.

    Args:
        instances: Lists of D instances, one a phase.

    Returns:
        The source images in the same order.

    Raises:
        InputError: A file is gone or has changed, or lacks the UIDs by which DICOM refers to it, or two images share one.
    """
    files = {path: scan_headers(path).planes for path in dict.fromkeys(instance.path for phase in instances for instance in phase)}
    frames = [[_frame(instance, files[instance.path]) for instance in phase] for phase in instances]
    owners: dict[tuple[str, int], Path] = {}
    for plane in (frame.plane for phase in frames for frame in phase):
        other = owners.setdefault((plane.sop_instance_uid, plane.frame), plane.path)
        if other != plane.path:
            msg = f"{plane.path}: has the SOPInstanceUID of {other}, so nothing can refer to it; write NIfTI labels instead"
            raise InputError(msg)
    return frames


def _frame(instance: Instance, planes: Sequence[Plane]) -> SourceFrame:
    plane = next((plane for plane in planes if (plane.frame, plane.sop_instance_uid) == (instance.frame, instance.sop_instance_uid)), None)
    if plane is None:
        msg = f"{instance.path}: is gone or has changed since it was read; leave the DICOM files in place and read the study again"
        raise InputError(msg)
    if not (plane.sop_class_uid and plane.sop_instance_uid and plane.series_uid and plane.study_uid):
        msg = f"{instance.path}: lacks one of the UIDs by which DICOM refers to an image; write NIfTI labels instead"
        raise InputError(msg)
    return SourceFrame(plane, instance.frame + 1 if len(planes) > 1 else None)


def patient_and_study(path: Path) -> Dataset:
    """Give the header of an image with what says whom it shows and which study it belongs to, fit for a new object.

    Dates and a sex that are none, such as the day 00000000 of some anonymisers, become empty; what cannot be read at all is left out.
    Texts are decoded, and the character set is left out, so that they can be written in another one.

    Args:
        path: The image.
    """
    from pydicom import Dataset, dcmread  # noqa: PLC0415 (an optional package)

    header = Dataset()
    with lenient_pydicom(path):
        dataset = dcmread(path, stop_before_pixels=True, force=True)
        for tag in dataset.keys():  # noqa: SIM118 (to iterate over the data set itself would read all values, damaged ones too)
            if 0x0008 <= tag.group <= _LAST_COPIED_GROUP and not tag.is_private:
                _copy(dataset, tag, header)
        header.pop("SpecificCharacterSet", None)
        for keyword in _MUST_STAND:
            header.setdefault(keyword, "")
        _mend(header)
    return header


def _copy(dataset: Dataset, tag: int, header: Dataset) -> None:
    try:
        element = dataset[tag]
        if element.VR == "SQ":
            for item in element.value:
                item.decode()
        if element.VR not in _NUMBERS or None not in map(number, many(element.value)):
            header[tag] = element
    except Exception:  # noqa: S110 (a damaged value may fail in any way)
        pass


def _mend(header: Dataset) -> None:
    """Empty what a strict writer refuses."""
    from pydicom.valuerep import DA, TM  # noqa: PLC0415

    for keyword, kind in (("PatientBirthDate", DA), ("StudyDate", DA), ("StudyTime", TM)):
        setattr(header, keyword, _valid(header.get(keyword), kind))
    if header.get("PatientSex") not in {"M", "F", "O"}:
        header.PatientSex = ""


def _valid(value: Any, kind: Any) -> str:
    try:
        kind(value)
    except (TypeError, ValueError):
        return ""
    return str(value or "")


def as_single_frame(
    frame: SourceFrame, header: Dataset, *, frame_of_reference: str, orientation: Sequence[float], thickness: float, name: str
) -> Dataset:
    """Describe a source image as a single-frame MR image, whatever file it stands in.

    highdicom wants all sources of a segmentation in one series, one frame of reference and one orientation to the last digit. Real studies
    have a series for each slice, a frame of reference for each file of some anonymisers, and digits that differ.

    Args:
        frame: The image.
        header: Of `patient_and_study`, or an empty one: highdicom looks at the first image's only.
        frame_of_reference: UID of the frame of reference.
        orientation: Direction cosines (LPS) of a row, then of a column.
        thickness: Slice thickness in mm where the image does not say it.
        name: What shall stand as SOPInstanceUID, to find the image again in highdicom's references.
    """
    from pydicom import Dataset  # noqa: PLC0415

    plane, image = frame.plane, Dataset()
    image.update(header)
    image.SOPClassUID = _MR_IMAGE
    image.SOPInstanceUID = name
    image.StudyInstanceUID = plane.study_uid
    image.SeriesInstanceUID = "0"
    image.FrameOfReferenceUID = frame_of_reference
    image.Modality = "MR"
    image.Rows, image.Columns = plane.shape
    image.ImageOrientationPatient = list(orientation)
    image.ImagePositionPatient = list(plane.position)
    image.PixelSpacing = list(plane.spacing)
    image.SliceThickness = plane.thickness or thickness
    return image
