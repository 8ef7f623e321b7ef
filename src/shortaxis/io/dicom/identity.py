"""Who was scanned: read only where a user asks to keep identifiers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from shortaxis.errors import InputError
from shortaxis.io.dicom.scanning import lenient_pydicom

if TYPE_CHECKING:
    from shortaxis.io.dicom.reader import DicomSource

_SEXES: Final = frozenset({"M", "F", "O"})
_KEYWORDS: Final = ("SpecificCharacterSet", "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyDate")


@dataclass(frozen=True)
class Identity:
    """Who was scanned, and when; None where the header says nothing or something that cannot be.

    Attributes:
        identifier: Patient ID.
        name: Patient's name: family name, given names.
        birth_date: ISO date.
        sex: M, F or O, as DICOM writes it.
        study_date: ISO date.
    """

    identifier: str | None = None
    name: str | None = None
    birth_date: str | None = None
    sex: str | None = None
    study_date: str | None = None


def read_identity(source: DicomSource) -> Identity:
    """Read the patient from the header of a study's first image.

    Args:
        source: The `source` of a study read by `shortaxis.io.dicom.read_dicom`.

    Returns:
        What the header says.

    Raises:
        InputError: The file is gone or unreadable.
    """
    from pydicom import dcmread  # noqa: PLC0415 (an optional package)

    path = source.instances[0][0].path
    with lenient_pydicom(path):
        try:
            header = dcmread(path, stop_before_pixels=True, force=True, specific_tags=list(_KEYWORDS))
        except Exception as error:
            msg = f"{path}: is gone or cannot be read anew ({type(error).__name__}); leave the DICOM files in place"
            raise InputError(msg) from error
        values = {keyword: _text(header, keyword) for keyword in _KEYWORDS[1:]}
    sex = (values["PatientSex"] or "").upper()
    return Identity(
        identifier=values["PatientID"],
        name=_name(values["PatientName"]),
        birth_date=_date(values["PatientBirthDate"]),
        sex=sex if sex in _SEXES else None,
        study_date=_date(values["StudyDate"]),
    )


def _text(header: Any, keyword: str) -> str | None:
    try:
        return str(header.get(keyword) or "").strip(" \0") or None
    except Exception:  # a damaged value may fail in any way
        return None


def _name(text: str | None) -> str | None:
    """Write FAMILY^GIVEN^MIDDLE^PREFIX^SUFFIX as `FAMILY, GIVEN MIDDLE PREFIX SUFFIX`; of several scripts the first that says anything."""
    for script in (text or "").split("="):
        family, *others = (part.strip() for part in script.split("^"))
        rest = " ".join(part for part in others if part)
        if family or rest:
            return ", ".join(part for part in (family, rest) if part)
    return None


def _date(text: str | None) -> str | None:
    """ISO date of YYYYMMDD, or YYYY.MM.DD as it was written before 1993."""
    try:
        return datetime.strptime((text or "").replace(".", ""), "%Y%m%d").date().isoformat()  # noqa: DTZ007 (a day has no time zone)
    except ValueError:
        return None
