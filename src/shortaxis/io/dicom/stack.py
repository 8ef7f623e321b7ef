"""A stack: parallel images on one grid that may be the short-axis cine."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from shortaxis.io.dicom.geometry import by_position
from shortaxis.io.dicom.phases import choose_clock
from shortaxis.io.dicom.repeats import acquisitions

if TYPE_CHECKING:
    from shortaxis.io.dicom.headers import Plane


@dataclass(frozen=True)
class Stack:
    """Parallel images on one grid that may belong together.

    Attributes:
        planes: The images.
        reason: Why it is no short-axis cine, or None.
        doubt: What speaks against a short-axis cine without settling it, or None.
        technique: What else its series name it, or None.
        notes: What has to be said where it is taken.
    """

    planes: tuple[Plane, ...]
    reason: str | None = None
    doubt: str | None = None
    technique: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def technique_alone(self) -> bool:
        """Whether nothing but its technique keeps it from being the short-axis cine."""
        return self.technique is not None and self.reason is not None and self.reason.startswith(f"is {self.technique} ")

    @cached_property
    def slices(self) -> list[list[Plane]]:
        """The images of each slice, from base to apex."""
        return by_position(self.planes)

    @cached_property
    def clock(self) -> str:
        """What orders the phases."""
        return choose_clock(self.slices)

    @cached_property
    def n_phases(self) -> int:
        """How many images most slices have in one acquisition."""
        counts = sorted((max(map(len, acquisitions(planes, self.clock))) for planes in self.slices), reverse=True)
        return statistics.mode(counts)

    @property
    def series(self) -> tuple[int | None, ...]:
        """Numbers of its series, in order."""
        numbers = {plane.series_number for plane in self.planes}
        return tuple(sorted(numbers, key=lambda number: (number is None, number)))

    @property
    def name(self) -> str:
        """Its series in words; never a description, which people write freely."""
        known = [str(number) for number in self.series if number is not None]
        return f"series {', '.join(known)}" if known else "a series without number"
