"""The head of a page: what was scanned, what to look out for, and the indices of both ventricles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from shortaxis.endocardium import Endocardium
from shortaxis.reports.charts import interval_bar, round_limit
from shortaxis.reports.markup import Content, element
from shortaxis.reports.viewer import shown_frames
from shortaxis.reports.wording import UNKNOWN, index_name, interval_text, number, plural, with_unit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from xml.etree.ElementTree import Element

    from shortaxis.reports.content import Flag, ImageFacts, IndexRow, Patient, StudyReport

    _Rows = dict[str, tuple[IndexRow, IndexRow | None]]

DISCLAIMER: Final = "Research use only. Not a medical device: no figure here may decide about a patient."

_VENTRICLES: Final = (
    ("Left ventricle", "lv", ("ef", "edv", "esv", "sv", "mass", "co")),
    ("Right ventricle", "rv", ("ef", "edv", "esv", "sv", "co")),
)
_SHORT: Final = {"ef": "EF", "edv": "EDV", "esv": "ESV", "sv": "SV", "mass": "mass", "co": "CO"}
_FRAMES: Final = ("ed", "es")
_WHOLE_HEART: Final = ("heart_rate", "bsa", "sv_difference")
_PHASES: Final = {
    "named": "ED and ES as named by the study or the user",
    "found": "ED and ES found on the LV volume curve",
    "unknown": "ED and ES are not both known",
}


def header(report: StudyReport) -> list[Element]:
    """What was scanned, and how many things there are to look out for."""
    facts = [image_in_words(image) for image in report.images]
    border = [] if report.endocardium is None else [_capitalised(Endocardium(report.endocardium).describe())]
    lines = [element("li", line) for line in [*facts, _PHASES[report.phases], *border, *scan_in_words(report)]]
    notes = [element("li", note, class_="note") for image in report.images for note in image.notes]
    return [
        element("p", "shortaxis report", class_="kicker"),
        element("h1", report.study),
        *([] if report.patient is None else [_patient(report.patient)]),
        element("ul", *lines, *notes, class_="facts"),
        element("ul", *_signals(report), class_="signals", aria_label="What to look out for"),
        *([] if (notice := report.provenance.notice) is None else [element("p", f"▲ {notice}", class_="signal warning")]),
        element("p", DISCLAIMER, class_="disclaimer"),
    ]


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


def image_in_words(image: ImageFacts) -> str:
    """Say what an image is, in one line."""
    z, y, x = image.spacing_mm
    size = f"{plural(image.phases, 'phase')} × {plural(image.slices, 'slice')}, {image.rows} × {image.columns} pixels"
    return f"{image.file}: {image.format}, {size} of {y:.2f} × {x:.2f} mm, slices {z:.1f} mm apart"


def scan_in_words(report: StudyReport) -> list[str]:
    """Say whether verdicts and intervals were learnt from scans like this one, in one sentence; nothing where that is not known."""
    scan = report.scan
    if scan is None:
        return []
    if scan.known:
        return ["The scan looks like those that verdicts and intervals were learnt from"]
    what = f" ({', '.join(scan.unlike)})" if scan.unlike else ""
    return [f"The scan does not look like those that verdicts and intervals were learnt from{what}: intervals are wider, or not given"]


def flags(report: StudyReport) -> list[Element]:
    """The flags: what each is, how far it is from its limit, and what to do about it."""
    if not report.flags:
        return [element("p", "Nothing was flagged.", class_="quiet")]
    return [element("ul", *map(_flag, report.flags), class_="flags")]


def ventricles(indices: Mapping[str, IndexRow]) -> list[Element]:
    """One card a ventricle, and one for the whole heart; a ventricle without any index has none."""
    cards = []
    for title, side, kinds in _VENTRICLES:
        rows, own = (_rows(indices, side, kinds, suffix) for suffix in ("", "_own"))
        if rows:
            cards.append(_card(title, side, _by_phases(rows, own, indices), _missing(rows, own), _limits(indices)))
    others = [(index_name(name), indices[name]) for name in _WHOLE_HEART if name in indices]
    if others:
        pairs = [element("div", element("dt", name), element("dd", _value(row))) for name, row in others]
        reasons = _reasons((name, row) for name, row in others)
        cards.append(element("section", element("h3", "Whole heart"), element("dl", *pairs), reasons, class_="card whole"))
    return cards


def _rows(indices: Mapping[str, IndexRow], side: str, kinds: Iterable[str], suffix: str) -> _Rows:
    """Indices of a ventricle and the same ÷ BSA, by short name."""
    names = {_SHORT[kind]: f"{side}_{kind}{suffix}" for kind in kinds}
    return {short: (indices[name], indices.get(f"{name}_indexed")) for short, name in names.items() if name in indices}


def _by_phases(rows: _Rows, own: _Rows, indices: Mapping[str, IndexRow]) -> dict[str, _Rows]:
    """The rows of a card by their heading: two groups where the RV is known at phases of its own, else one without a heading."""
    if all(row.value is None for row, _ in own.values()):
        return {"": rows}
    heads = []
    for text, start in (("At ED and ES of the LV", ""), ("At its own ED and ES", "rv_")):
        numbers = [indices[name].value for phase in _FRAMES if (name := f"{start}{phase}_frame") in indices]
        known = [f"{number:.0f}" for number in numbers if number is not None]
        heads.append(f"{text} (frames {' and '.join(known)})" if len(known) == len(_FRAMES) else text)
    return dict(zip(heads, (rows, own), strict=True))


def _missing(rows: _Rows, own: _Rows) -> list[tuple[str, IndexRow]]:
    """Indices without a value by name; those of the RV at its own phases in one where none of them has a value."""
    missing = [(name, row) for name, (row, _) in rows.items() if row.value is None]
    missing_own = [(f"own {name}", row) for name, (row, _) in own.items() if row.value is None]
    return missing + ([("Own ED and ES", missing_own[0][1])] if missing_own and len(missing_own) == len(own) else missing_own)


def _patient(patient: Patient) -> Element:
    parts = (
        patient.name,
        None if patient.identifier is None else f"ID {patient.identifier}",
        None if patient.birth_date is None else f"born {patient.birth_date}",
        patient.sex,
        None if patient.study_date is None else f"scanned {patient.study_date}",
    )
    return element("p", " · ".join(part for part in parts if part is not None), class_="patient")


def _signals(report: StudyReport) -> list[Element]:
    counts = {severity: sum(flag.severity == severity for flag in report.flags) for severity in ("warning", "note")}
    judged = [judged for place in shown_frames(report) for judged in report.frames[place].end_slices]
    checks = sum(judged.verdict == "check" for judged in judged)
    signals = []
    if counts["warning"]:
        signals.append(("warning", plural(counts["warning"], "warning"), "#flags"))
    if counts["note"]:
        signals.append(("note", plural(counts["note"], "note"), "#flags"))
    if not report.flags:
        signals.append(("fine", "no flags", "#flags"))
    if checks:
        signals.append(("warning", f"{checks} of {plural(len(judged), 'end slice')} to check", "#end-slices"))
    elif judged:
        signals.append(("fine", f"{plural(len(judged), 'end slice')} trusted", "#end-slices"))
    else:
        signals.append(("note", "end slices not judged", "#end-slices"))
    return [element("li", element("a", icon(kind), text, class_=f"signal {kind}", href=target)) for kind, text, target in signals]


def icon(kind: str) -> Element:
    """A sign that tells the kinds apart without colour; the words beside it say the same."""
    return element("span", {"warning": "▲", "note": "i", "fine": "✓"}[kind], class_="icon", aria_hidden="true")


def _flag(flag: Flag) -> Element:
    figures = None
    if flag.value is not None:
        limit = "" if flag.limit is None else f" (limit {_figure(flag.limit, flag.unit)})"
        figures = element("span", f"{_figure(flag.value, flag.unit)}{limit}", class_="figures")
    head = element("p", icon(flag.severity), element("strong", flag.severity.capitalize()), " ", flag.message, " ", figures)
    return element("li", head, element("p", flag.remedy, class_="remedy"), class_=f"flag {flag.severity}")


def _figure(value: float, unit: str) -> str:
    return f"{value:.3g} {unit}".rstrip().replace("-", "−")


def _limits(indices: Mapping[str, IndexRow]) -> dict[str, float]:
    """Right end of the interval bars for each unit: 100 for %, otherwise above all there is to show, for both ventricles the same."""
    largest: dict[str, float] = {}
    for row in indices.values():
        if row.value is not None:
            largest[row.unit] = max(largest.get(row.unit, 0.0), row.value, *(row.interval or ()))
    return {unit: 100.0 if unit == "%" else round_limit(value) for unit, value in largest.items()}


def _card(title: str, side: str, groups: Mapping[str, _Rows], missing: list[tuple[str, IndexRow]], limits: Mapping[str, float]) -> Element:
    every = [pair for rows in groups.values() for pair in rows.values()]
    with_body = any(indexed is not None and indexed.value is not None for _, indexed in every)
    level = next((row.interval_level for row, _ in every if row.interval_level is not None), None)
    heads = ["Index", "Value"]
    heads += [f"{100 * level:.0f} % interval"] if level is not None else []
    heads += ["÷ BSA"] if with_body else []
    bodies: list[Element] = []
    for heading, rows in groups.items():
        lines = [element("tr", element("th", heading, scope="rowgroup", colspan=len(heads)), class_="phases")] if heading else []
        for name, (row, indexed) in rows.items():
            cells: list[Element] = [element("th", element("abbr", name, title=row.definition), scope="row"), element("td", _value(row))]
            if level is not None:
                cells.append(element("td", *_interval(row, limits), class_="interval"))
            if with_body:
                known = indexed is not None and indexed.value is not None
                cells.append(element("td", with_unit(indexed.value, indexed.unit) if indexed is not None and known else UNKNOWN))
            lines.append(element("tr", *cells, class_="lead" if name == "EF" and not bodies else None))
        bodies.append(element("tbody", *lines))
    head = element("tr", *(element("th", text, scope="col") for text in heads))
    caption = element("caption", f"Indices of the {title.lower()}", class_="unseen")
    table = element("table", caption, element("thead", head), *bodies)
    swatch = element("span", class_=f"swatch {side}", aria_hidden="true")
    remarks = [_reasons(missing), _notes(row for row, _ in every)]
    return element("section", element("h3", swatch, title), table, *remarks, class_=f"card {side}")


def _value(row: IndexRow) -> Element:
    if row.value is None:
        return element("span", "not known", class_="missing")
    shown = f"≥ {number(row.value, row.unit)}" if row.lower_bound else number(row.value, row.unit)
    return element("span", element("b", shown), " ", element("small", row.unit), class_="value")


def _interval(row: IndexRow, limits: Mapping[str, float]) -> list[Content]:
    if row.value is None or row.interval is None:
        return [UNKNOWN]
    return [interval_bar(row.value, row.interval, limits[row.unit]), " ", element("span", interval_text(row.interval, row.unit))]


def _reasons(rows: Iterable[tuple[str, IndexRow]]) -> Element | None:
    """Why values are missing, indices with the same reason together."""
    by_reason: dict[str, list[str]] = {}
    for name, row in rows:
        if row.value is None:
            by_reason.setdefault(row.reason or "no reason is given", []).append(name)
    lines = [element("li", element("strong", ", ".join(names)), f": {reason}") for reason, names in by_reason.items()]
    return element("ul", *lines, class_="reasons") if lines else None


def _notes(rows: Iterable[IndexRow]) -> Element | None:
    notes = dict.fromkeys(row.interval_note for row in rows if row.interval_note is not None)
    return element("p", " ".join(notes), class_="quiet") if notes else None
