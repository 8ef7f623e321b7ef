"""A DICOM SR that says why a study has no measurements."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from shortaxis import __version__
from shortaxis.dicom_reports.codes import coded
from shortaxis.errors import InputError
from shortaxis.io.atomic import atomic_path
from shortaxis.io.dicom.scanning import lenient_pydicom
from shortaxis.io.dicom.sources import patient_and_study

_SERIES_NUMBER: Final = 2000
_TITLE: Final = ("18748-4", "LN", "Diagnostic imaging report")
_FINDINGS: Final = ("121070", "DCM", "Findings")
_FINDING: Final = ("121071", "DCM", "Finding")
_LANGUAGE: Final = ("121049", "DCM", "Language of Content Item and Descendants")
_ENGLISH: Final = ("eng", "RFC5646", "English")


def write_refusal_report(image: Path | str, reason: str, out: Path | str) -> None:
    """Write an SR (Enhanced SR, in the manner of TID 2000) that says why a study was not segmented.

    Args:
        image: A DICOM image of the study, which says whom it shows and is named as evidence.
        reason: Why, in one sentence without a name of the patient.
        out: The `.dcm` file, written whole or not at all.

    Raises:
        InputError: The image lacks its UIDs or cannot be read, highdicom is not installed, or the file cannot be written.
    """
    image, out = Path(image), Path(out)
    try:
        import highdicom  # noqa: PLC0415 (an optional package)
        from highdicom import sr  # noqa: PLC0415
    except ImportError as error:
        msg = "writing a DICOM SR needs a package that is not installed; run: pip install 'shortaxis[dicom]'"
        raise InputError(msg) from error
    with lenient_pydicom(image):
        header = _evidence(image)
        text = f"shortaxis {__version__} did not segment this study. {reason[:1].upper()}{reason[1:].rstrip('.')}."
        findings = _container(_FINDINGS, [sr.TextContentItem(name=coded(_FINDING), value=text, relationship_type="CONTAINS")])
        findings.RelationshipType = "CONTAINS"
        language = sr.CodeContentItem(name=coded(_LANGUAGE), value=coded(_ENGLISH), relationship_type="HAS CONCEPT MOD")
        document = sr.EnhancedSR(
            evidence=[header],
            content=_container(_TITLE, [language, findings]),
            series_instance_uid=highdicom.UID(),
            series_number=_SERIES_NUMBER,
            sop_instance_uid=highdicom.UID(),
            instance_number=1,
            manufacturer="shortaxis",
            software_versions=__version__,
            is_complete=True,
            is_final=False,
            is_verified=False,
            series_description="shortaxis: not segmented",
            specific_character_set="ISO_IR 192",
        )
        with atomic_path(out) as temporary:
            document.save_as(temporary, enforce_file_format=True)


def _container(name: tuple[str, str, str], items: list[Any]) -> Any:
    from highdicom import sr  # noqa: PLC0415

    container = sr.ContainerContentItem(name=coded(name))
    container.ContentSequence = sr.ContentSequence(items)
    return container


def _evidence(image: Path) -> Any:
    """Describe the image, with its patient and study."""
    try:
        header = patient_and_study(image)
    except OSError as error:
        msg = f"{image}: is gone or cannot be read ({error.strerror}); leave the DICOM files in place"
        raise InputError(msg) from error
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID", "SOPInstanceUID"):
        if not header.get(keyword):
            msg = f"{image}: lacks its {keyword}, so no DICOM SR can belong to its study; send images with all their UIDs"
            raise InputError(msg)
    header.SpecificCharacterSet = "ISO_IR 192"
    return header
