"""The page in a real browser: it works from a disk and off the network, by keyboard, mouse and touch, and can be read by everyone."""

from __future__ import annotations

import base64
import io
import os
import shutil
import time

import msgspec
import numpy as np
import pytest
from PIL import Image

from shortaxis.reports import content
from shortaxis.reports.page import write_page

try:
    from playwright.sync_api import sync_playwright
except ImportError:
    sync_playwright = None

REQUIRED = "SHORTAXIS_REQUIRE_BROWSER"
EVIL = "<img src=x onerror=alert(1)>"


def absent(reason):
    """Skip, or fail where a browser is required."""
    (pytest.fail if os.environ.get(REQUIRED) else pytest.skip)(reason)


@pytest.fixture(scope="module")
def browser():
    if sync_playwright is None:
        absent("no playwright: pip install playwright")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        absent("no Chromium on the PATH")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def pages(cine, two_frames, one_slice, tmp_path_factory):
    """Written pages by name."""
    folder = tmp_path_factory.mktemp("pages")
    report, pixels = cine
    repaired = msgspec.structs.replace(report, repairs=[content.RepairRow("cine.nii.gz", 1, 4, "RV", 10.0, 250.0)])
    evil = msgspec.structs.replace(
        two_frames[0], study=EVIL, images=[msgspec.structs.replace(two_frames[0].images[0], file=EVIL, notes=[EVIL])]
    )
    for name, study in (("cine", (repaired, pixels)), ("two", two_frames), ("one", one_slice), ("evil", (evil, two_frames[1]))):
        write_page(*study, folder / f"{name}.html")
    return {path.stem: path.as_uri() for path in folder.glob("*.html")}


def until(page, condition, seconds=10.0):
    """Wait for a condition in the page; Playwright's own way of waiting is stopped by the page's security policy."""
    deadline = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, f"never: {condition}"
        page.wait_for_timeout(30)


class Watched:
    """A page with all that it complains of and all that it asks for."""

    def __init__(self, context, address):
        self.page = context.new_page()
        self.complaints, self.requests = [], []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(address)
        until(self.page, "document.getElementById('scan').width > 300")


@pytest.fixture
def open_page(browser, pages):
    contexts = []

    def opened(name="cine", **options):
        contexts.append(browser.new_context(**{"viewport": {"width": 1100, "height": 700}} | options))
        return Watched(contexts[-1], pages[name])

    yield opened
    for context in contexts:
        context.close()


