"""One synthetic DICOM file: what all series of a synthetic study share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shortaxis.io.atomic import atomic_path

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from pydicom import Dataset

CANARY: Final = "CANARY"
"""Stands in every tag that names a person or place, so that a test finds out where it flies to."""
IMAGE: Final = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED: Final = "1.2.840.10008.5.1.4.1.1.4.1"
BITS: Final = 12


@dataclass(frozen=True)
class Series:
    """What the images of one series share.

    Attributes:
        study: Name of the study; the same name gives the same UIDs.
        number: Number of the series.
        description: Its description.
        manufacturer: Maker of the scanner.
        tags: Further attributes by keyword.
        stored: How pixels are stored: `slope` and `intercept`, `inverted` for MONOCHROME1, `signed`.
    """

    study: str
    number: int
    description: str
    manufacturer: str
    tags: dict[str, Any] = field(default_factory=dict)
    slope: float = 1.0
    intercept: float = 0.0
    inverted: bool = False
    signed: bool = False


@dataclass(frozen=True, eq=False)
class Place:
    """Where an image lies (LPS, mm).

    Attributes:
        position: Centre of the first pixel.
        row: Unit vector along a row.
        column: Unit vector along a column.
        spacing: (row, column) distance of the pixels.
        thickness: Slice thickness.
    """

    position: NDArray[np.float64]
    row: NDArray[np.float64]
    column: NDArray[np.float64]
    spacing: tuple[float, float]
    thickness: float

    def tags(self) -> dict[str, Any]:
        """The attributes that say it."""
        return {
            "ImagePositionPatient": decimals(self.position),
            "ImageOrientationPatient": decimals(np.concatenate([self.row, self.column])),
            "PixelSpacing": decimals(np.array(self.spacing)),
            "SliceThickness": decimals(np.array([self.thickness]))[0],
        }


def new_dataset(series: Series, instance: int, pixels: NDArray[Any], *, sop_class: str = IMAGE) -> Dataset:
    """Make a data set with pixels and without a place.

    Args:
        series: What it belongs to.
        instance: Instance number, unique in the series.
        pixels: (H, W), or (frames, H, W) of a multi-frame image, in the values that a reader shall see.
        sop_class: SOP class UID.
    """
    from pydicom import Dataset  # noqa: PLC0415 (an optional package)
    from pydicom.dataset import FileMetaDataset  # noqa: PLC0415
    from pydicom.uid import UID, ExplicitVRLittleEndian  # noqa: PLC0415

    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = UID(sop_class)
    dataset.SOPInstanceUID = uid(series.study, series.number, instance, pixels.ndim)
    dataset.StudyInstanceUID = uid(series.study)
    dataset.SeriesInstanceUID = uid(series.study, series.number)
    dataset.FrameOfReferenceUID = uid(series.study, "frame of reference")
    for keyword, value in _people().items():
        setattr(dataset, keyword, value)
    dataset.Modality = "MR"
    dataset.Manufacturer = series.manufacturer
    dataset.SeriesNumber = series.number
    dataset.SeriesDescription = series.description
    dataset.InstanceNumber = instance
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M"]
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = "20200101"
    for keyword, value in series.tags.items():
        setattr(dataset, keyword, value)
    _store(dataset, series, pixels)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = UID(sop_class)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def save(dataset: Dataset, path: Path, transfer_syntax: str | None = None) -> Path:
    """Write a data set, whole or not at all.

    Args:
        dataset: The data set.
        path: The file.
        transfer_syntax: UID of the compression, one that pydicom can write; None leaves the pixels plain.

    Raises:
        InputError: The file cannot be written.
    """
    if transfer_syntax is not None:
        dataset.compress(transfer_syntax, generate_instance_uid=False)
    with atomic_path(path) as temporary:
        dataset.save_as(temporary, enforce_file_format=True)
    return path


def decimals(values: NDArray[np.float64]) -> list[str]:
    """Decimal strings of at most 16 characters, as DICOM demands."""
    return [np.format_float_positional(value, precision=10, trim="-")[:16] for value in values]


def uid(*parts: Any) -> str:
    """A UID that follows from its parts."""
    from pydicom.uid import generate_uid  # noqa: PLC0415 (an optional package)

    return generate_uid(entropy_srcs=["shortaxis phantom", *map(str, parts)])


def item(**tags: Any) -> Dataset:
    """A data set of some attributes, for instance an item of a sequence."""
    from pydicom import Dataset  # noqa: PLC0415 (an optional package)

    dataset = Dataset()
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    return dataset


def _people() -> dict[str, str]:
    return {
        "PatientName": f"{CANARY}^NAME",
        "PatientID": f"{CANARY}-ID",
        "PatientBirthDate": "19011231",
        "PatientSex": "O",
        "PatientAddress": f"{CANARY} street",
        "OtherPatientIDs": f"{CANARY}-OTHER",
        "AccessionNumber": f"{CANARY}-ACC",
        "InstitutionName": f"{CANARY} hospital",
        "ReferringPhysicianName": f"{CANARY}^DOCTOR",
        "OperatorsName": f"{CANARY}^OPERATOR",
        "StationName": f"{CANARY}-STATION",
        "DeviceSerialNumber": f"{CANARY}-SERIAL",
        "StudyID": f"{CANARY}-STUDY",
        "StudyDescription": f"{CANARY} study",
        "ProtocolName": f"{CANARY} protocol",
        "ImageComments": f"{CANARY} comment",
    }


def _store(dataset: Dataset, series: Series, pixels: NDArray[Any]) -> None:
    stored = np.rint((pixels - series.intercept) / series.slope).astype(np.int32)
    if series.inverted:
        stored = (-1 if series.signed else 2**BITS - 1) - stored
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME1" if series.inverted else "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape[-2:]
    if pixels.ndim == 3:
        dataset.NumberOfFrames = len(pixels)
    dataset.BitsAllocated = 16
    dataset.BitsStored = 16 if series.signed else BITS
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(series.signed)
    if (series.slope, series.intercept) != (1.0, 0.0) and pixels.ndim == 2:
        dataset.RescaleSlope, dataset.RescaleIntercept = decimals(np.array([series.slope, series.intercept]))
    dataset.PixelData = stored.astype("<i2" if series.signed else "<u2").tobytes()
