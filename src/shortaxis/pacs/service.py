"""A node as a service: its log on stderr, and an orderly end on SIGTERM."""

from __future__ import annotations

import logging
import signal
import time
from typing import TYPE_CHECKING, Any

from shortaxis.pacs.destination import destination_of
from shortaxis.pacs.node import Node
from shortaxis.pacs.receiver import LOG
from shortaxis.pacs.study_worker import open_worker

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from shortaxis.pacs.options import NodeOptions


class _Lines(logging.Handler):
    """Gives each record as one line with the time in UTC."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        super().__init__()
        self._on_line = on_line
        self._format = logging.Formatter("%(asctime)sZ %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S")
        self._format.converter = time.gmtime

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record."""
        self._on_line(self._format.format(record).replace("\n", " "))


def serve(
    options: NodeOptions,
    *,
    model: Path | None = None,
    device: str = "auto",
    threads: int | None = None,
    on_line: Callable[[str], None],
) -> None:
    """Run a node until SIGTERM or Ctrl+C.

    Args:
        options: How it is set up.
        model: A model file; None is the released model.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        threads: CPU threads.
        on_line: Called with each line of the log.

    Raises:
        InputError: The options, the model, a port or the folder is unfit.
    """
    handler = _Lines(on_line)
    level, propagate = LOG.level, LOG.propagate
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    LOG.propagate = False
    before: Any = None
    try:
        destination = destination_of(options.destination, options.ae_title, options.tls)  # told before the model is loaded
        node = Node(options, open_worker(options, model, device, threads), destination=destination)
        before = signal.signal(signal.SIGTERM, _end)
        node.run(lambda port, http: LOG.info("%s listens on port %d%s", options.ae_title, port, _http(http)))
    except (KeyboardInterrupt, SystemExit):
        LOG.info("stopped; what waits is done after the next start")
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)
        LOG.removeHandler(handler)
        LOG.setLevel(level)
        LOG.propagate = propagate


def _end(_signal: int, _frame: Any) -> None:
    """End at once: all that waits stands on the disk."""
    raise SystemExit(0)


def _http(port: int | None) -> str:
    return "" if port is None else f", health and metrics on port {port}"
