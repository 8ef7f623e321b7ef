"""Segmenting one received study: from a folder of images to the DICOM objects that answer it."""

from __future__ import annotations

import shutil
import warnings
from typing import TYPE_CHECKING, Any

from shortaxis.errors import DataWarning, InputError
from shortaxis.pacs.receiver import LOG
from shortaxis.segmenting import Wishes, plan_studies

if TYPE_CHECKING:
    from pathlib import Path

    from shortaxis.pacs.options import NodeOptions
    from shortaxis.segmenting.opening import OpenModel
    from shortaxis.segmenting.run import Outcome


class StudyRefusedError(Exception):
    """A study was not segmented; the message says why, without a name of the patient, the study or a file."""


class StudyWorker:
    """Segments studies with one model.

    Args:
        opened: The model.
        options: What is written.
    """

    def __init__(self, opened: OpenModel, options: NodeOptions) -> None:
        self._opened = opened
        self._wishes = Wishes(
            report=False, dicom_seg=options.seg_phases, dicom_sr=True, dicom_pdf=True, keep_identifiers=options.keep_identifiers
        )

    def segment(self, images: Path, out: Path) -> None:
        """Segment a study and write DICOM-SEG, measurement report and encapsulated PDF.

        Args:
            images: The folder of its images.
            out: The folder for the results; what stands there is replaced.

        Raises:
            StudyRefusedError: The study is unfit, its ED and ES are not known, or nothing was found in it.
            InputError: The results cannot be written.
        """
        shutil.rmtree(out, ignore_errors=True)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            outcome = self._run(images, out)
        for warning in caught:
            if issubclass(warning.category, DataWarning):
                LOG.info("study %s: %s", images.name, without_path(str(warning.message), images))
        reason = _reason(outcome, images)
        if reason is not None:
            shutil.rmtree(out, ignore_errors=True)
            raise StudyRefusedError(reason)

    def _run(self, images: Path, out: Path) -> Outcome:
        from shortaxis.segmenting.run import segment_studies  # noqa: PLC0415 (loads torch)
        from shortaxis.segmenting.single import Task  # noqa: PLC0415

        studies = plan_studies([images])
        task = Task(self._opened, self._wishes)
        return segment_studies(studies, out, task, overwrite=True, on_progress=lambda _done, _name: None)

    def answer_refusal(self, images: Path, reason: str, out: Path) -> bool:
        """Write an SR that says why a study was not segmented.

        Args:
            images: The folder of its images.
            reason: Why.
            out: The folder for the SR.

        Returns:
            Whether it could be written: an image without its UIDs can have no answer.
        """
        from shortaxis.dicom_reports import write_refusal_report  # noqa: PLC0415 (highdicom takes a second)

        try:
            write_refusal_report(min(images.iterdir()), reason, out / "refusal.sr.dcm")
        except (InputError, ValueError, TypeError, AttributeError) as error:  # an image whose header no SR can repeat
            LOG.warning("study %s: no SR could be written (%s)", images.name, type(error).__name__)
            return False
        return True


def _reason(outcome: Outcome, images: Path) -> str | None:
    """Why a study has no results to send, or None."""
    if outcome.failures:
        return without_path(outcome.failures[0].message, images)
    row: dict[str, Any] = outcome.first[0]
    if where := row.get("nothing_found_in"):
        return f"nothing was found in {' and '.join(where)}; check that the study holds a short-axis cine of the heart"
    if "dicom_sr" not in row:
        return str(row.get("dicom_sr_reason"))
    return None


def without_path(message: str, images: Path) -> str:
    """A message without the folder that a study lies in: what remains names no file but by its key.

    Args:
        message: What `shortaxis.segmenting` says, such as `FOLDER: holds no short-axis cine`.
        images: The folder of the study.
    """
    return message.replace(f"{images}/", "").removeprefix(f"{images}: ").replace(str(images), "the study")


def open_worker(options: NodeOptions, model: Path | None, device: str, threads: int | None) -> StudyWorker:
    """Load the model of a node.

    Raises:
        InputError: The model or the device is unfit.
    """
    from shortaxis.segmenting.opening import open_model  # noqa: PLC0415 (loads torch)

    return StudyWorker(open_model(model, device, threads), options)
