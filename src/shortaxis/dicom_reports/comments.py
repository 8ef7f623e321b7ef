"""What a measurement report says in words: what a number alone would not tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from shortaxis.dicom_reports.codes import INDEXED_TO_BODY, MEASURES
from shortaxis.reports.wording import index_name, number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shortaxis.reports.content import StudyReport

NOT_A_DEVICE: Final = "Research use only: the software is not a medical device, and no person has verified these values."


def comments_on(report: StudyReport) -> list[str]:
    """Give the sentences that belong to the numbers of a report.

    Args:
        report: What was found.

    Returns:
        What the software is, how ED and ES came about, what the intervals are, lower bounds, values that are not known, flags, and end
        slices to check.
    """
    return [NOT_A_DEVICE, *_phases(report), *_intervals(report), *_bounds(report), *_reasons(report), *_flags(report), *_slices(report)]


def _phases(report: StudyReport) -> Iterator[str]:
    frames = {row.phase: row.frame for row in report.frames if row.phase is not None}
    if "ED" in frames and "ES" in frames:
        origin = "found on the LV volume curve" if report.phases == "found" else "named by the study or the user"
        yield f"End-diastole is frame {frames['ED']}, end-systole frame {frames['ES']}; {origin}."
    if report.provenance.notice is not None:
        yield report.provenance.notice


def _intervals(report: StudyReport) -> Iterator[str]:
    levels = {row.interval_level for row in report.indices.values() if row.interval is not None and row.interval_level is not None}
    for level in sorted(levels):
        yield f"The ranges of uncertainty are {100 * level:.0f} % prediction intervals."
    yield from dict.fromkeys(_sentence(row.interval_note) for row in report.indices.values() if row.interval_note is not None)


def _bounds(report: StudyReport) -> Iterator[str]:
    for name, row in report.indices.items():
        if row.lower_bound and row.value is not None and name.removesuffix(INDEXED_TO_BODY) in MEASURES:
            yield f"{_capital(index_name(name))}: at least {number(row.value, row.unit)} {row.unit}."


def _reasons(report: StudyReport) -> Iterator[str]:
    for name in MEASURES:
        row = report.indices.get(name)
        if row is not None and row.value is None:
            yield f"{_capital(index_name(name))} is not known: {row.reason or 'no reason is given'}."


def _flags(report: StudyReport) -> Iterator[str]:
    for flag in report.flags:
        yield f"{flag.severity.capitalize()}: {_sentence(flag.message)} {_sentence(flag.remedy)}"


def _slices(report: StudyReport) -> Iterator[str]:
    for frame in report.frames:
        to_check = [str(one.slice) for one in frame.end_slices if one.verdict == "check"]
        if frame.phase is not None and to_check:
            yield f"{frame.phase}: check the segmentation of {'slices' if len(to_check) > 1 else 'slice'} {', '.join(to_check)}."


def _sentence(text: str) -> str:
    return _capital(text).rstrip(".") + "."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
