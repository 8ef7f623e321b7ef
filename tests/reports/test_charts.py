from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shortaxis.indices import SEGMENTS
from shortaxis.reports import content
from shortaxis.reports.bulls_eye import MEASURES, bulls_eye, colour_scale, luminance
from shortaxis.reports.charts import interval_bar, round_limit, ticks, verdict_strip, volume_curves

NAMED = {1: "ED", 3: "ES"}


def frame(number, lv, rv, time=None, judged=()):
    return content.FrameRow("cine.nii.gz", number, NAMED.get(number), time, rv, 100.0, lv, list(judged))


def of_class(drawing, class_):
    return [part for part in drawing.iter() if class_ in (part.get("class") or "").split()]


def segments(values):
    return [
        content.WallSegment(number, name, value, None, 50.0) for number, (name, value) in enumerate(zip(SEGMENTS, values, strict=True), 1)
    ]


def contrast(one, other):
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_an_interval_bar_holds_its_value_to_scale():
    bar = interval_bar(50.0, (25.0, 75.0), 100.0)
    span, tick = of_class(bar, "span")[0], of_class(bar, "tick")[0]
    assert (float(span.get("x")), float(span.get("width"))) == (2 + 116 / 4, 116 / 2)
    assert float(tick.get("x1")) == 60


def test_an_interval_beyond_the_line_is_cut_off():
    span = of_class(interval_bar(90.0, (80.0, 120.0), 100.0), "span")[0]
    assert float(span.get("x")) + float(span.get("width")) == pytest.approx(118)


@given(st.floats(1e-3, 1e6))
def test_limits_and_ticks_reach_the_largest_value_and_not_far_beyond(largest):
    assert largest * (1 - 1e-9) <= round_limit(largest) <= 1.7 * largest
    shown = ticks(largest)
    assert shown[0] == 0
    assert 3 <= len(shown) <= 6
    assert shown[-2] < largest <= shown[-1] * (1 + 1e-9)


def test_nothing_to_show_has_a_scale_all_the_same():
    assert (round_limit(0.0), ticks(0.0)) == (1.0, [0.0, 1.0])


def test_curves_run_over_time_with_ed_and_es_marked_where_they_are():
    frames = [frame(1, 100.0, 120.0, 0.0), frame(2, 70.0, 90.0, 100.0), frame(3, 40.0, 60.0, 400.0)]
    drawing = volume_curves(frames, [4, 5, 6])
    across = [float(x) for x in drawing.get("data-x").split()]
    assert (across[1] - across[0]) / (across[2] - across[0]) == pytest.approx(0.25, abs=1e-3)
    assert drawing.get("data-places") == "4 5 6"
    marks = {part.text: float(part.get("x")) for part in of_class(drawing, "named") if part.tag == "text"}
    assert marks == pytest.approx({"ED": across[0], "ES": across[2]})
    lv, rv = (
        [tuple(map(float, point.split(","))) for point in of_class(drawing, f"curve {name}"[6:])[0].get("points").split()]
        for name in ("lv", "rv")
    )
    assert all(one[1] > other[1] for one, other in zip(lv, rv, strict=True)), "less volume is drawn lower"
    assert lv[0][1] < lv[1][1] < lv[2][1]
    assert "ES: LV 40 ml, RV 60 ml" in drawing.get("aria-label")


@pytest.mark.parametrize("times", [(None, None, None), (0.0, 0.0, 10.0), (0.0, None, 20.0)])
def test_frames_without_rising_times_are_drawn_by_number(times):
    drawing = volume_curves([frame(number, 50.0, 50.0, time) for number, time in enumerate(times, 1)], [0, 1, 2])
    across = [float(x) for x in drawing.get("data-x").split()]
    assert across[1] - across[0] == pytest.approx(across[2] - across[1], abs=0.11)
    assert "frame" in [part.text for part in drawing.iter("text")]


@pytest.mark.parametrize(("lv", "rv"), [(50.0, 50.0), (50.0, 51.0), (51.0, 50.0), (90.0, 20.0)])
def test_names_of_curves_never_lie_on_each_other(lv, rv):
    drawing = volume_curves([frame(number, lv, rv) for number in (1, 2, 3)], [0, 1, 2])
    heights = {part.text: float(part.get("y")) for part in of_class(drawing, "ends")}
    assert abs(heights["LV"] - heights["RV"]) >= 13.9
    assert (heights["LV"] < heights["RV"]) == (lv > rv) or lv == rv


