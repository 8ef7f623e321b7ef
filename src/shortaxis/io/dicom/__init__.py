"""DICOM in: the short-axis cine of a study as it leaves the scanner. DICOM out: its labels as segmentation objects.

The package needs pydicom and highdicom (`pip install 'shortaxis[dicom]'`), which are imported when a study is read or labels are written.
"""

from __future__ import annotations

from shortaxis.io.dicom.folders import find_studies
from shortaxis.io.dicom.identity import Identity, read_identity
from shortaxis.io.dicom.reader import DicomSource, Finding, Instance, Outline, Survey, read_dicom, survey_dicom
from shortaxis.io.dicom.scanning import is_dicom
from shortaxis.io.dicom.segmentation import write_dicom_seg
from shortaxis.io.dicom.segmentation_reading import DicomLabels, read_dicom_seg

__all__ = [
    "DicomLabels",
    "DicomSource",
    "Finding",
    "Identity",
    "Instance",
    "Outline",
    "Survey",
    "find_studies",
    "is_dicom",
    "read_dicom",
    "read_dicom_seg",
    "read_identity",
    "survey_dicom",
    "write_dicom_seg",
]
