"""Storing the DICOM results of a run of `shortaxis segment` on a DICOMweb server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shortaxis.errors import InputError
from shortaxis.pacs.dicomweb import store_files, web_address

if TYPE_CHECKING:
    from pathlib import Path

    from shortaxis.segmenting import StudyEnd


class StudyStorer:
    """Collects the results of each study and stores them when the run is over, also of studies that were skipped as done before.

    Args:
        url: `dicomweb+https://HOST/PATH`.
        out: The output folder of the run.

    Attributes:
        n_failed: Number of studies whose results could not be stored.

    Raises:
        InputError: The URL is unfit.
    """

    def __init__(self, url: str, out: Path) -> None:
        self._address = web_address(url, of_study=False)
        self._out = out
        self._studies: list[tuple[str, list[Path]]] = []
        self.n_failed = 0

    def add(self, end: StudyEnd) -> None:
        """Take the results of a study; one that failed has none."""
        from shortaxis.segmenting.single import outputs_of  # noqa: PLC0415 (loads torch)

        if end.failure is None:
            files = [self._out / path for path in outputs_of(end.row) if path.endswith(".dcm")]
            self._studies.append((str(end.row["study"]), files))

    def store(self) -> list[str]:
        """Store all.

        Returns:
            What went wrong, in one sentence for each study concerned.
        """
        problems = []
        for name, files in self._studies:
            if not files:
                continue
            try:
                store_files(self._address, files)
            except InputError as error:
                problems.append(f"{name}: not stored: {error}; run the same command with --resume to store it again")
        self.n_failed = len(problems)
        return problems
