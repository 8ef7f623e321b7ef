"""What a page shows below its viewer: curves, segments, end slices, all slices of ED and ES, and how the report came about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from shortaxis.reports.bulls_eye import MEASURES, bulls_eye, colour_scale
from shortaxis.reports.charts import verdict_strip, volume_curves
from shortaxis.reports.markup import element, table
from shortaxis.reports.picture import OUTLINES
from shortaxis.reports.sprites import scan_sheet
from shortaxis.reports.summary import image_in_words
from shortaxis.reports.viewer import cine_of, shown_frames
from shortaxis.reports.wording import frame_name, index_name, interval_text, plural, with_unit

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from shortaxis.reports.content import EndSlice, FrameRow, StudyReport
    from shortaxis.reports.viewer import Pictures

_QUALITY: Final = 85


def curves(report: StudyReport) -> list[Element]:
    """The volumes over the cine, drawn and as a table."""
    places = cine_of(report.frames)
    frames = [report.frames[place] for place in places]
    rows = [
        [_frame_with_rv(frame), with_unit(frame.time_ms, "ms"), *(with_unit(ml, "ml") for ml in (frame.lv_ml, frame.rv_ml, frame.myo_ml))]
        for frame in report.frames
    ]
    figures = table(("Frame", "Time", "LV", "RV", "Myocardium"), rows, caption="Volumes of each frame")
    folded = element("details", element("summary", "Volumes of each frame"), figures)
    if not places:
        return [element("p", "Too few frames for a curve: a cine of at least three phases has one.", class_="quiet"), figures]
    readout = element("output", id="curve-readout", class_="readout")
    repairs = [] if not report.repairs else [_repairs(report)]
    hint = element("p", "Click a moment to see it in the viewer.", class_="quiet screen-only")
    return [volume_curves(frames, places), readout, hint, folded, *repairs]


def segments(report: StudyReport) -> list[Element]:
    """The bull's-eyes: one to choose on a screen, all three on paper."""
    if not report.segments:
        return [element("p", f"Not known: {report.segments_reason or 'no reason is given'}.", class_="quiet")]
    choices, drawings = [], []
    for place, measure in enumerate(MEASURES):
        name = measure.key.replace("_", "-")
        button = element("input", type="radio", name="measure", id=name, value=name, checked="" if place == 0 else None)
        choices.append(element("label", button, measure.short))
        caption = element("figcaption", f"{measure.title} ({measure.unit})")
        drawings.append(element("figure", caption, bulls_eye(report.segments, measure), colour_scale(measure), class_=f"measure {name}"))
    rows = [
        [f"{segment.number} {segment.name}", *(with_unit(getattr(segment, measure.key), measure.unit) for measure in MEASURES)]
        for segment in report.segments
    ]
    figures = table(("Segment", *(measure.title for measure in MEASURES)), rows, caption="The 16 segments")
    legend = element("legend", "Measure", class_="unseen")
    return [
        element("fieldset", legend, *choices, class_="choices screen-only"),
        element("div", *drawings, class_="measures"),
        element(
            "p",
            "Base outside, apex inside; A anterior, I inferior, S septal, L lateral. The scales are the same for all studies.",
            class_="quiet",
        ),
        element("details", element("summary", "The 16 segments as a table"), figures),
    ]


def end_slices(report: StudyReport, pictures: Pictures) -> list[Element]:
    """The verdict on each end slice of ED and ES with a small picture, and over a cine the course of the verdicts."""
    if not any(frame.end_slices for frame in report.frames):
        return [element("p", "The end slices are not judged: the model has no calibration.", class_="quiet")]
    text = (
        "The ends of the heart are where a segmentation fails first: the outermost two slices on either side that show it, and the slice "
        "beyond each. A slice between them is shown when it should be checked. The risk is the probability, learnt from patients that the "
        "networks had not seen, that the outlines of the slice agree poorly with an expert's (mean DSC below 0.8)."
    )
    parts = [element("p", text, class_="quiet")]
    for place in shown_frames(report):
        frame = report.frames[place]
        cards = [_end_slice(frame, place, judged, _view(pictures)) for judged in frame.end_slices]
        parts += [element("h3", frame_name(frame)), element("ul", *cards, class_="end-slices")]
    places = cine_of(report.frames)
    strip = verdict_strip([report.frames[place] for place in places], places) if places else None
    if strip is not None:
        legend = element(
            "p",
            element("span", class_="cell check"),
            " check ",
            element("span", class_="cell trust"),
            " trust",
            class_="legend",
            aria_hidden="true",
        )
        parts.append(element("figure", element("figcaption", "Over the cine"), strip, legend, class_="over-cine"))
    return parts


def mosaic(report: StudyReport, pictures: Pictures, *, basal_first: bool) -> list[Element]:
    """All slices of ED and ES (of the first frame where neither is known), with outlines; what is printed instead of the viewer."""
    parts = []
    if any(report.frames[place].slice_risk for place in shown_frames(report)):
        parts.append(element("p", "The risk below a slice is the probability that its mean DSC is below 0.8.", class_="quiet"))
    slices = {image.file: image.slices for image in report.images}  # frames that are files of their own may differ
    for place in shown_frames(report):
        frame = report.frames[place]
        name, risks = frame_name(frame), frame.slice_risk
        depth = slices.get(frame.image) or int(pictures.grey.shape[1])
        ends = {0: "base" if basal_first else "apex", depth - 1: "apex" if basal_first else "base"} if depth > 1 else {}
        tiles = []
        for index in range(depth):
            side = element("span", f" {ends[index]}", class_="side") if index in ends else None
            picture = element(
                "a", _picture(pictures, place, index, f"{name}, slice {index + 1}"), href="#viewer", data_frame=place, data_slice=index
            )
            risk = element("span", f"risk\N{NO-BREAK SPACE}{100 * risks[index]:.0f}\N{NO-BREAK SPACE}%", class_="risk") if risks else None
            tiles.append(element("li", picture, element("span", str(index + 1), side, class_="number"), risk))
        parts += [element("h3", name), element("ol", *tiles, class_="mosaic")]
    return parts


