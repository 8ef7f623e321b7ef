"""What a run has done so far, kept so that it can go on after a kill at any moment.

While a run is at work `segment.jsonl` in the output folder holds a first line on the run and one line a study, appended and synced when the
study's files stand in their places. A line before that announces the files with their checksums, so that a run which is killed in between
knows them for its own. At the end all is folded into `segment.json` and removed. A run that resumes reads whichever is there
(the journal, if both are) and goes on appending. So a study costs the same whether it is the first or the hundred-thousandth, and
memory holds little of each.
"""

from __future__ import annotations

import json
import os
from typing import IO, TYPE_CHECKING, Any, Final

import msgspec

from shortaxis.errors import InputError
from shortaxis.io.atomic import atomic_path
from shortaxis.segmenting.checksums import EARLIER, Written
from shortaxis.segmenting.planned import JOURNAL, MANIFEST

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DONE: Final = "done"
FAILED: Final = "failed"
ANNOUNCED: Final = "announced"
"""Status of a study whose files are being put in their places."""

_SAME: Final = {
    "shortaxis_version": "another version of shortaxis",
    "model": "another model or calibration",
    "options": "other options",
    "plugins": "other plug-ins",
}
"""What must not change while a run goes on, and how a change is called."""


class Journal:
    """The journal of a run.

    Args:
        out: The output folder.
        head: What is true of the whole run; the keys of `_SAME` among them, where there is something to say.
        resume: Take over what an earlier run did. Otherwise an earlier journal goes when this run has something to record.

    Raises:
        InputError: The earlier run had another model or other options, or its record cannot be read.
    """

    def __init__(self, out: Path, head: dict[str, Any], *, resume: bool = False) -> None:
        self.out = out
        self.head = head
        self._path = out / JOURNAL
        self._offsets: dict[str, int] = {}
        self._stream: IO[bytes] | None = None
        self._waiting: list[dict[str, Any]] = []
        self._holds_rows = False
        self.written = Written(out)
        """What earlier runs wrote into the folder."""
        if not resume:
            return
        if not self._path.is_file() and (out / MANIFEST).is_file():
            self._unfold()
        if self._path.is_file():
            self._take_over()

    @property
    def is_open(self) -> bool:
        """Whether any study is done: a run in which none could be segmented leaves nothing behind."""
        return self._stream is not None and self._holds_rows

    def finished(self, study: str) -> dict[str, Any] | None:
        """The row of a study that was segmented, by the path of its indices; None where it was not."""
        offset = self._offsets.get(study)
        row = None if offset is None else self._row_at(offset)
        return row if row is not None and row["status"] == DONE else None

    def begin(self) -> None:
        """Put this run's journal in the place of an earlier run's record; to be called before its first files replace that run's.

        A run that is killed in between would otherwise leave its files beside the record of other ones, which a later run would trust.

        Raises:
            InputError: The folder cannot be written.
        """
        if self._stream is None and (self._path.is_file() or (self.out / MANIFEST).is_file()):
            with atomic_path(self._path) as temporary:
                temporary.write_bytes(_line(self.head) + _line(self.written.as_row()))
            self._stream = self._path.open("rb+")
            self._holds_rows = True

    def announce(self, row: dict[str, Any]) -> None:
        """Record the checksums of a study's files before they are put in their places; until `append` the study counts as not done.

        Args:
            row: Its `indices` and `sha256`.

        Raises:
            InputError: The folder cannot be written.
        """
        self.begin()
        self._write([{"indices": row["indices"], "status": ANNOUNCED, "sha256": row["sha256"]}])

    def append(self, row: dict[str, Any]) -> None:
        """Record a study. Failures wait in memory for the first study that succeeds.

        Args:
            row: What happened: `status` is `DONE` or `FAILED`; `indices` names the study among all, where it is known.

        Raises:
            InputError: The folder cannot be written.
        """
        self._waiting.append(row)
        if not self._holds_rows and row["status"] != DONE:
            return
        self.begin()
        self._write(self._waiting)
        self._waiting.clear()
        self._holds_rows = True

    def _write(self, rows: list[dict[str, Any]]) -> None:
        try:
            if self._stream is None:
                self._stream = self._path.open("xb+")
                self._stream.write(_line(self.head))
            for row in rows:
                self._note(row, self._stream.seek(0, os.SEEK_END))
                self._stream.write(_line(row))
            self._stream.flush()
            os.fsync(self._stream.fileno())
        except OSError as error:
            msg = f"{self._path}: cannot be written ({error.strerror}); free some space and go on with --resume"
            raise InputError(msg) from error

    def rows(self) -> Iterator[dict[str, Any]]:
        """The last row of each study. What failed in an earlier run is left out: it was tried again, or is no input any more."""
        yield from map(self._row_at, self._offsets.values())

    def fold(self, head: dict[str, Any]) -> None:
        """Write `segment.json`, one study a line, and remove the journal.

        Args:
            head: What stands before the studies, besides the journal's own head.

        Raises:
            InputError: The folder cannot be written.
        """
        with atomic_path(self.out / MANIFEST) as temporary, temporary.open("w", encoding="utf-8") as stream:
            text = json.dumps(self.head | head, indent=2, ensure_ascii=False, allow_nan=False)
            stream.write(text.removesuffix("\n}") + ',\n  "studies": [')
            for number, row in enumerate(self.rows()):
                stream.write(("," if number else "") + "\n    " + json.dumps(row, ensure_ascii=False, allow_nan=False))
            stream.write("\n  ]")
            if others := self.written.others(self.rows()):
                stream.write(f',\n  "{EARLIER}": {json.dumps(others, ensure_ascii=False)}')
            stream.write("\n}\n")
        self.close()
        self._path.unlink()

    def close(self) -> None:
        """Close the file; what it holds stays for a run that resumes. One that holds nothing of a study goes."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
            if not self._holds_rows:
                self._path.unlink(missing_ok=True)

    def _row_at(self, offset: int) -> dict[str, Any]:
        if self._stream is None:
            msg = "the journal is closed"
            raise ValueError(msg)
        self._stream.seek(offset)
        row: dict[str, Any] = msgspec.json.decode(self._stream.readline())
        return row

    def _note(self, row: dict[str, Any], offset: int, *, earlier: bool = False) -> None:
        if row["status"] == EARLIER:
            return
        study = row.get("indices") or f"unknown {offset}"
        if row["status"] == ANNOUNCED:
            self._offsets.pop(study, None)
        elif row["status"] == DONE or not earlier:
            self._offsets[study] = offset
        else:
            self._offsets.pop(study, None)

    def _take_over(self) -> None:
        """Read the journal of an earlier run up to its last whole line, and open it to go on."""
        stream = self._path.open("rb+")
        self._stream = stream
        self._holds_rows = True
        try:
            end = 0
            for number, line in enumerate(stream):
                if not line.endswith(b"\n"):
                    break  # the run was killed while it wrote this
                content = msgspec.json.decode(line)
                if number == 0:
                    self._refuse_change(content)
                else:
                    self._note(content, end, earlier=True)
                end += len(line)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self.close()
            if isinstance(error, InputError):
                raise
            msg = f"{self._path}: is damaged; segment without --resume, or into another --out folder"
            raise InputError(msg) from error
        stream.truncate(end)
        if end == 0:
            stream.seek(0)
            stream.write(_line(self.head))

    def _unfold(self) -> None:
        """Make a journal of the manifest of a run that had come to its end."""
        manifest = self.out / MANIFEST
        try:
            head = msgspec.json.decode(manifest.read_bytes(), type=dict[str, msgspec.Raw])
            studies = msgspec.json.decode(head.pop("studies"), type=list[msgspec.Raw])
            others = msgspec.Raw(b'{"status":"%s","sha256":%s}' % (EARLIER.encode(), bytes(head.get(EARLIER, b"{}"))))
            with atomic_path(self._path) as temporary, temporary.open("wb") as stream:
                for content in (msgspec.json.encode({key: head[key] for key in self.head.keys() | _SAME if key in head}), others, *studies):
                    stream.write(msgspec.json.format(content, indent=-1) + b"\n")
        except (msgspec.DecodeError, UnicodeDecodeError, KeyError, OSError) as error:
            msg = f"{manifest}: is not the record of a run, or damaged; segment without --resume, or into another --out folder"
            raise InputError(msg) from error

    def _refuse_change(self, earlier: dict[str, Any]) -> None:
        for key, what in _SAME.items():
            if earlier.get(key) != self.head.get(key):
                msg = f"{self.out}: was segmented with {what}; resume with the same, or choose another --out folder"
                raise InputError(msg)


def _line(row: dict[str, Any]) -> bytes:
    """One line of JSON. Bytes of a file name that are not UTF-8 become `?`: they must not keep a run from being recorded."""
    return json.dumps(row, ensure_ascii=False, allow_nan=False).encode(errors="replace") + b"\n"