def test_the_strip_has_a_cell_for_each_verdict_and_counts_the_checks():
    good, bad = (content.EndSlice(1, "basal", verdict, share, []) for verdict, share in (("trust", 0.1), ("check", 0.8)))
    strip = verdict_strip([frame(1, 9.0, 9.0, judged=[good]), frame(2, 9.0, 9.0), frame(3, 9.0, 9.0, judged=[bad])], [5, 6, 7])
    cells = of_class(strip, "cell")
    assert [(cell.get("data-frame"), cell.get("data-slice"), "check" in cell.get("class")) for cell in cells] == [
        ("5", "0", False),
        ("7", "0", True),
    ]
    assert "slice 1: check in 1 of 3 frames" in strip.get("aria-label")


def test_without_verdicts_there_is_no_strip():
    assert verdict_strip([frame(1, 9.0, 9.0)], [0]) is None


def test_the_bulls_eye_has_anterior_on_top_and_the_septum_on_the_left():
    drawing = bulls_eye(segments(range(1, 17)), MEASURES[0])
    labels = [part for part in drawing.iter("text") if (part.get("class") or "").startswith("on-")]
    at = dict(zip(SEGMENTS, [(float(part.get("x")) - 150, float(part.get("y")) - 155) for part in labels], strict=True))
    assert [part.text for part in labels] == [f"{number}.0" for number in range(1, 17)]
    for name, (x, y) in at.items():
        side = name.split(" ", 1)[1]
        assert not side.startswith("anterior") or y < -20
        assert not side.startswith("inferior") or y > 20
        assert "sept" not in side or x < -20
        assert "lateral" not in side or x > 20
    for level, (far, near) in {"basal": (140, 100), "mid": (100, 62), "apical": (62, 26)}.items():
        assert all(near < (x * x + y * y) ** 0.5 < far for name, (x, y) in at.items() if name.startswith(level))


@given(st.lists(st.floats(-5, 40), min_size=16, max_size=16))
def test_figures_in_segments_can_be_read_on_any_colour(values):
    drawing = bulls_eye(segments(values), MEASURES[0])
    for shape, label in zip(
        of_class(drawing, "segment"), [p for p in drawing.iter("text") if (p.get("class") or "").startswith("on-")], strict=True
    ):
        assert contrast(shape.get("fill"), "#000000" if label.get("class") == "on-light" else "#ffffff") >= 4.5


def test_a_segment_that_is_not_known_is_grey_with_a_question_mark():
    drawing = bulls_eye(segments([None] * 16), MEASURES[0])
    assert len(of_class(drawing, "unknown")) == 16
    assert {part.text for part in of_class(drawing, "on-light")} == {"?"}
    assert "basal anterior —" in drawing.get("aria-label")


def test_fewer_segments_leave_gaps():
    assert len(of_class(bulls_eye(segments(range(16))[:3], MEASURES[0]), "segment")) == 3


@pytest.mark.parametrize("measure", MEASURES)
def test_scales_run_evenly_from_their_lowest_to_their_highest_value(measure):
    texts = [float(part.text.replace("−", "-")) for part in list(colour_scale(measure).iter("text"))[:5]]
    assert (texts[0], texts[-1]) == (measure.low, measure.high)
    assert len({round(later - earlier) for earlier, later in itertools.pairwise(texts)}) == 1


def test_rings_mark_the_rvs_own_phases_on_its_curve():
    frames = [content.FrameRow("c.nii", n, NAMED.get(n), None, rv, 9.0, 50.0, [], rv_phase=own) for n, rv, own in
              ((1, 80.0, None), (2, 90.0, "ED"), (3, 60.0, None), (4, 40.0, "ES"))]  # fmt: skip
    drawing = volume_curves(frames, [0, 1, 2, 3])
    across = [float(x) for x in drawing.get("data-x").split()]
    rings, names = ([part for part in of_class(drawing, "own") if part.tag == tag] for tag in ("circle", "text"))
    assert [float(ring.get("cx")) for ring in rings] == pytest.approx([across[1], across[3]], abs=0.1)
    assert [name.text for name in names] == ["RV ED", "RV ES"]
    assert float(rings[0].get("cy")) < float(rings[1].get("cy"))
    assert "frame 4: 40 ml" in drawing.get("aria-label")
