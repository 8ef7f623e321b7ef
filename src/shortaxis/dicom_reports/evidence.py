"""What a measurement report refers to: the segmentation objects of a study, and the images that they were made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shortaxis.errors import InputError
from shortaxis.io.dicom.scanning import lenient_pydicom
from shortaxis.io.dicom.sources import patient_and_study
from shortaxis.io.dicom.values import many

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pydicom import Dataset


@dataclass(frozen=True)
class SourceImage:
    """An image that a segmentation was made of.

    Attributes:
        sop_class: SOP Class UID.
        sop_instance: SOP Instance UID.
        series: Series Instance UID.
        frames: Frame numbers counted from 1; empty for a single-frame image.
    """

    sop_class: str
    sop_instance: str
    series: str
    frames: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class SegmentationObject:
    """One DICOM-SEG of one phase, without its pixels.

    Attributes:
        phase: Number of the phase, counted from 1.
        header: The data set.
        images: Its source images, in the order of the slices.
        tracking: Tracking ID and tracking UID of each segment, by segment number.
    """

    phase: int
    header: Dataset
    images: tuple[SourceImage, ...]
    tracking: dict[int, tuple[str, str]]


def read_segmentation_object(path: Path) -> SegmentationObject:
    """Read what a report needs of a DICOM-SEG that `shortaxis.io.dicom.write_dicom_seg` wrote.

    Args:
        path: The file.

    Raises:
        InputError: The file is gone, or is no such object.
    """
    with lenient_pydicom(path):
        from pydicom import dcmread  # noqa: PLC0415 (an optional package)

        try:
            header = dcmread(path, stop_before_pixels=True)
            series = {
                str(instance.ReferencedSOPInstanceUID): str(item.SeriesInstanceUID)
                for item in header.ReferencedSeriesSequence
                for instance in item.ReferencedInstanceSequence
            }
            images = tuple(_source_image(item, series) for item in header.SourceImageSequence)
            tracking = {int(item.SegmentNumber): (str(item.TrackingID), str(item.TrackingUID)) for item in header.SegmentSequence}
            return SegmentationObject(int(header.InstanceNumber), header, images, tracking)
        except Exception as error:  # a file that is no DICOM-SEG of this package may fail in any way
            msg = f"{path}: is not a DICOM-SEG that a report can refer to ({type(error).__name__}); write it again with --dicom-seg"
            raise InputError(msg) from error


def _source_image(item: Dataset, series: dict[str, str]) -> SourceImage:
    uid = str(item.ReferencedSOPInstanceUID)
    frames = tuple(int(number) for number in many(item.get("ReferencedFrameNumber")))
    return SourceImage(str(item.ReferencedSOPClassUID), uid, series[uid], frames)


def evidence_of(path: Path, segmentations: Sequence[SegmentationObject]) -> list[Dataset]:
    """Describe all objects that a report refers to, as highdicom wants them: patient and study stand in the first.

    Args:
        path: The file of the first segmentation object.
        segmentations: The objects.
    """
    from pydicom import Dataset  # noqa: PLC0415

    first = patient_and_study(path)
    study = str(first.StudyInstanceUID)
    uids = {str(one.header.SOPInstanceUID): (str(one.header.SOPClassUID), str(one.header.SeriesInstanceUID)) for one in segmentations} | {
        image.sop_instance: (image.sop_class, image.series) for one in segmentations for image in one.images
    }
    described = []
    for number, (uid, (sop_class, series)) in enumerate(uids.items()):
        dataset = Dataset()
        if number == 0:
            dataset.update(first)
            dataset.SpecificCharacterSet = "ISO_IR 192"
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series
        dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, uid
        described.append(dataset)
    return described
