"""The report of a study on paper: two pages or so of PDF with indices, intervals, verdicts, flags, and pictures of ED and ES.

It needs fpdf2 (`pip install 'shortaxis[hospital]'`). The fonts are those that matplotlib brings.
"""

from __future__ import annotations

import io
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from shortaxis.errors import InputError
from shortaxis.io.atomic import atomic_path
from shortaxis.reports.wording import UNKNOWN, frame_name, index_name, interval_text, number, plural, with_unit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from shortaxis.reports.content import Flag, IndexRow, ReportPixels, StudyReport

_VENTRICLES: Final = (
    ("Left ventricle", ("lv_edv", "lv_esv", "lv_sv", "lv_ef", "lv_mass", "lv_co")),
    ("Right ventricle", ("rv_edv", "rv_esv", "rv_sv", "rv_ef", "rv_co")),
)
_WHOLE_HEART: Final = ("heart_rate", "bsa", "sv_difference")
_NOT_A_DEVICE: Final = "Research use only. Not a medical device. No person has verified these values."
_MARGIN, _WIDTH, _LINE = 15.0, 180.0, 5.0
"""mm on A4."""
_GREY: Final = (110, 110, 110)


def write_pdf(report: StudyReport, pixels: ReportPixels, out: Path | str) -> None:
    """Write the report of a study as PDF.

    Args:
        report: What it says; the patient is named where `report.patient` is set.
        pixels: What the pictures of ED and ES show.
        out: The `.pdf` file, written whole or not at all.

    Raises:
        InputError: fpdf2 is not installed, or the file cannot be written.
    """
    document = _Document(report)
    document.indices()
    document.signals()
    document.pictures(pixels)
    document.provenance()
    content = document.finish()
    with atomic_path(out) as temporary:
        temporary.write_bytes(content)


def _fpdf() -> Any:
    try:
        import fpdf  # noqa: PLC0415 (an optional package)
    except ImportError as error:
        msg = "writing a PDF needs a package that is not installed; run: pip install 'shortaxis[hospital]'"
        raise InputError(msg) from error
    return fpdf


class _Document:
    """The pages, filled from top to bottom."""

    def __init__(self, report: StudyReport) -> None:
        fpdf = _fpdf()
        self._report = report
        self._pdf = pdf = fpdf.FPDF(orientation="portrait", unit="mm", format="A4")
        self._next = {"new_x": fpdf.XPos.LMARGIN, "new_y": fpdf.YPos.NEXT}
        pdf.set_margin(_MARGIN)
        pdf.set_auto_page_break(auto=True, margin=_MARGIN)
        pdf.set_creation_date(datetime.fromisoformat(report.provenance.date))
        pdf.set_title("Short-axis cine: volumes and function")
        pdf.set_creator(f"shortaxis {report.provenance.shortaxis_version}")
        pdf.set_lang("en")
        fonts = _font_folder()
        pdf.add_font("DejaVu", style="", fname=fonts / "DejaVuSans.ttf")
        pdf.add_font("DejaVu", style="B", fname=fonts / "DejaVuSans-Bold.ttf")
        pdf.add_page()
        self._head()

    def _write(self, text: str, *, size: float = 9.0, bold: bool = False, colour: tuple[int, int, int] = (0, 0, 0)) -> None:
        self._pdf.set_font("DejaVu", "B" if bold else "", size)
        self._pdf.set_text_color(*colour)
        self._pdf.multi_cell(_WIDTH, _LINE * size / 9, text, align="L", **self._next)

    def _section(self, title: str) -> None:
        self._pdf.ln(3)
        if self._pdf.will_page_break(4 * _LINE):
            self._pdf.add_page()
        self._write(title, size=11, bold=True)

    def _head(self) -> None:
        report = self._report
        self._write("Short-axis cine: volumes and function", size=15, bold=True)
        self._write(_NOT_A_DEVICE, bold=True, colour=(170, 40, 0))
        if report.patient is not None:
            who = report.patient
            parts = (who.name, who.identifier, who.birth_date, who.sex, who.study_date)
            self._write(" · ".join(part for part in parts if part), size=10)
        frames = [frame_name(frame) for frame in report.frames if frame.phase is not None]
        origin = {"found": "found on the LV volume curve", "named": "named", "unknown": "not known"}[report.phases]
        self._write(f"Study {report.study} · {'; '.join(frames) or 'end-diastole and end-systole'} ({origin})", colour=_GREY)

    def indices(self) -> None:
        """Write a table for each ventricle, and one line for the whole heart."""
        for title, names in _VENTRICLES:
            rows = [(name, self._report.indices[name]) for name in names if name in self._report.indices]
            if rows:
                self._section(title)
                self._table(rows)
        others = [(name, self._report.indices[name]) for name in _WHOLE_HEART if name in self._report.indices]
        known = [f"{index_name(name)} {_value(row)}" for name, row in others if row.value is not None]
        if known:
            self._section("Whole heart")
            self._write(" · ".join(known))
        notes = dict.fromkeys(row.interval_note for row in self._report.indices.values() if row.interval_note)
        for note in notes:
            self._write(f"Intervals: {note}.", size=7.5, colour=_GREY)
        for reason, lacking in _reasons(self._report.indices.items()).items():
            self._write(f"Not known: {', '.join(lacking)}: {reason}.", size=7.5, colour=_GREY)

    def _table(self, rows: Sequence[tuple[str, IndexRow]]) -> None:
        fpdf = _fpdf()
        level = next((row.interval_level for _, row in rows if row.interval_level is not None), None)
        interval = "Interval" if level is None else f"{100 * level:.0f} % interval"
        self._pdf.set_text_color(0, 0, 0)
        self._pdf.set_font("DejaVu", "", 9)
        with self._pdf.table(
            col_widths=(80, 35, 35, 30),
            width=_WIDTH,
            line_height=_LINE,
            borders_layout=fpdf.enums.TableBordersLayout.HORIZONTAL_LINES,
            text_align=("LEFT", "RIGHT", "RIGHT", "RIGHT"),
            headings_style=fpdf.FontFace(emphasis="BOLD"),
        ) as table:
            table.row(("Index", "Value", interval, "÷ BSA"))
            for name, row in rows:
                indexed = self._report.indices.get(f"{name}_indexed")
                table.row((_short(name), _value(row), _interval(row), UNKNOWN if indexed is None else _value(indexed)))

    def signals(self) -> None:
        """Write the flags, the gravest first, and the end slices to check."""
        self._section("Flags")
        if not self._report.flags:
            self._write("No flags.")
        for flag in self._report.flags:
            self._write(_flag(flag), colour=(170, 40, 0) if flag.severity == "warning" else (0, 0, 0))
        self._section("End slices")
        for line in _verdicts(self._report):
            self._write(line)

    def pictures(self, pixels: ReportPixels) -> None:
        """Put the slices of ED and ES on a page of their own."""
        from shortaxis.reports.phase_pictures import phase_picture  # noqa: PLC0415 (matplotlib takes a second)

        places = [(place, frame) for place, frame in enumerate(self._report.frames) if frame.phase is not None]
        places = places or [(0, self._report.frames[0])]
        self._pdf.add_page()
        self._write("Contours: RV cavity blue, epicardium yellow, LV cavity red; slices from the first to the last.", size=8, colour=_GREY)
        for place, frame in places:
            self._section(frame_name(frame))
            picture, aspect = phase_picture(pixels, place)
            height = min(_WIDTH * aspect, 115.0)
            if self._pdf.will_page_break(height):
                self._pdf.add_page()
            self._pdf.image(io.BytesIO(picture), x=_MARGIN, w=height / aspect, h=height, alt_text=frame_name(frame))

    def provenance(self) -> None:
        """Say how the report came about."""
        told = self._report.provenance
        self._section("How this report came about")
        calibrated = "" if told.calibrated else "; without calibration, so without intervals and verdicts"
        self._write(f"shortaxis {told.shortaxis_version}, {told.date}, model {told.model}{calibrated}", size=8)
        self._write(f"SHA-256 of the model {told.model_sha256}", size=8)
        if told.options:
            self._write(f"Options: {', '.join(f'{name} = {value}' for name, value in told.options.items())}", size=8)
        for text in (told.notice, *(note for image in self._report.images for note in image.notes)):
            if text:
                self._write(text, size=8)

    def finish(self) -> bytes:
        """Give the file."""
        return bytes(self._pdf.output())