def shown(page, canvas="scan"):
    """What a canvas shows, uint8 (H, W, 4)."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    address = page.evaluate(f"document.getElementById('{canvas}').toDataURL()")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))).convert("RGBA"))


def place(page):
    return page.locator("#slice").input_value(), page.locator("#frame").input_value()


@pytest.mark.parametrize("name", ["cine", "two", "one", "evil"])
def test_a_page_opens_from_a_disk_in_silence_and_without_the_network(open_page, pages, name):
    watched = open_page(name)
    watched.page.wait_for_timeout(300)
    assert watched.complaints == []
    assert [url for url in watched.requests if not url.startswith("data:")] == [pages[name]]


def test_a_hostile_name_is_only_text(open_page):
    page = open_page("evil").page
    assert page.get_by_role("heading", level=1).inner_text() == EVIL
    assert page.locator("img").count() == 0


def test_keys_move_slice_and_frame(open_page):
    page = open_page().page
    assert place(page) == ("5", "1")
    first = shown(page)
    for key, then in (
        ("ArrowUp", ("4", "1")),
        ("ArrowDown", ("5", "1")),
        ("ArrowLeft", ("5", "12")),
        ("ArrowRight", ("5", "1")),
        ("End", ("5", "5")),
    ):
        page.keyboard.press(key)
        assert place(page) == then, key
    assert (shown(page) != first).any()
    page.keyboard.press("Home")
    assert place(page) == ("5", "1")
    assert (shown(page) == first).all()
    for _ in range(9):
        page.keyboard.press("ArrowUp")
    assert place(page) == ("1", "1")


def test_letters_can_be_kept_from_working_everywhere(open_page):
    page = open_page().page
    page.get_by_text("Keys, mouse and touch").click()
    page.get_by_label("Keys work wherever").uncheck()
    page.evaluate("document.activeElement.blur()")
    for key in ("c", "ArrowUp"):
        page.keyboard.press(key)
    assert page.get_by_label("Contours").is_checked()
    assert place(page) == ("5", "1")


def test_overlays_show_and_hide(open_page):
    page = open_page().page
    with_contours = shown(page, "marks")
    colours = {tuple(pixel) for pixel in with_contours[with_contours[..., 3] == 255][:, :3].tolist()}
    assert {(0x56, 0xB4, 0xE9), (0xF0, 0xE4, 0x42), (0xD5, 0x5E, 0x00)} <= colours
    page.keyboard.press("c")
    assert shown(page, "marks").max() == 0
    seen = []
    for key in ("f", "e", "s", "s", "w"):
        page.keyboard.press(key)
        page.wait_for_timeout(150)
        seen.append(shown(page, "marks"))
        assert all((seen[-1] != other).any() for other in seen[:-1]), key
        assert page.locator("#map-legend").is_hidden() == (key == "f")
    page.get_by_label("Map").select_option(label="none")
    page.get_by_label("Fill").uncheck()
    assert shown(page, "marks").max() == 0


def test_zoom_shows_the_heart_larger(open_page):
    page = open_page().page
    before = shown(page, "marks")[..., 3].any(axis=0).mean()
    page.keyboard.press("z")
    assert shown(page, "marks")[..., 3].any(axis=0).mean() > 1.2 * before


def test_the_cine_plays_at_the_pace_of_the_heart_and_pauses(open_page):
    page = open_page().page
    page.get_by_role("button", name="Play").click()
    until(page, "document.getElementById('frame').value > 2")
    page.get_by_role("button", name="Pause").click()
    stopped = place(page)
    page.wait_for_timeout(200)
    assert place(page) == stopped


def test_space_plays_and_pauses_wherever_nothing_else_is_chosen(open_page):
    page = open_page().page
    for pressed in ("Pause", "Play"):
        page.keyboard.press("Space")
        assert page.get_by_role("button", name=pressed).count() == 1


def test_wheel_and_drag_move(open_page):
    page = open_page().page
    stage = page.locator("#stage").bounding_box()
    middle = (stage["x"] + stage["width"] / 2, stage["y"] + stage["height"] / 2)
    page.mouse.move(*middle)
    page.mouse.wheel(0, 100)
    until(page, "document.getElementById('slice').value === '6'")
    page.mouse.down()
    page.mouse.move(middle[0] + 40, middle[1], steps=3)
    page.mouse.up()
    assert place(page) == ("6", "4")  # 40 px of 16 px each, rounded
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0], middle[1] - 40, steps=3)
    page.mouse.up()
    assert place(page) == ("4", "4")


def test_a_swipe_moves(open_page):
    page = open_page(viewport={"width": 390, "height": 844}, has_touch=True).page
    page.locator("#stage").scroll_into_view_if_needed()
    stage = page.locator("#stage").bounding_box()
    x, y = stage["x"] + 60, stage["y"] + 150
    touch = page.context.new_cdp_session(page)
    for kind, moved in (("touchStart", 0), ("touchMove", 20), ("touchMove", 48)):
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x + moved, "y": y}]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert place(page) == ("5", "4")


def test_pictures_cells_and_curves_lead_to_the_viewer(open_page):
    page = open_page().page
    page.locator(".mosaic").nth(1).get_by_role("link").nth(2).click()
    assert place(page) == ("3", "5")
    page.locator("rect.cell").first.click()
    assert place(page) == ("1", "1")
    chart = page.locator("#curves")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    page.mouse.move(box["x"] + 0.92 * box["width"], box["y"] + 50)
    assert page.locator("#curve-readout").inner_text().startswith("Frame 12, ")
    page.mouse.click(box["x"] + 0.92 * box["width"], box["y"] + 50)
    assert place(page) == ("1", "12")


def test_what_is_shown_is_said(open_page):
    page = open_page().page
    page.keyboard.press("ArrowUp")
    live = page.locator("[aria-live=polite]")
    until(page, "document.getElementById('spoken').textContent.includes('Slice 4')")
    assert "Slice 4 of 8, frame 1, end-diastole, 0 ms. Decided anew for consistency in time: RV 10 → 250 mm²." in live.inner_text()
    for _ in range(9):
        page.keyboard.press("ArrowDown")
    assert "Apical end slice: check, 71 %; the outline is blurred" in page.locator("#status").inner_text()


def test_controls_have_names(open_page):
    page = open_page().page
    for role, names in {
        "slider": ["Slice", "Frame"],
        "button": ["Play", "Previous slice", "Next slice", "Previous frame", "Next frame", "Go to end-diastole", "Go to end-systole"],
        "checkbox": ["Contours", "Fill", "Zoom on the heart"],
        "combobox": ["Map", "Speed"],
        "radio": ["Thickness at ED", "Thickness at ES", "Thickening"],
        "heading": ["Indices", "Flags", "Viewer", "End slices", "All slices"],
        "region": ["Indices", "Flags", "Viewer"],
    }.items():
        for name in names:
            assert page.get_by_role(role, name=name).count() >= 1, f"{role} {name}"
    for landmark in ("banner", "main", "contentinfo"):
        assert page.get_by_role(landmark).count() == 1
    unnamed = """() => [...document.querySelectorAll('input, select, button')]
        .filter((one) => !(one.labels?.length || one.ariaLabel || one.textContent.trim())).length"""
    assert page.evaluate(unnamed) == 0
    assert page.evaluate("[...document.querySelectorAll('svg[role=img], canvas[role=img]')].every((one) => one.ariaLabel)")


CONTRAST = """() => {
  const rgb = (colour) => { const [r, g, b, a = 1] = colour.match(/[\\d.]+/g).map(Number); return { c: [r, g, b], a }; };
  const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const light = ({ c }) => c.map((v) => linear(v / 255)).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (one) => {
    for (; one; one = one.parentElement) {
      const found = rgb(getComputedStyle(one).backgroundColor);
      if (found.a === 1) return found;
    }
    return rgb('rgb(255, 255, 255)');
  };
  const apart = 'script, style, noscript, title, .bulls-eye, #stage, option, :disabled, .unseen';
  const poor = [];
  let looked = 0;
  document.querySelectorAll('details').forEach((one) => { one.open = true; });
  for (const one of document.querySelectorAll('body *')) {
    const own = [...one.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
    if (!own || one.closest(apart) || !one.getClientRects().length) continue;
    const style = getComputedStyle(one);
    const [a, b] = [light(rgb(one.closest('svg') ? style.fill : style.color)), light(ground(one))].sort((x, y) => y - x);
    looked += 1;
    if ((a + 0.05) / (b + 0.05) < 4.5) poor.push(`${one.outerHTML.slice(0, 80)}`);
  }
  return [looked, poor];
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(open_page, scheme):
    looked, poor = open_page(color_scheme=scheme).page.evaluate(CONTRAST)
    assert looked > 150
    assert poor == []


@pytest.mark.parametrize("name", ["cine", "two", "one"])
def test_a_phone_does_not_scroll_sideways(open_page, name):
    page = open_page(name, viewport={"width": 390, "height": 844}).page
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_focus_can_be_seen(open_page):
    page = open_page().page
    page.keyboard.press("Tab")
    assert page.locator(".skip").bounding_box()["x"] >= 0
    page.locator("#play").focus()
    page.keyboard.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_paper_has_everything_but_the_controls(open_page):
    page = open_page(color_scheme="dark").page
    page.emulate_media(media="print")
    for control in ("#viewer", "#play", ".choices", ".skip"):
        assert page.locator(control).first.is_hidden(), control
    assert page.locator(".measure:visible").count() == 3
    assert page.locator(".mosaic svg:visible").count() == 16
    assert page.get_by_text("sum over slices of area × slice distance").first.is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    pdf = page.pdf(prefer_css_page_size=True)
    assert 3 <= pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ") <= 8


def test_a_single_slice_leaves_no_control_without_effect(open_page):
    page = open_page("one").page
    for control in ("#slice", "#frame", "#play", "#to-ed", "#slice-up"):
        assert page.locator(control).is_disabled(), control
    picture = Image.open(io.BytesIO(page.locator("#stage").screenshot()))
    assert np.ptp(np.asarray(picture.convert("L"))) > 100
