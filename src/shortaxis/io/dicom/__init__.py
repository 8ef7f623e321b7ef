"""DICOM in: the short-axis cine of a study as it leaves the scanner.

The package needs pydicom (`pip install 'shortaxis[dicom]'`), which is imported when a study is read.
"""

from __future__ import annotations

from shortaxis.io.dicom.folders import find_studies
from shortaxis.io.dicom.reader import DicomSource, Finding, Instance, Outline, Survey, read_dicom, survey_dicom
from shortaxis.io.dicom.scanning import is_dicom

__all__ = ["DicomSource", "Finding", "Instance", "Outline", "Survey", "find_studies", "is_dicom", "read_dicom", "survey_dicom"]
