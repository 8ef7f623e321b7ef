"""What a PACS files beside the images: a measurement report (SR), the report as encapsulated PDF, an SR that says why there is none.

All need `pip install 'shortaxis[dicom]'`; pydicom and highdicom are imported when an object is written.
"""

from __future__ import annotations

from shortaxis.dicom_reports.encapsulated_pdf import write_encapsulated_pdf
from shortaxis.dicom_reports.measurement_report import write_measurement_report
from shortaxis.dicom_reports.refusal_report import write_refusal_report

__all__ = ["write_encapsulated_pdf", "write_measurement_report", "write_refusal_report"]
