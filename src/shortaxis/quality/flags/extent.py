"""Flags on how far each structure reaches along the stack: what a heart that shortens and tapers cannot do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from shortaxis.labels import FOREGROUND, Structure
from shortaxis.quality.flags.flag import QualityFlag

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shortaxis.quality.flags.flag import Examined, ExaminedFrame

ABRUPT_PERCENT: Final = {Structure.RV: 35.0, Structure.MYO: 75.0}
"""% of the largest section that the last one towards the apex may show while the stack goes on. In the annotations of the 100 patients of
ACDC's training part it is 32 % at most for the RV, 73 % for the myocardium. The LV cavity has no limit: a thick wall closes around it
between two slices."""


def farther_at_systole(seen: Examined) -> Iterator[QualityFlag]:
    """A structure reaches slices at ES that it does not reach at ED: of 600 ends in those annotations, 3 do, all at the RV's apex."""
    if seen.diastole is None or seen.systole is None or len(seen.diastole.labels) != len(seen.systole.labels):
        return
    for structure in FOREGROUND:
        diastole, systole = (np.flatnonzero(frame.areas[structure]) for frame in (seen.diastole, seen.systole))
        if not len(diastole) or not len(systole):
            continue
        beyond = [*range(systole[0], diastole[0]), *range(diastole[-1] + 1, systole[-1] + 1)]
        if beyond:
            yield QualityFlag(
                f"{structure.name.lower()}_farther_at_systole",
                "warning",
                f"at end-systole the {structure.name} is outlined in slice{'s' * (len(beyond) > 1)} "
                f"{', '.join(str(index + 1) for index in beyond)}, where it is not at end-diastole, although the heart shortens",
                "compare these slices at both phases; one of the two outlines is wrong",
                len(beyond),
                0,
                "slices",
            )


def ends_abruptly(seen: Examined) -> Iterator[QualityFlag]:
    """Towards the apex a structure stops at a large section although the stack goes on."""
    if seen.study.n_slices < 2:
        return
    for frame in seen.frames:
        for structure, limit in ABRUPT_PERCENT.items():
            last = _most_apical(seen, frame, structure)
            if last is None or last == seen.apex:
                continue
            section = 100 * frame.share_of_largest(structure, last)
            if section > limit:
                yield QualityFlag(
                    f"{structure.name.lower()}_ends_abruptly",
                    "warning",
                    f"towards the apex the {structure.name} ends at {frame.name} in slice {last + 1} with {section:.0f} % of its largest "
                    "section, so a part of it may be missing and its volume low",
                    f"look at the slice beyond, and outline the {structure.name} there if it shows",
                    section,
                    limit,
                    "%",
                )


def _most_apical(seen: Examined, frame: ExaminedFrame, structure: Structure) -> int | None:
    shown = np.flatnonzero(frame.areas[structure])
    if not len(shown):
        return None
    return int(shown[-1] if seen.apex > seen.base else shown[0])
