"""The outputs of a study for a hospital: the report as PDF, and what a PACS files beside the images."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Final

from shortaxis.errors import DataWarning
from shortaxis.io.dicom import DicomSource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shortaxis.reports.content import StudyReport
    from shortaxis.segmenting.measuring import SegmentedImage
    from shortaxis.segmenting.planned import PlannedStudy
    from shortaxis.segmenting.wishes import Wishes

DOCUMENTS: Final = ("pdf", "dicom_pdf", "dicom_sr")
"""How the row of a study in `segment.json` names them."""

NO_SR: Final = "ED and ES are not known, and a measurement report refers to both; name them"
"""Why a measurement report was not written."""

_TITLE: Final = "Short-axis cine: volumes and function"


def write_documents(
    report: StudyReport, images: Sequence[SegmentedImage], planned: PlannedStudy, stage: Path, wishes: Wishes
) -> dict[str, str]:
    """Write the PDF, the encapsulated PDF and the measurement report, as far as they are wanted.

    Args:
        report: What was found.
        images: The images of the study; its DICOM-SEG stands in `stage`.
        planned: Which study it is.
        stage: The folder to write to.
        wishes: What to write.

    Returns:
        The paths relative to `stage` by their names in `DOCUMENTS`; `dicom_sr_reason` where there can be no measurement report.

    Raises:
        InputError: A source file is gone, or a file cannot be written.
    """
    written: dict[str, str] = {}
    if wishes.pdf or wishes.dicom_pdf:
        written |= _write_pdf(report, images, planned, stage, wishes)
    if wishes.dicom_sr:
        from shortaxis.dicom_reports import write_measurement_report  # noqa: PLC0415 (highdicom takes a second)

        if {"ED", "ES"} <= {frame.phase for frame in report.frames}:
            path = planned.report("sr.dcm")
            write_measurement_report(report, sorted((stage / images[0].planned.dicom_seg).glob("phase*.dcm")), stage / path)
            written["dicom_sr"] = path.as_posix()
        else:
            written["dicom_sr_reason"] = NO_SR
            warnings.warn(f"{planned.source}: no DICOM SR was written: {NO_SR}", DataWarning, stacklevel=2)
    return written


def _write_pdf(report: StudyReport, images: Sequence[SegmentedImage], planned: PlannedStudy, stage: Path, wishes: Wishes) -> dict[str, str]:
    from shortaxis.dicom_reports import write_encapsulated_pdf  # noqa: PLC0415
    from shortaxis.reports.pdf import write_pdf  # noqa: PLC0415 (fpdf2 takes a moment)
    from shortaxis.segmenting.reporting import show_pixels  # noqa: PLC0415

    written = {}
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=stage) as folder:
        pdf = stage / planned.report("pdf") if wishes.pdf else Path(folder) / "report.pdf"
        write_pdf(report, show_pixels(images), pdf)
        if wishes.pdf:
            written["pdf"] = planned.report("pdf").as_posix()
        source = images[0].study.source
        if wishes.dicom_pdf and isinstance(source, DicomSource):
            image, path = source.instances[0][0].path, planned.report("pdf.dcm")
            write_encapsulated_pdf(pdf, image, stage / path, names_patient=report.patient is not None, title=_TITLE)
            written["dicom_pdf"] = path.as_posix()
    return written
