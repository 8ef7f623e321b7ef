"""Counts of what a node does, as Prometheus reads them. They name no patient, study or peer."""

from __future__ import annotations

import threading
from typing import Final

COUNTERS: Final = {
    "images_received": "Images stored.",
    "objects_ignored": "Received objects that are no MR images.",
    "images_refused": "Images that were not stored: no space, or a damaged object.",
    "associations_rejected": "Associations that were rejected.",
    "studies_segmented": "Studies segmented.",
    "studies_refused": "Studies that were not segmented.",
    "studies_repeated": "Studies that arrived again and were done before.",
    "studies_delivered": "Studies whose results were sent.",
    "delivery_failures": "Attempts to send results that failed.",
    "segmenting_seconds": "Seconds spent on segmenting.",
}


class Tallies:
    """Counters of one node; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = dict.fromkeys(COUNTERS, 0.0)

    def add(self, name: str, amount: float = 1.0) -> None:
        """Add to a counter of `COUNTERS`."""
        with self._lock:
            self._counts[name] += amount

    def __getitem__(self, name: str) -> float:
        with self._lock:
            return self._counts[name]

    def text(self, gauges: dict[str, tuple[str, float]]) -> str:
        """Write all counters and the given gauges in the text format of Prometheus.

        Args:
            gauges: Description and value by name.
        """
        lines = []
        with self._lock:
            counted = dict(self._counts)
        for name, value in counted.items():
            lines += _lines(f"shortaxis_{name}_total", "counter", COUNTERS[name], value)
        for name, (what, value) in gauges.items():
            lines += _lines(f"shortaxis_{name}", "gauge", what, value)
        return "\n".join(lines) + "\n"


def _lines(name: str, kind: str, what: str, value: float) -> list[str]:
    return [f"# HELP {name} {what}", f"# TYPE {name} {kind}", f"{name} {value:.15g}"]
