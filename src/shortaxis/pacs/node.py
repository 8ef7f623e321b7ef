"""A DICOM node: what arrives is stored, segmented when it is complete, and answered with SEG, SR and PDF.

Every step begins and ends with a state on disk (`shortaxis.pacs.spool`), so that a node that was killed goes on where it was. Results are
written once and sent with the same UIDs until the destination has taken them all.
"""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

from shortaxis.errors import InputError
from shortaxis.pacs.destination import DeliveryError, destination_of
from shortaxis.pacs.health import serve_health
from shortaxis.pacs.receiver import LOG, Receiver, silence_libraries
from shortaxis.pacs.spool import Record, Spool
from shortaxis.pacs.study_worker import StudyRefusedError, StudyWorker
from shortaxis.pacs.tallies import Tallies

if TYPE_CHECKING:
    from collections.abc import Callable

    from shortaxis.pacs.destination import Destination
    from shortaxis.pacs.options import NodeOptions

_MAX_ATTEMPTS: Final = 3
_FIRST_DELAY, _LONGEST_DELAY = 5.0, 600.0
"""Seconds until something that failed is tried again: doubled each time."""
_PAUSE: Final = 0.5
_PURGE_EVERY: Final = 60.0
ENDED_PROGRAM: Final = f"segmenting it ended the program {_MAX_ATTEMPTS} times; it may need more memory than there is"
INCOMPLETE: Final = "only new images of a study that was done have come, and its other images are deleted; send the whole study again"


