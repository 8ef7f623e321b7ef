"""A PDF as a DICOM object of the patient's study.

Source: DICOM PS3.3, A.45.1 (Encapsulated PDF IOD), C.24.2 (Encapsulated Document module).
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from shortaxis import __version__
from shortaxis.errors import InputError
from shortaxis.io.atomic import atomic_path
from shortaxis.io.dicom.scanning import lenient_pydicom
from shortaxis.io.dicom.sources import patient_and_study

if TYPE_CHECKING:
    from pydicom import Dataset

ENCAPSULATED_PDF: Final = "1.2.840.10008.5.1.4.1.1.104.1"
_EXPLICIT: Final = "1.2.840.10008.1.2.1"
_SERIES_NUMBER: Final = 3000
_PATIENT_AND_STUDY: Final = (
    *("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "PatientAge", "PatientSize", "PatientWeight"),
    *("StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "StudyDescription", "AccessionNumber", "ReferringPhysicianName"),
)
"""What an object of the study repeats of its images."""
_REPORT: Final = ("18748-4", "LN", "Diagnostic imaging report")


def write_encapsulated_pdf(pdf: Path | str, image: Path | str, out: Path | str, *, names_patient: bool, title: str) -> None:
    """Write a PDF as DICOM Encapsulated PDF, in a new series of the study that an image belongs to.

    Args:
        pdf: The PDF.
        image: A DICOM image of the study, which says whom it shows and is named as source.
        out: The `.dcm` file, written whole or not at all.
        names_patient: Whether the pages name the patient (BurnedInAnnotation).
        title: Title of the document.

    Raises:
        InputError: The image lacks its UIDs or cannot be read, or the file cannot be written.
    """
    pdf, image, out = Path(pdf), Path(image), Path(out)
    with lenient_pydicom(image):
        try:
            header = patient_and_study(image)
            content = pdf.read_bytes()
        except OSError as error:
            msg = f"{error.filename or image}: is gone or cannot be read ({error.strerror}); leave the files in place"
            raise InputError(msg) from error
        if not (header.get("StudyInstanceUID") and header.get("SOPClassUID") and header.get("SOPInstanceUID")):
            msg = f"{image}: lacks one of the UIDs by which DICOM refers to an image; write the report as PDF instead"
            raise InputError(msg)
        dataset = _dataset(header, content, names_patient=names_patient, title=title)
        with atomic_path(out) as temporary:
            dataset.save_as(temporary, enforce_file_format=True)


def _dataset(header: Dataset, content: bytes, *, names_patient: bool, title: str) -> Dataset:
    from pydicom.dataset import Dataset, FileMetaDataset  # noqa: PLC0415 (an optional package)
    from pydicom.uid import UID, generate_uid  # noqa: PLC0415

    now = datetime.now()  # noqa: DTZ005 (DICOM writes the local time of day)
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    for keyword in _PATIENT_AND_STUDY:
        if keyword in header:
            setattr(dataset, keyword, header[keyword].value)
    dataset.SOPClassUID, dataset.SOPInstanceUID = UID(ENCAPSULATED_PDF), generate_uid()
    dataset.InstanceCreationDate = dataset.SeriesDate = dataset.ContentDate = f"{now:%Y%m%d}"
    dataset.InstanceCreationTime = dataset.SeriesTime = dataset.ContentTime = f"{now:%H%M%S}"
    dataset.AcquisitionDateTime = None
    dataset.Modality, dataset.ConversionType = "DOC", "WSD"
    dataset.SeriesInstanceUID, dataset.SeriesNumber, dataset.InstanceNumber = generate_uid(), _SERIES_NUMBER, 1
    dataset.SeriesDescription = "shortaxis report"
    dataset.Manufacturer, dataset.ManufacturerModelName, dataset.SoftwareVersions = "shortaxis", "shortaxis", __version__
    dataset.BurnedInAnnotation = "YES" if names_patient else "NO"
    dataset.DocumentTitle = title
    dataset.ConceptNameCodeSequence = [_code(*_REPORT)]
    dataset.SourceInstanceSequence = [_reference(header)]
    dataset.MIMETypeOfEncapsulatedDocument = "application/pdf"
    dataset.EncapsulatedDocument = content + b"\0" * (len(content) % 2)
    dataset.EncapsulatedDocumentLength = len(content)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(_EXPLICIT)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    from pydicom import Dataset  # noqa: PLC0415

    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


def _reference(image: Dataset) -> Dataset:
    from pydicom import Dataset  # noqa: PLC0415

    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
    return reference
