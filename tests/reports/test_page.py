from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import msgspec
import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from shortaxis.errors import InputError
from shortaxis.labels import Structure
from shortaxis.reports import content
from shortaxis.reports.framing import heart_window
from shortaxis.reports.outlines import outline
from shortaxis.reports.page import render_page, write_page
from shortaxis.reports.viewer import MARGIN_MM

EVIL = "<img src=x onerror=alert(1)>'\"&</script><script>alert(2)</script>\u2028$title"
change = msgspec.structs.replace


class Page(HTMLParser):
    """What a browser makes of a page: elements with their attributes, and the text within each."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self._open = [], {}, []
        self.raw = text
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in {"meta", "link", "input", "br"}:
            self._open.append(dict(attributes).get("id") or tag)

    def handle_endtag(self, tag):
        if self._open:
            self._open.pop()

    def handle_data(self, data):
        for name in set(self._open):
            self.texts[name] = self.texts.get(name, "") + data

    def all(self, tag, class_=None):
        return [found for name, found in self.elements if name == tag and (class_ is None or class_ in (found.get("class") or "").split())]

    def said(self, place="main"):
        """Its text, with single spaces."""
        return " ".join(self.texts.get(place, "").split())

    @property
    def data(self):
        return json.loads(self.texts["viewer-data"])


def page_of(report, pixels, **changes):
    return Page(render_page(change(report, **changes), pixels))


@pytest.fixture(scope="module")
def cine_page(cine):
    return page_of(*cine)


def tile_of(data, kind, frame, index):
    sheet = data[kind][index]
    image = Image.open(io.BytesIO(base64.b64decode(sheet["uri"].partition("base64,")[2])))
    left, top = frame % sheet["across"] * sheet["pitch"][0], frame // sheet["across"] * sheet["pitch"][1]
    return np.asarray(image.crop((left, top, left + sheet["tile"][0], top + sheet["tile"][1])), int)


def test_the_same_report_gives_the_same_bytes(two_frames, tmp_path):
    for name in ("one.html", "other.html"):
        write_page(*two_frames, tmp_path / name)
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "other.html").read_bytes()


def test_nothing_is_fetched_and_only_its_own_style_and_scripts_run(cine_page):
    policy = next(found["content"] for found in cine_page.all("meta") if found.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    for kind, name in (("style-src", "style"), ("script-src", "script")):
        inner = [part.partition(f"</{name}>")[0] for part in cine_page.raw.split(f"<{name}>")[1:]]
        digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in inner]
        assert rules.pop(kind) == " ".join(f"'sha256-{digest}'" for digest in digests)
    assert rules == {"default-src": "'none'", "img-src": "data:", "base-uri": "'none'", "form-action": "'none'"}
    targets = [found[name] for _, found in cine_page.elements for name in ("src", "href", "xlink:href") if name in found]
    assert targets
    assert all(target.startswith(("#", "data:")) for target in targets)


def test_no_element_carries_style_or_handlers_which_the_policy_would_block(cine_page):
    assert not [name for _, found in cine_page.elements for name in found if name == "style" or name.startswith("on")]


def test_every_anchor_leads_to_an_element_and_ids_are_single(cine_page):
    ids = [found["id"] for _, found in cine_page.elements if "id" in found]
    assert len(ids) == len(set(ids))
    assert {found["href"][1:] for tag, found in cine_page.elements if found.get("href", "").startswith("#")} <= set(ids)


def test_no_text_can_become_markup(two_frames):
    report, pixels = two_frames
    judged = content.EndSlice(1, "basal", "check", 0.7, [EVIL])
    frames = [change(frame, image=EVIL, end_slices=[judged]) for frame in report.frames]
    evil = change(
        report,
        study=EVIL,
        patient=content.Patient(identifier=EVIL, name=EVIL, sex="F"),
        images=[change(report.images[0], file=EVIL, notes=[EVIL])],
        indices={EVIL: content.IndexRow(None, EVIL, EVIL, EVIL, reason=EVIL), "lv_ef": content.IndexRow(50.0, "%", EVIL, EVIL)},
        segments=[],
        segments_reason=EVIL,
        frames=frames,
        flags=[content.Flag(EVIL, "warning", EVIL, EVIL, 1.0, 2.0, EVIL)],
        provenance=change(report.provenance, command=EVIL, model=EVIL, device=EVIL, options={EVIL: EVIL}),
        repairs=[content.RepairRow(EVIL, 1, 1, "RV", 10.0, 20.0)],
    )
    page, harmless = Page(render_page(evil, pixels)), page_of(report, pixels)
    assert not page.all("img")
    assert len(page.all("script")) == len(harmless.all("script")) == 2
    assert "alert(" not in page.texts["script"]
    assert page.texts["h1"] == EVIL
    assert page.texts["title"].startswith(f"{EVIL} – shortaxis report")
    assert page.data["frames"][0]["endSlices"]["0"][3] == [EVIL]


def test_a_name_that_is_no_text_is_written_all_the_same(two_frames, tmp_path):
    report, pixels = two_frames
    write_page(change(report, study="scan\udcff"), pixels, tmp_path / "page.html")
    assert "<h1>scan?</h1>" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_it_says_what_was_scanned_and_that_it_is_for_research(cine_page):
    head = cine_page.said("header")
    assert re.search("cine.nii.gz.*12 phases × 8 slices.*80 × 80.*2.00 × 2.00 mm.*9.0 mm", head)
    for place in ("header", "footer"):
        assert "Research use only. Not a medical device" in cine_page.said(place)


def test_a_patient_is_named_only_where_the_report_does(two_frames):
    report, pixels = two_frames
    named = page_of(report, pixels, patient=content.Patient("P7", "Doe^Jane", "1960-02-29", "F", "2020-01-02"))
    assert "Doe^Jane · ID P7 · born 1960-02-29 · F · scanned 2020-01-02" in named.said("header")
    assert "born" not in page_of(report, pixels).said("header")


def test_a_lone_slice_without_phases_has_a_page_that_says_so(one_slice):
    report, pixels = one_slice
    page = page_of(report, pixels)
    said = page.said()
    assert "EF, EDV, SV, mass, CO: " in said
    assert "Too few frames for a curve" in said
    assert "Not known: 1 slice has a closed ring." in said
    assert "ED and ES are not both known" in page.said("header")
    assert (len(page.data["frames"]), page.data["slices"], page.data["cine"]) == (1, 1, [])
    assert [found["aria-label"] for found in page.all("svg", "picture") if "aria-label" in found] == ["Frame 1, slice 1"]


def test_frames_in_files_of_their_own_have_no_curve_and_no_verdicts_without_a_calibration(two_frames):
    page = page_of(*two_frames)
    assert page.data["cine"] == []
    assert not page.all("svg", "chart")
    assert "the model has no calibration" in page.said()
    assert "no flags" in page.said("header")
    assert "end slices not judged" in page.said("header")


@pytest.mark.parametrize("depth", [1, 2, 3, 20])
def test_every_slice_of_ed_and_es_has_its_picture(two_frames, depth):
    report, pixels = two_frames
    pick = np.arange(depth) % pixels.image.shape[1]
    fewer = content.ReportPixels(pixels.image[:, pick], pixels.labels[:, pick], pixels.spacing, basal_first=False)
    page = page_of(report, fewer)
    labels = [found["aria-label"] for found in page.all("svg", "picture") if "aria-label" in found]
    assert labels == [f"{name}, slice {index + 1}" for name in ("End-diastole, frame 1", "End-systole, frame 2") for index in range(depth)]
    assert page.data["maps"] == []


def test_the_risk_of_each_slice_stands_below_its_picture(two_frames):
    report, pixels = two_frames
    depth = pixels.image.shape[1]
    assert Page(render_page(report, pixels)).all("span", "risk") == []
    frames = [change(frame, slice_risk=[0.01 * place + 0.2 * index for place in range(depth)]) for index, frame in enumerate(report.frames)]
    said = Page(render_page(change(report, frames=frames), pixels)).said("main").replace("\N{NO-BREAK SPACE}", " ")
    for percent in (0, depth - 1, 20, 20 + depth - 1):
        assert f"risk {percent} %" in said
    assert "The risk below a slice" in said


def test_what_a_reader_must_know_of_the_model_stands_at_the_top(two_frames):
    report, pixels = two_frames
    notice = "made with a published mistake"
    noticed = change(report, provenance=change(report.provenance, notice=notice))
    page = render_page(noticed, pixels)
    assert page.index(notice) < page.index("Research use only")
    assert notice not in render_page(report, pixels)


def test_a_heart_without_a_right_ventricle_has_a_page(two_frames):
    report, pixels = two_frames
    labels = np.where(pixels.labels == Structure.RV, 0, pixels.labels).astype(np.uint8)
    indices = {name: row for name, row in report.indices.items() if not name.startswith("rv_")}
    page = page_of(report, replace(pixels, labels=labels), indices=indices, frames=[change(frame, rv_ml=0.0) for frame in report.frames])
    assert "Right ventricle" not in page.said()
    assert not any(paths[0] for frame in page.data["outlines"] for paths in frame)


def test_nothing_labelled_shows_the_whole_image(two_frames):
    report, pixels = two_frames
    page = page_of(report, replace(pixels, labels=np.zeros_like(pixels.labels)))
    assert page.data["size"] == page.data["close"][2:] == [80, 80]
    assert not any(any(paths) for frame in page.data["outlines"] for paths in frame)


def test_the_viewer_holds_the_scan_and_the_outlines_of_its_labels(cine, cine_page):
    _, pixels = cine
    data = cine_page.data
    window = heart_window(pixels.labels, pixels.spacing, MARGIN_MM)
    cut = pixels.image[:, :, window.rows, window.columns]
    low, high = np.percentile(cut, (1, 99.5))
    for frame, index in ((0, 3), (11, 7)):
        expected = np.clip(255 * (cut[frame, index] - low) / (high - low), 0, 255)
        assert np.abs(tile_of(data, "scan", frame, index) - expected).mean() < 3
        labels = pixels.labels[frame, index, window.rows, window.columns]
        masks = [labels == Structure.RV, labels >= Structure.MYO, labels == Structure.LV]
        assert data["outlines"][frame][index] == [outline(mask) for mask in masks]
    assert [frame["ms"] for frame in data["frames"]] == pytest.approx([frame.time_ms for frame in cine[0].frames])


def test_files_of_different_brightness_are_shown_alike(two_frames):
    report, pixels = two_frames
    image = pixels.image[[0, 0]] * np.array([1, 40], np.float32)[:, None, None, None]
    data = page_of(report, replace(pixels, image=image)).data
    assert np.abs(tile_of(data, "scan", 0, 2) - tile_of(data, "scan", 1, 2)).max() <= 2


def test_maps_are_told_with_their_scale(cine_page):
    maps = cine_page.data["maps"]
    assert [found["name"] for found in maps] == [
        "Entropy",
        *(f"{symbol} of member {member}" for symbol in ("σ", "Weight ω̄") for member in (1, 2)),
    ]
    assert [len(found["sheets"]) for found in maps] == [8, 1, 1, 1, 1]
    even = [sum(float(found[end].split()[0]) for end in ("low", "high")) / 2 for found in maps[3:]]
    assert even == pytest.approx([0.5, 0.5], abs=1e-3)


def test_weights_that_are_even_but_for_rounding_have_no_map_and_hardly_uneven_ones_a_faint_one(two_frames):
    report, pixels = two_frames

    def weights(first, members=2):
        omega = np.full((pixels.omega.shape[0], members, *pixels.omega.shape[2:]), 1 / members, np.float32)
        omega[:, 0, 40:] = first
        found = page_of(report, replace(pixels, sigma=None, omega=omega)).data["maps"]
        return [(shown["low"], shown["high"]) for shown in found if shown["kind"] == "omega"]

    assert weights(0.49999994) == weights(1.0, members=1) == []
    assert weights(0.501) == [("0.490 (less)", "0.510 (more)")] * 2
    assert weights(0.6) == [("0.400 (less)", "0.600 (more)")] * 2


def test_maps_of_each_slice_have_a_sheet_for_each(two_frames):
    report, pixels = two_frames
    depth = pixels.image.shape[1]
    deep = np.repeat(pixels.sigma[:, :, None], depth, axis=2)
    deep[:, :, 1] = 0
    shown = [found for found in page_of(report, replace(pixels, sigma=deep, omega=None)).data["maps"] if found["kind"] == "sigma"]
    assert [len(found["sheets"]) for found in shown] == [depth, depth]
    assert shown[0]["sheets"][0] == shown[0]["sheets"][2] != shown[0]["sheets"][1]


def test_a_report_of_other_frames_than_its_pixels_is_refused(cine, tmp_path):
    report, pixels = cine
    with pytest.raises(InputError, match="11 frames, but the scan is"):
        write_page(change(report, frames=report.frames[1:]), pixels, tmp_path / "page.html")
    assert not list(tmp_path.iterdir())


def test_a_page_that_cannot_be_written_is_an_input_error(two_frames, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_page(*two_frames, tmp_path / "file" / "page.html")


@pytest.mark.slow
def test_a_long_cine_gives_a_page_of_less_than_eight_megabytes(cine, tmp_path):
    report, _ = cine
    rng = np.random.default_rng(0)
    shapes = gaussian_filter(rng.normal(size=(256, 256)), 3) * 15
    image = (shapes + 0.05 * rng.normal(size=(30, 10, 256, 256))).astype(np.float32)
    labels = np.zeros(image.shape, np.uint8)
    labels[:, :, 80:180, 80:180] = Structure.LV
    frames = [change(report.frames[0], frame=place + 1, phase=None) for place in range(30)]
    entropy = np.broadcast_to(np.clip(40 * np.abs(shapes), 0, 255).astype(np.uint8), image.shape)
    pixels = content.ReportPixels(image, labels, (8.0, 1.4, 1.4), entropy=entropy)
    write_page(change(report, frames=frames), pixels, tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size < 8e6
