"""Flags on the phases: whether the cine shows the whole heartbeat, and ED and ES where they can be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from shortaxis.indices.curves import LEAST_PHASES, SMOOTH_CINE, cycle_length
from shortaxis.quality.flags.flag import QualityFlag

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shortaxis.quality.flags.flag import Examined

SYSTOLE_PERCENT: Final = (15.0, 60.0)
"""% of the heartbeat from ED to ES: about a third at rest, half at 100 beats a minute and more."""
NOT_EXTREME_PERCENT: Final = 10.0
"""% of the EDV by which a named ED or ES may miss the largest or smallest volume of the curve: as much as EF is off by."""
UNSTEADY_PERCENT: Final = 5.0
"""% of the places in a cine (structures in slices at phases) that may have been decided anew."""
TO_CHECK_PERCENT: Final = 50.0
"""% of the end slices of ED and ES to be checked from which on the study as a whole is in doubt; about a quarter is usual."""


def few_phases(seen: Examined) -> QualityFlag | None:
    """Too few phases to hit ES, or to find it at all; ED and ES given as frames of their own are no cine."""
    phases = seen.study.n_phases
    given = seen.study.end_diastole is not None and seen.study.end_systole is not None
    if phases >= SMOOTH_CINE or (given and phases < 3):
        return None
    found = given or phases >= LEAST_PHASES
    trouble = (
        "so ES may fall between two and EF come out low"
        if found
        else f"which {'do' if phases > 1 else 'does'} not show ED and ES, so there is no EF"
    )
    return QualityFlag(
        "few_phases",
        "note" if found else "warning",
        f"there {'are' if phases > 1 else 'is'} {phases} phase{'s' * (phases > 1)}, {trouble}",
        "give all phases of the cine if there are more, or name ED and ES",
        phases,
        SMOOTH_CINE,
        "phases",
    )


def phases_missing(seen: Examined) -> QualityFlag | None:
    """The times of the phases are not even."""
    times = seen.curves.phase_times
    if times is None or len(times) < LEAST_PHASES:
        return None
    steps = np.diff(times)
    usual, widest = float(np.median(steps)), int(steps.argmax())
    if steps[widest] <= 1.5 * usual:
        return None
    return QualityFlag(
        "phases_missing",
        "warning",
        f"frames {widest + 1} and {widest + 2} are {steps[widest]:.0f} ms apart where {usual:.0f} ms is usual, so phases are missing",
        "give all phases of the cine, or name ED and ES",
        float(steps[widest]),
        1.5 * usual,
        "ms",
    )


def heartbeat_not_covered(seen: Examined) -> QualityFlag | None:
    """The LV curve stays open: the cine ends before the heartbeat does."""
    curves, phases = seen.curves, seen.study.n_phases
    if phases < LEAST_PHASES or not curves.lv_ml.any():
        return None
    reason = cycle_length(range(phases), curves.lv_ml)[1]
    if reason is None:
        return None
    steps = np.abs(np.diff(curves.lv_ml))
    return QualityFlag(
        "heartbeat_not_covered",
        "note",
        f"{reason} ({abs(curves.lv_ml[-1] - curves.lv_ml[0]):.0f} ml, where neighbouring phases differ by {steps.max():.0f} ml at most)",
        "nothing where the cine was gated prospectively; otherwise look for phases that were left out",
        float(abs(curves.lv_ml[-1] - curves.lv_ml[0])),
        float(steps.max()),
        "ml",
    )


def implausible_systole(seen: Examined) -> Iterator[QualityFlag]:
    """ES lies too soon or too late after ED, that of the LV or the RV's own."""
    curves, phases = seen.curves, seen.study.n_phases
    for start, whose, diastole, systole in (
        ("", "", curves.end_diastole, curves.end_systole),
        ("rv_", "the RV's own ", curves.rv_end_diastole, curves.rv_end_systole),
    ):
        if diastole is None or systole is None or phases < LEAST_PHASES:
            continue
        percent = 100 * ((systole - diastole) % phases) / phases
        low, high = SYSTOLE_PERCENT
        if low <= percent <= high:
            continue
        yield QualityFlag(
            f"{start}implausible_systole",
            "warning",
            f"{whose}ES (frame {systole + 1}) comes {percent:.0f} % of the cine after {whose}ED (frame {diastole + 1}); "
            f"{low:.0f} to {high:.0f} % is usual",
            f"look at the volume curve, and name {whose}ED and ES yourself where it is wrong",
            percent,
            low if percent < low else high,
            "%",
        )


def named_phase_not_extreme(seen: Examined) -> Iterator[QualityFlag]:
    """A phase that the study names is far from the largest or the smallest volume of its ventricle."""
    study = seen.study
    for start, whose, ml, phases in (
        ("", "", seen.curves.lv_ml, (study.end_diastole, study.end_systole)),
        ("rv_", "the RV's own ", seen.curves.rv_ml, (study.rv_end_diastole, study.rv_end_systole)),
    ):
        if study.n_phases < LEAST_PHASES or not ml.any():
            continue
        short = [
            (word, phase, 100 * abs(ml[phase] - extreme) / ml.max())
            for word, phase, extreme in zip(("ED", "ES"), phases, (ml.max(), ml.min()), strict=True)
            if phase is not None
        ]
        if not short or max(part[2] for part in short) <= NOT_EXTREME_PERCENT:
            continue
        word, phase, percent = max(short, key=lambda part: part[2])
        kind, best = ("largest", int(ml.argmax())) if word == "ED" else ("smallest", int(ml.argmin()))
        yield QualityFlag(
            f"{start}named_phase_not_extreme",
            "warning",
            f"{whose}{word} is said to be frame {phase + 1}, but the {'RV' if start else 'LV'} is {kind} in frame {best + 1}, "
            f"by {percent:.0f} % of the largest volume",
            f"check which frame is {whose}{word}; left out, it is found on the volume curve",
            percent,
            NOT_EXTREME_PERCENT,
            "%",
        )


def unsteady_cine(seen: Examined) -> QualityFlag | None:
    """Many places had to be decided anew for the sake of temporal consistency."""
    places = 3 * seen.study.n_phases * seen.study.n_slices
    percent = 100 * seen.repaired / places
    if percent <= UNSTEADY_PERCENT:
        return None
    return QualityFlag(
        "unsteady_cine",
        "warning",
        f"{seen.repaired} of {places} places (structures in slices at phases) contradicted their neighbours in time and were decided anew",
        "look at the cine for arrhythmia, artefacts or mixed-up phases",
        percent,
        UNSTEADY_PERCENT,
        "%",
    )


def many_end_slices_to_check(seen: Examined) -> QualityFlag | None:
    """Half of the end slices of ED and ES or more are to be checked."""
    to_check, judged = seen.end_slices or (0, 0)
    if not judged or 100 * to_check / judged < TO_CHECK_PERCENT:
        return None
    return QualityFlag(
        "many_end_slices_to_check",
        "warning",
        f"{to_check} of {judged} end slices of ED and ES are to be checked",
        "look at these slices before using the volumes",
        100 * to_check / judged,
        TO_CHECK_PERCENT,
        "%",
    )