def _font_folder() -> Path:
    import matplotlib as mpl  # noqa: PLC0415

    return Path(mpl.get_data_path()) / "fonts" / "ttf"


def _short(name: str) -> str:
    words = index_name(name)
    return words[3:4].upper() + words[4:] if words[:3] in {"LV ", "RV "} else words


def _value(row: IndexRow) -> str:
    return ("≥ " if row.lower_bound and row.value is not None else "") + with_unit(row.value, row.unit)


def _interval(row: IndexRow) -> str:
    return UNKNOWN if row.interval is None or row.value is None else interval_text(row.interval, row.unit)


def _reasons(rows: Iterable[tuple[str, IndexRow]]) -> dict[str, list[str]]:
    """Why values are missing: the names of the indices by the reason."""
    found: dict[str, list[str]] = {}
    for name, row in rows:
        if row.value is None and not name.endswith("_indexed"):
            found.setdefault(row.reason or "no reason is given", []).append(index_name(name))
    return found


def _flag(flag: Flag) -> str:
    figures = ""
    if flag.value is not None:
        limit = "" if flag.limit is None else f", limit {number(flag.limit, flag.unit)} {flag.unit}".rstrip()
        figures = f" ({number(flag.value, flag.unit)} {flag.unit}".rstrip() + f"{limit})"
    return f"{flag.severity.capitalize()}: {flag.message}{figures}. {flag.remedy[:1].upper()}{flag.remedy[1:]}."


def _verdicts(report: StudyReport) -> Iterator[str]:
    judged = [frame for frame in report.frames if frame.phase is not None and frame.end_slices]
    if not judged:
        yield "The end slices are not judged."
    for frame in judged:
        for one in frame.end_slices:
            reasons = f": {'; '.join(one.reasons)}" if one.reasons else ""
            yield f"{frame.phase}, slice {one.slice} ({one.level}): {one.verdict}, risk {100 * one.probability:.0f} %{reasons}"
        checks = sum(one.verdict == "check" for one in frame.end_slices)
        yield f"{frame.phase}: {checks} of {plural(len(frame.end_slices), 'end slice')} to check"
