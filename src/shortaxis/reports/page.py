"""`report.html`: one file that a reader opens from a disk, with all that it needs inside and nothing fetched from anywhere."""

from __future__ import annotations

import base64
import hashlib
import json
from importlib import resources
from string import Template
from typing import TYPE_CHECKING, Any, Final

from shortaxis.errors import InputError
from shortaxis.io.atomic import atomic_path
from shortaxis.reports import detail, summary
from shortaxis.reports.markup import element, write
from shortaxis.reports.viewer import make_pictures, viewer_data

if TYPE_CHECKING:
    from pathlib import Path

    from shortaxis.reports.content import ReportPixels, StudyReport

_PARTS: Final = resources.files("shortaxis") / "reports" / "page"
_SCRIPTS: Final = ("viewer.js", "links.js")
# Inside <script> a browser looks for tags even in the strings of JSON, and old ones take these two for ends of lines.
_UNSAFE_IN_SCRIPT: Final = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}


def write_page(report: StudyReport, pixels: ReportPixels, path: Path | str) -> None:
    """Write the page of a study. The same report and pixels give the same bytes.

    Args:
        report: What the page says.
        pixels: What its viewer shows.
        path: The `.html` file, written whole or not at all.

    Raises:
        InputError: The file cannot be written, or report and pixels differ in their number of frames or slices.
    """
    text = render_page(report, pixels)
    with atomic_path(path) as temporary:
        # A file name may hold bytes that are no text; they are shown as question marks.
        temporary.write_bytes(text.encode("utf-8", "replace"))


def render_page(report: StudyReport, pixels: ReportPixels) -> str:
    """Make the page of a study; see `write_page`."""
    _refuse_mismatch(report, pixels)
    pictures = make_pictures(report, pixels)
    style, script = _part("page.css"), "".join(map(_part, _SCRIPTS))
    policy = f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}; base-uri 'none'; form-action 'none'"
    return Template(_part("page.html")).substitute(
        policy=policy,
        title=write(f"{report.study} – shortaxis report"),
        style=style,
        script=script,
        header=write(*summary.header(report)),
        indices=write(*summary.ventricles(report.indices)),
        flags=write(*summary.flags(report)),
        curves=write(*detail.curves(report)),
        segments=write(*detail.segments(report)),
        end_slices=write(*detail.end_slices(report, pictures)),
        mosaic=write(*detail.mosaic(report, pictures, basal_first=pixels.basal_first)),
        provenance=write(*detail.provenance(report)),
        disclaimer=write(element("p", summary.DISCLAIMER)),
        data=_json(viewer_data(report, pixels, pictures)),
    )


def _part(name: str) -> str:
    return (_PARTS / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """The name by which a content security policy allows one style or script and no other."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=True, separators=(",", ":")).translate(_UNSAFE_IN_SCRIPT)


def _refuse_mismatch(report: StudyReport, pixels: ReportPixels) -> None:
    if len(report.frames) != len(pixels.image) or pixels.image.shape != pixels.labels.shape:
        msg = (
            f"{report.study}: the report has {len(report.frames)} frames, but the scan is {pixels.image.shape} and the labels are "
            f"{pixels.labels.shape} (frames, slices, rows, columns); give those of one study"
        )
        raise InputError(msg)