def provenance(report: StudyReport) -> list[Element]:
    """How the report came about, and what each index means."""
    made = report.provenance
    facts = [
        ("shortaxis", made.shortaxis_version),
        ("Date", made.date),
        ("Command", made.command or "called from Python"),
        ("Model", f"{made.model} ({'calibrated' if made.calibrated else 'without calibration'})"),
        ("Model SHA-256", made.model_sha256),
        ("Device, time", f"{made.device}, {made.seconds:.1f} s"),
        *([("Notice", made.notice)] if made.notice else []),
        ("Options", ", ".join(f"{name} = {value}" for name, value in made.options.items()) or "defaults"),
    ]
    for image in report.images:
        facts += [("Image", image_in_words(image)), ("Image SHA-256", image.sha256)]
    pairs = [element("div", element("dt", name), element("dd", value)) for name, value in facts]
    rows = [
        [
            index_name(name),
            f"{'≥ ' * row.lower_bound}{with_unit(row.value, row.unit)}"
            if row.value is not None
            else f"not known: {row.reason or 'no reason is given'}",
            "—" if row.interval is None else interval_text(row.interval, row.unit),
            row.definition,
            row.source,
        ]
        for name, row in report.indices.items()
    ]
    head = ("Index", "Value", "Interval", "Definition", "Source")
    definitions = table(head, rows, caption="Every index, its definition and its source", class_="definitions")
    summary = f"All {plural(len(rows), 'index', 'indices')}: definitions and sources"
    return [element("dl", *pairs, class_="provenance"), element("details", element("summary", summary), definitions, class_="on-paper")]


def _frame_with_rv(frame: FrameRow) -> str:
    """Which frame it is, also of the RV's own phases."""
    return f"{frame_name(frame)} (RV's own {frame.rv_phase})" if frame.rv_phase else frame_name(frame)


def _end_slice(frame: FrameRow, place: int, judged: EndSlice, view: str) -> Element:
    window = element("use", href=f"#picture-{place}-{judged.slice - 1}")
    link = element(
        "a",
        element("svg", window, class_="picture", viewBox=view, aria_hidden="true"),
        href="#viewer",
        data_frame=place,
        data_slice=judged.slice - 1,
        aria_label=f"Show slice {judged.slice} of {frame_name(frame).lower()} in the viewer",
    )
    kind = "warning" if judged.verdict == "check" else "fine"
    sign = element("span", {"warning": "▲", "fine": "✓"}[kind], class_="icon", aria_hidden="true")
    verdict = element(
        "p",
        element("strong", sign, judged.verdict, class_=f"signal {kind}"),
        f" risk\N{NO-BREAK SPACE}{100 * judged.probability:.0f}\N{NO-BREAK SPACE}%",
    )
    head = element("p", f"Slice {judged.slice}, {judged.level}", class_="name")
    reasons = element("p", "; ".join(judged.reasons), class_="why") if judged.reasons else None
    return element("li", link, element("div", head, verdict, reasons), class_=judged.verdict)


def _picture(pictures: Pictures, frame: int, index: int, label: str) -> Element:
    """One slice around the heart with its outlines, 100 units wide."""
    window, close = pictures.window, pictures.close
    top, left = close.rows.start - window.rows.start, close.columns.start - window.columns.start
    grey = pictures.grey[frame : frame + 1, index, top : top + close.height, left : left + close.width]
    sheet = scan_sheet(grey, _QUALITY)
    # The sheet is padded to whole blocks: what is beyond the tile lies outside the view.
    high = 100 * pictures.close_ratio
    wide, deep = (side * pitch / tile for side, pitch, tile in zip((100, high), sheet.pitch, sheet.tile, strict=True))
    image = element("image", href=sheet.uri, width=wide, height=deep, preserveAspectRatio="none")
    place = f"scale({50 / close.width:.6g} {high / 2 / close.height:.6g}) translate({-2 * left} {-2 * top})"
    paths = [
        element("path", d=path, stroke=colour, vector_effect="non-scaling-stroke")
        for path, (_, _, colour) in zip(pictures.outlines[frame][index], OUTLINES, strict=True)
        if path
    ]
    inside = element("g", image, element("g", *paths, transform=place, fill="none"), id=f"picture-{frame}-{index}")
    return element("svg", inside, class_="picture", viewBox=_view(pictures), role="img", aria_label=label)


def _repairs(report: StudyReport) -> Element:
    rows = [
        [
            f"{repair.image}, frame {repair.frame}",
            str(repair.slice),
            repair.structure,
            *(f"{area:.0f} mm²" for area in (repair.before_mm2, repair.after_mm2)),
        ]
        for repair in report.repairs
    ]
    caption = "Places that contradicted their neighbours in time and were decided anew"
    figures = table(("Frame", "Slice", "Structure", "Area before", "Area now"), rows, caption=caption)
    summary = f"{plural(len(rows), 'place')} decided anew for consistency in time"
    return element("details", element("summary", summary), figures)


def _view(pictures: Pictures) -> str:
    return f"0 0 100 {100 * pictures.close_ratio:.4g}"
