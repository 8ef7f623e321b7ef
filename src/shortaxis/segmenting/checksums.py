"""Which outputs are as a run wrote them, so that no corrected file is overwritten or removed."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import msgspec

from shortaxis.segmenting.planned import JOURNAL, MANIFEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

EARLIER: Final = "earlier_sha256"
"""Key of the checksums of files that earlier runs wrote and the present one did not."""


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal digits.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checksums(folder: Path, paths: Iterable[str]) -> dict[str, str]:
    """SHA-256 of files by their paths relative to a folder."""
    return {path: file_sha256(folder / path) for path in paths}


def edited(folder: Path, sums: dict[str, str]) -> list[str]:
    """Those files of `checksums` whose content is another now; a file that is gone is not among them."""
    return [path for path, known in sums.items() if (folder / path).is_file() and file_sha256(folder / path) != known]


class Written:
    """What is known of the files that runs have written into an output folder.

    Args:
        out: The folder; the records in it are read, as far as they can be read.
    """

    def __init__(self, out: Path) -> None:
        self._out = out
        self._sums: dict[str, str] = {}
        """By path; a path that was written several times has several, with spaces between."""
        for row in _rows(out):
            sums = row.get("sha256")
            for path, known in sums.items() if isinstance(sums, dict) else ():
                self._add(str(path), str(known))

    def _add(self, path: str, known: str) -> None:
        before = self._sums.get(path, "")
        if known not in before:
            self._sums[path] = f"{before} {known}".strip()

    def is_recorded(self, path: str) -> bool:
        """Whether a run has written a file of this path, relative to the folder."""
        return path in self._sums

    def is_own(self, path: str) -> bool:
        """Whether a file is as a run wrote it; one that cannot be read is not."""
        try:
            return path in self._sums and file_sha256(self._out / path) in self._sums[path].split()
        except OSError:
            return False

    def others(self, rows: Iterable[dict[str, Any]]) -> dict[str, str]:
        """The checksums of the files that are still there and that no row lists."""
        listed = {path for row in rows for path in row.get("sha256", ())}
        return {path: known for path, known in self._sums.items() if path not in listed and (self._out / path).is_file()}

    def as_row(self) -> dict[str, Any]:
        """All that is known, as a line of the journal."""
        return {"status": EARLIER, "sha256": self._sums}


def _rows(out: Path) -> Iterator[dict[str, Any]]:
    """The rows of the manifest and of the journal, whichever are there; what cannot be read says nothing."""
    try:
        manifest = msgspec.json.decode((out / MANIFEST).read_bytes(), type=dict[str, msgspec.Raw])
        yield {"sha256": msgspec.json.decode(manifest.get(EARLIER, msgspec.Raw(b"{}")))}
        for row in msgspec.json.decode(manifest.get("studies", msgspec.Raw(b"[]")), type=list[msgspec.Raw]):
            yield msgspec.json.decode(row, type=dict[str, Any])
    except (OSError, ValueError):
        pass
    try:
        with (out / JOURNAL).open("rb") as lines:
            for line in lines:
                yield msgspec.json.decode(line, type=dict[str, Any])
    except (OSError, ValueError):
        pass
