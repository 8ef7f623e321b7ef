"""What a node keeps on disk: received images, results, and a record of each study. It survives a kill at any moment.

    FOLDER/secret          key of the names below; a name leads back to no UID without it
    FOLDER/incoming/KEY/   images of a study, one file an instance; KEY stands for the StudyInstanceUID
    FOLDER/results/KEY/    what was found, until it is sent and its time is over
    FOLDER/records/KEY.json
    FOLDER/temporary/      files that are being written

A file appears under its name when all of it is on the disk, and a peer is answered only then. Whatever names a patient or a study stands
inside DICOM files and nowhere else.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import shutil
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from shortaxis.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

_KEY: Final = re.compile(r"[0-9a-f]{20}")
_KEY_LENGTH: Final = 20
_PRIVATE: Final = 0o700
_SECRET_BYTES: Final = 32

Status = Literal["begun", "ready", "done", "refused"]


class Record(msgspec.Struct, frozen=True):
    """What is known of a study.

    Attributes:
        status: `begun`: it is being segmented, or was when the node stopped. `ready`: its results wait to be sent. `done`: they are sent.
            `refused`: it was not segmented.
        instances: Keys of the images that this rests on.
        attempts: How often segmenting was begun and not finished.
        reason: Why it was refused, without any name.
        finished: Time of day when it was done or refused, in seconds since 1970, or None.
    """

    status: Status
    instances: tuple[str, ...]
    attempts: int = 0
    reason: str | None = None
    finished: float | None = None


class Spool:
    """The folder of a node.

    Args:
        folder: Made where it is missing; readable by its owner only.
        clock: Seconds that never go back; a change of the time of day does not touch it.

    Raises:
        InputError: Another node works in the folder, or it cannot be written.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder = folder
        self._clock = clock
        self._lock = threading.Lock()
        self._incoming, self._results, self._records = (folder / name for name in ("incoming", "results", "records"))
        self._temporary = folder / "temporary"
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=_PRIVATE)
            self._holder = _hold(folder)
            shutil.rmtree(self._temporary, ignore_errors=True)
            for place in (self._incoming, self._results, self._records, self._temporary):
                place.mkdir(exist_ok=True, mode=_PRIVATE)
            self._secret = self._read_secret()
        except OSError as error:
            msg = f"{folder}: cannot be written ({error.strerror or error}); choose another --folder"
            raise InputError(msg) from error
        self._arrived = dict.fromkeys((key for key in self._keys(self._incoming) if self._waits(key)), clock())

    def close(self) -> None:
        """Let another node have the folder."""
        if self._holder is not None:
            os.close(self._holder)
            self._holder = None

    def key(self, uid: str) -> str:
        """Give the name that stands for a UID: 20 hexadecimal digits of a keyed hash."""
        return hmac.new(self._secret, uid.encode(), hashlib.sha256).hexdigest()[:_KEY_LENGTH]

    def store(self, study_uid: str, sop_uid: str, content: bytes) -> str:
        """Keep an image; when this returns it is on the disk.

        Args:
            study_uid: StudyInstanceUID.
            sop_uid: SOPInstanceUID.
            content: The DICOM file.

        Returns:
            The key of the study.

        Raises:
            OSError: The disk is full or cannot be written; nothing is left of the image.
        """
        key = self.key(study_uid)
        folder = self._incoming / key
        handle, name = tempfile.mkstemp(dir=self._temporary)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            with self._lock:
                folder.mkdir(exist_ok=True, mode=_PRIVATE)
                Path(name).replace(folder / f"{self.key(sop_uid)}.dcm")
                self._arrived[key] = self._clock()
            _sync(folder)
            _sync(self._incoming)
        except OSError:
            with suppress(OSError):
                Path(name).unlink(missing_ok=True)
            raise
        return key

    def quiet(self, seconds: float) -> list[str]:
        """Give the studies of which nothing has arrived for so many seconds, the one that waits longest first."""
        now = self._clock()
        with self._lock:
            waiting = sorted((at, key) for key, at in self._arrived.items())
        return [key for at, key in waiting if now - at >= seconds]

    def n_arriving(self) -> int:
        """Number of studies of which there are images."""
        with self._lock:
            return len(self._arrived)

    def images(self, key: str) -> Path:
        """The folder of a study's images."""
        return self._incoming / key

    def instances(self, key: str) -> tuple[str, ...]:
        """The keys of the images of a study that are here."""
        with suppress(FileNotFoundError):
            return tuple(sorted(path.stem for path in self.images(key).iterdir()))
        return ()

    def results(self, key: str) -> Path:
        """The folder for what is found in a study."""
        return self._results / key

    def record(self, key: str) -> Record | None:
        """What is known of a study, or None where nothing is, or where the record cannot be read."""
        try:
            return msgspec.json.decode((self._records / f"{key}.json").read_bytes(), type=Record)
        except (OSError, msgspec.MsgspecError):
            return None

    def write_record(self, key: str, record: Record) -> None:
        """Write what is known of a study; when this returns it is on the disk.

        Raises:
            OSError: The disk is full or cannot be written; the earlier record stays.
        """
        handle, name = tempfile.mkstemp(dir=self._temporary)
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.encode(record))
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(self._records / f"{key}.json")
        _sync(self._records)

    def recorded(self) -> list[str]:
        """The keys of all studies with a record."""
        return sorted(path.stem for path in self._records.glob("*.json") if _KEY.fullmatch(path.stem))

    def forget_files(self, key: str) -> None:
        """Delete images and results of a study; its record stays, so that it is known when it comes again."""
        with self._lock:
            self._arrived.pop(key, None)
            shutil.rmtree(self.images(key), ignore_errors=True)
        shutil.rmtree(self.results(key), ignore_errors=True)

    def settle(self, key: str, instances: tuple[str, ...]) -> bool:
        """Take a study off the list of those that wait, unless more images than these have arrived."""
        with self._lock:
            if self.instances(key) != instances:
                return False
            self._arrived.pop(key, None)
            return True

    def reopen(self, key: str) -> None:
        """Put a study on the list of those that wait, as if an image had arrived now."""
        with self._lock:
            self._arrived[key] = self._clock()

    def sync_results(self, key: str) -> None:
        """Bring what was found in a study to the disk, so that a power cut takes none of it.

        Raises:
            OSError: The disk is full or fails.
        """
        for path in (*self.results(key).rglob("*"), self.results(key)):
            _sync(path)

    def is_arriving(self, key: str) -> bool:
        """Whether a study is on the list of those that wait."""
        with self._lock:
            return key in self._arrived

    def held(self) -> list[str]:
        """The keys of the studies of which there are images or results."""
        return sorted({*self._keys(self._incoming), *self._keys(self._results)})

    def free_bytes(self) -> int:
        """Free space on the disk."""
        return shutil.disk_usage(self.folder).free

    def _waits(self, key: str) -> bool:
        """Whether there is something to do with the images of a study."""
        record = self.record(key)
        return record is None or record.status == "begun" or not set(self.instances(key)) <= set(record.instances)

    def _keys(self, place: Path) -> list[str]:
        return sorted(path.name for path in place.iterdir() if _KEY.fullmatch(path.name))

    def _read_secret(self) -> bytes:
        path = self.folder / "secret"
        try:
            secret = path.read_bytes()
        except FileNotFoundError:
            secret = b""
        if len(secret) != _SECRET_BYTES:
            secret = secrets.token_bytes(_SECRET_BYTES)
            handle, name = tempfile.mkstemp(dir=self._temporary)  # readable by its owner only
            with os.fdopen(handle, "wb") as file:
                file.write(secret)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
            _sync(self.folder)
        return secret


def _sync(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk, where the system can."""
    if sys.platform == "win32":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _hold(folder: Path) -> int | None:
    if sys.platform == "win32":
        return None
    import fcntl  # noqa: PLC0415 (not on every system)

    holder = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(holder)
        msg = f"{folder}: another node works there; stop it, or choose another --folder"
        raise InputError(msg) from error
    return holder
