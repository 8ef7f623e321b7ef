"""Images that were torn apart on the way: a series for each phase, a series or study UID for each file, times of day past midnight."""

from __future__ import annotations

import re
import statistics
from collections import Counter, defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from shortaxis.io.dicom.headers import HEART_CLOCKS

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from shortaxis.io.dicom.headers import Plane

FEWEST_FILES: Final = 6
"""Files below which a study UID for each may be right."""
FEWEST_PHASES: Final = 5
"""Images at a place from which on series of one image each make a cine, where no clock of the heart cycle runs."""
FEWEST_CLOCKED: Final = 3
LEAST_SPAN: Final = {"NominalPercentageOfCardiacPhase": 20.0, "TemporalPositionIndex": 2.0, "DimensionIndexValues": 2.0}
"""How far a clock must run over such images to show a heart cycle; in ms where nothing else is said."""
_LEAST_MS: Final = 200.0
_HALF_A_DAY: Final = 43200.0
_SERIES: Final = 1e9
"""More than any instance number: series by series, then image by image."""


def gathered(planes: Sequence[Plane]) -> tuple[list[Plane], list[str]]:
    """Put back together what was torn apart.

    Args:
        planes: All images.

    Returns:
        The images, some with other study or series UIDs and times, and what has to be said.
    """
    found, notes = list(planes), []
    if _has_study_for_each_file(found):
        found = [replace(plane, study_uid="") for plane in found]
        notes.append("each file has a StudyInstanceUID of its own; they are taken as one study")
    found, joined = _joined_series(found)
    return across_midnight(found), [*notes, *joined]


def across_midnight(planes: Sequence[Plane]) -> list[Plane]:
    """Let times of day go on after midnight where no date says that a day has passed.

    An examination takes less than half a day: where its times lie further apart, those of the early morning belong to the next day.
    """
    groups: dict[str, list[Plane]] = defaultdict(list)
    for plane in planes:
        groups[plane.study_uid].append(plane)
    late = {uid: {clock: _morning(group, clock) for clock in ("AcquisitionTime", "ContentTime")} for uid, group in groups.items()}
    return [_next_day(plane, late[plane.study_uid]) for plane in planes]


def _morning(planes: Sequence[Plane], clock: str) -> float | None:
    """Reading below which a clock belongs to the next day; None where no midnight passes, or dates are known and count the days."""
    readings = [plane.clocks[clock] for plane in planes if clock in plane.clocks]
    if not readings or min(readings) >= 2 * _HALF_A_DAY or not _HALF_A_DAY < max(readings) - min(readings) < 2 * _HALF_A_DAY:
        return None
    return min(readings) + _HALF_A_DAY


def _next_day(plane: Plane, morning: dict[str, float | None]) -> Plane:
    early = {clock for clock, end in morning.items() if end is not None and plane.clocks.get(clock, end) < end}
    if not early:
        return plane
    clocks = {clock: value + 2 * _HALF_A_DAY * (clock in early) for clock, value in plane.clocks.items()}
    acquired = clocks.get("AcquisitionTime", clocks.get("ContentTime", plane.acquired))
    return replace(plane, clocks=clocks, acquired=acquired)


def _has_study_for_each_file(planes: Sequence[Plane]) -> bool:
    """Whether study UIDs mean nothing: as many as files, none of which is a study by itself."""
    by_file: dict[Any, set[str]] = defaultdict(set)
    for plane in planes:
        by_file[plane.path].add(plane.study_uid)
    uids = {uid for found in by_file.values() for uid in found}
    return len(by_file) >= FEWEST_FILES and len(uids) == len(by_file) and len(planes) == len(by_file)


def _joined_series(planes: list[Plane]) -> tuple[list[Plane], list[str]]:
    """Give one series UID to the images of series that hold one image at each place, where together they are a cine."""
    by_series: dict[tuple[str, str], list[Plane]] = defaultdict(list)
    for plane in planes:
        by_series[plane.study_uid, plane.series_uid].append(plane)
    kinds: dict[Hashable, list[Plane]] = defaultdict(list)
    for series in by_series.values():
        if max(Counter(map(_place, series)).values()) == 1:
            for plane in series:
                kinds[_kind(plane)].append(plane)
    torn = [group for group in kinds.values() if _is_torn_cine(group)]
    if not torn:
        return planes, []
    others = {
        id(plane): replace(plane, series_uid=f"joined {n}", clocks=_by_series(plane)) for n, group in enumerate(torn) for plane in group
    }
    number = len({plane.series_uid for group in torn for plane in group})
    note = f"each phase or image comes in its own series, {number} series in all; they are joined"
    return [others.get(id(plane), plane) for plane in planes], [note]


def _kind(plane: Plane) -> Hashable:
    """What the images of one cine share, whatever series they are in."""
    echo = None if plane.echo_time is None else round(plane.echo_time, 1)
    named = re.sub(r"\d+", "", plane.description)
    return plane.study_uid, plane.sequence, echo, plane.is_phase, plane.is_flow, plane.image_type, named


def _place(plane: Plane) -> Hashable:
    return tuple(round(mm, 1) for mm in plane.position), tuple(round(cosine, 2) for cosine in plane.orientation)


def _is_torn_cine(planes: Sequence[Plane]) -> bool:
    places: dict[Hashable, list[Plane]] = defaultdict(list)
    for plane in planes:
        places[_place(plane)].append(plane)
    count = statistics.median_low(map(len, places.values()))
    if count < FEWEST_CLOCKED:
        return False
    for clock in HEART_CLOCKS:
        if all(clock in plane.clocks for plane in planes):
            spans = [max(one.clocks[clock] for one in group) - min(one.clocks[clock] for one in group) for group in places.values()]
            if statistics.median_low(spans) >= LEAST_SPAN.get(clock, _LEAST_MS):
                return True
    trigger = all("TriggerTime" in plane.clocks for plane in planes)
    return count >= FEWEST_PHASES and not trigger


def _by_series(plane: Plane) -> dict[str, float]:
    """Let instance numbers count series by series, which order the phases where no time does."""
    instance = plane.clocks.get("InstanceNumber")
    return plane.clocks if instance is None else plane.clocks | {"InstanceNumber": instance + _SERIES * (plane.series_number or 0)}