class Node:
    """Receives, segments and sends.

    Args:
        options: How it is set up.
        worker: Segments one study.
        destination: Where results go; None makes it of the options.
        clock: Seconds that never go back.

    Raises:
        InputError: The destination is unfit, another node works in the folder, or it cannot be written.
    """

    def __init__(
        self,
        options: NodeOptions,
        worker: StudyWorker,
        *,
        destination: Destination | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        silence_libraries()
        self.options = options
        self.tallies = Tallies()
        self._worker = worker
        self._destination = destination or destination_of(options.destination, options.ae_title, options.tls)
        self._clock = clock
        self.spool = Spool(options.folder, clock)
        self._delays: dict[str, tuple[float, float]] = {}
        self._outbox = [key for key in self.spool.recorded() if self._is_ready(key)]
        self._purged = -_PURGE_EVERY
        self._stopped = threading.Event()

    def run(self, on_listening: Callable[[int, int | None], None] = lambda _port, _http: None) -> None:
        """Work until `stop` is called.

        Args:
            on_listening: Called with the DICOM port and the HTTP port, or None, when peers may send.

        Raises:
            InputError: A port cannot be had, or the TLS files are unfit.
        """
        with ExitStack() as stack:
            stack.callback(self.spool.close)
            port = stack.enter_context(Receiver(self.options, self.spool, self.tallies).listening())
            http = None
            if self.options.http_port is not None:
                address = self.options.http_address, self.options.http_port
                http = stack.enter_context(serve_health(*address, self.state, self.metrics))
            on_listening(port, http)
            while not self._stopped.is_set():
                if not self.step():
                    self._stopped.wait(_PAUSE)

    def stop(self) -> None:
        """Let `run` end after the step at hand."""
        self._stopped.set()

    def step(self) -> bool:
        """Send the results of one study and segment another, as far as something waits.

        Returns:
            Whether anything was done.
        """
        try:
            sent = self._deliver_next()
            segmented = self._segment_next()
            self._purge()
        except OSError as error:
            LOG.error("the disk of --folder cannot be written (%s); free some space", error.strerror)
            return False
        return sent or segmented

    def state(self) -> dict[str, Any]:
        """Content of `/health`: `status` is `ok` or `no space`, with the number of studies that wait."""
        enough = self.spool.free_bytes() >= self.options.min_free_bytes
        return {"status": "ok" if enough else "no space", "arriving": self.spool.n_arriving(), "undelivered": len(self._outbox)}

    def metrics(self) -> str:
        """Content of `/metrics`."""
        return self.tallies.text(
            {
                "studies_arriving": ("Studies that are arriving or wait to be segmented.", float(self.spool.n_arriving())),
                "studies_undelivered": ("Studies whose results wait to be sent.", float(len(self._outbox))),
                "free_bytes": ("Free space on the disk.", float(self.spool.free_bytes())),
            }
        )

    def _is_ready(self, key: str) -> bool:
        record = self.spool.record(key)
        return record is not None and record.status == "ready"

    def _is_due(self, key: str) -> bool:
        return self._clock() >= self._delays.get(key, (0.0, 0.0))[0]

    def _postpone(self, key: str) -> float:
        """Try something again later; give the seconds."""
        _, before = self._delays.get(key, (0.0, 0.0))
        delay = min(_LONGEST_DELAY, 2 * before or _FIRST_DELAY)
        self._delays[key] = (self._clock() + delay, delay)
        return delay

    def _deliver_next(self) -> bool:
        key = next((key for key in self._outbox if self._is_due(key)), None)
        record = None if key is None else self.spool.record(key)
        if key is None or record is None:
            return False
        files = sorted(self.spool.results(key).rglob("*.dcm"))
        if not files:
            LOG.error("study %s: its results are gone; it is segmented again", key)
            self._outbox.remove(key)
            self.spool.write_record(key, Record("begun", record.instances))
            self.spool.reopen(key)
            return False
        try:
            self._destination.send(files)
        except DeliveryError as error:
            self.tallies.add("delivery_failures")
            LOG.warning("study %s: %s; it is tried again in %.0f s", key, error, self._postpone(key))
            return False
        self._outbox.remove(key)
        self._delays.pop(key, None)
        self.spool.write_record(key, self._finished(record))
        self.tallies.add("studies_delivered")
        LOG.info("study %s: %d objects sent", key, len(files))
        return True

    def _segment_next(self) -> bool:
        key = next((key for key in self.spool.quiet(self.options.quiet_seconds) if self._is_due(key)), None)
        if key is None:
            return False
        here = self.spool.instances(key)
        before = self.spool.record(key)
        if not here or (before is not None and before.status != "begun" and set(here) <= set(before.instances)):
            self._pass_over(key, here)
        elif before is not None and before.status in {"done", "refused"} and not set(before.instances) <= set(here):
            self._refuse(key, Record("begun", here), INCOMPLETE)
        else:
            self._segment(key, here, before)
        return True

    def _pass_over(self, key: str, here: tuple[str, ...]) -> None:
        if self.spool.settle(key, here) and here:
            self.tallies.add("studies_repeated")
            LOG.info("study %s: %d images arrived again; it was done before", key, len(here))

    def _segment(self, key: str, here: tuple[str, ...], before: Record | None) -> None:
        again = before is not None and before.status == "begun" and before.instances == here
        record = Record("begun", here, attempts=(before.attempts if before is not None and again else 0) + 1)
        if record.attempts > _MAX_ATTEMPTS:
            self._refuse(key, record, ENDED_PROGRAM)
            return
        self.spool.write_record(key, record)
        if key in self._outbox:  # the study has grown, so that these results are outdated
            self._outbox.remove(key)
        LOG.info("study %s: %d images, segmenting", key, len(here))
        since = self._clock()
        try:
            self._worker.segment(self.spool.images(key), self.spool.results(key))
        except StudyRefusedError as refusal:
            self.tallies.add("segmenting_seconds", self._clock() - since)
            self._refuse(key, record, str(refusal))
            return
        except InputError as error:  # the disk, not the study
            self.spool.write_record(key, Record("begun", here))
            LOG.error("study %s: %s; it is tried again in %.0f s", key, error, self._postpone(key))
            return
        self.tallies.add("segmenting_seconds", self._clock() - since)
        if not self.spool.settle(key, here):
            LOG.info("study %s: has grown meanwhile; it is segmented again when it is complete", key)
            self.spool.write_record(key, Record("begun", here))
            return
        self._delays.pop(key, None)
        self.tallies.add("studies_segmented")
        self._to_outbox(key, Record("ready", here))
        LOG.info("study %s: segmented in %.1f s", key, self._clock() - since)

    def _refuse(self, key: str, record: Record, reason: str) -> None:
        if not self.spool.settle(key, record.instances):
            return  # more has come: it is looked at again
        LOG.warning("study %s: not segmented: %s", key, reason)
        self.tallies.add("studies_refused")
        answered = self.options.answer_refusals and self._worker.answer_refusal(self.spool.images(key), reason, self.spool.results(key))
        refused = Record("ready" if answered else "refused", record.instances, reason=reason)
        if answered:
            self._to_outbox(key, refused)
        else:
            self.spool.write_record(key, self._finished(refused))

    def _to_outbox(self, key: str, record: Record) -> None:
        self.spool.sync_results(key)
        self.spool.write_record(key, record)
        self._outbox.append(key)

    def _finished(self, record: Record) -> Record:
        return Record("done" if record.reason is None else "refused", record.instances, reason=record.reason, finished=time.time())

    def _purge(self) -> None:
        """Delete images and results of studies whose time is over; a clock that was set back keeps them longer, none is deleted unsent."""
        if self._clock() - self._purged < _PURGE_EVERY and self.options.keep_hours:
            return
        self._purged = self._clock()
        for key in self.spool.held():
            record = self.spool.record(key)
            if record is None or record.finished is None or key in self._outbox or self.spool.is_arriving(key):
                continue
            if time.time() - record.finished >= 3600 * self.options.keep_hours:
                self.spool.forget_files(key)
                LOG.info("study %s: its images and results are deleted", key)
