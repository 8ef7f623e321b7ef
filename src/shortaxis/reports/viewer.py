"""What the viewer of a page is fed with: sheets of images, outlines, and what is to be said of each frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import numpy as np

from shortaxis.reports.framing import Window, heart_window
from shortaxis.reports.outlines import outline
from shortaxis.reports.picture import OUTLINES
from shortaxis.reports.sprites import colours, grey_range, map_sheet, scan_sheet, to_grey, to_levels

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from shortaxis.reports.content import FrameRow, RepairRow, ReportPixels, StudyReport
    from shortaxis.reports.sprites import Sheet

MARGIN_MM: Final = 30.0
"""Room around the heart that the viewer holds."""
CLOSE_MARGIN_MM: Final = 8.0
"""Room around the heart when it is zoomed on, and in the small pictures."""

_LN_4: Final = float(np.log(4))
_EVEN: Final = 1e-4
"""Distance of ω̄ from an even share below which all members weigh the same: what is left is rounding, of which there is no map."""
_LEAST_REACH: Final = 0.01
"""Least half of the scale of ω̄, so that next to nothing looks like next to nothing."""


class Colouring(NamedTuple):
    """How a map is coloured.

    Attributes:
        palette: Name of the colours, of Matplotlib: perceptually even and readable with every kind of colour vision.
        opacity: From the share of the range (0 to 1) to the opacity.
    """

    palette: str
    opacity: Callable[[NDArray[np.float64]], NDArray[np.float64]]


COLOURINGS: Final = {
    "entropy": Colouring("magma", lambda share: np.clip(share * 6, 0, 0.85)),
    "sigma": Colouring("viridis", lambda share: np.full_like(share, 0.6)),
    # An even share, in the middle, is clear: what shows is where one member weighs more than the others.
    "omega": Colouring("cividis", lambda share: 0.85 * np.abs(2 * share - 1) ** 0.5),
}


@dataclass(frozen=True, eq=False)
class Pictures:
    """The pixels of a report as they are shown, cut to the heart.

    Attributes:
        window: The part of the image that is kept.
        close: The part to zoom on, inside it.
        grey: uint8 (T, D, h, w), the scan.
        outlines: For each frame and slice the paths of `OUTLINES`, in half pixels of the window.
        pixel_mm: Height and width of a pixel.
    """

    window: Window
    close: Window
    grey: NDArray[np.uint8]
    outlines: list[list[list[str]]]
    pixel_mm: tuple[float, float]

    @property
    def close_ratio(self) -> float:
        """Height of the part to zoom on over its width, in mm."""
        return self.close.height * self.pixel_mm[0] / (self.close.width * self.pixel_mm[1])


def make_pictures(report: StudyReport, pixels: ReportPixels) -> Pictures:
    """Cut a scan to the heart and trace its labels; the frames of one file share their black and white."""
    window, close = (heart_window(pixels.labels, pixels.spacing, margin) for margin in (MARGIN_MM, CLOSE_MARGIN_MM))
    cut = pixels.image[:, :, window.rows, window.columns]
    grey = np.empty(cut.shape, np.uint8)
    for frames in files_of(report.frames).values():
        low, high = grey_range(cut[frames[0] : frames[-1] + 1])
        for frame in frames:
            grey[frame] = to_grey(cut[frame], low, high)
    labels = pixels.labels[:, :, window.rows, window.columns]
    outlines = [[[outline(np.isin(plane, inside)) for _, inside, _ in OUTLINES] for plane in frame] for frame in labels]
    return Pictures(window, close, grey, outlines, (pixels.spacing[1], pixels.spacing[2]))


def files_of(frames: list[FrameRow]) -> dict[str, list[int]]:
    """Which frames, by their place in the report, come from which file."""
    files: dict[str, list[int]] = {}
    for place, frame in enumerate(frames):
        files.setdefault(frame.image, []).append(place)
    return files


def cine_of(frames: list[FrameRow]) -> list[int]:
    """The frames, by their place in the report, that make up a cine: the longest run of at least three from one file; else none."""
    longest = max(files_of(frames).values(), key=len)
    return longest if len(longest) > 2 else []


def shown_frames(report: StudyReport) -> list[int]:
    """The frames that the pictures on paper are of, by their place in the report: ED and ES as far as they are known, else the first."""
    named = [place for phase in ("ED", "ES") for place, frame in enumerate(report.frames) if frame.phase == phase]
    return named or [0]


def viewer_data(report: StudyReport, pixels: ReportPixels, pictures: Pictures) -> dict[str, Any]:
    """What `viewer.js` reads, as plain JSON types.

    Args:
        report: What the report says.
        pixels: What its viewer shows.
        pictures: The same, cut and traced.
    """
    window, close = pictures.window, pictures.close
    top, left = close.rows.start - window.rows.start, close.columns.start - window.columns.start
    return {
        "slices": pixels.image.shape[1],
        "basalFirst": pixels.basal_first,
        "size": [window.width, window.height],
        "close": [left, top, close.width, close.height],
        "pixelMm": [pictures.pixel_mm[1], pictures.pixel_mm[0]],
        "frames": [_frame(frame, report.repairs) for frame in report.frames],
        "cine": cine_of(report.frames),
        "colours": [colour for _, _, colour in OUTLINES],
        "outlines": pictures.outlines,
        "scan": [_sheet(scan_sheet(pictures.grey[:, place])) for place in range(pixels.image.shape[1])],
        "maps": _maps(pixels, window),
    }


def _frame(frame: FrameRow, repairs: list[RepairRow]) -> dict[str, Any]:
    end_slices = {str(judged.slice - 1): [judged.verdict, judged.level, judged.probability, judged.reasons] for judged in frame.end_slices}
    anew: dict[str, list[str]] = {}
    for repair in repairs:
        if (repair.image, repair.frame) == (frame.image, frame.frame):
            text = f"{repair.structure} {repair.before_mm2:.0f} → {repair.after_mm2:.0f} mm²"
            anew.setdefault(str(repair.slice - 1), []).append(text)
    return {
        "number": frame.frame,
        "phase": frame.phase,
        "rvPhase": frame.rv_phase,
        "ms": frame.time_ms,
        "ml": [frame.lv_ml, frame.rv_ml, frame.myo_ml],
        "endSlices": end_slices,
        "anew": anew,
    }


def _maps(pixels: ReportPixels, window: Window) -> list[dict[str, Any]]:
    maps = []
    if pixels.entropy is not None:
        share = pixels.entropy[:, :, window.rows, window.columns]
        high = int(share.max()) or 1
        sheets = [_coloured("entropy", share[:, place], 0, high) for place in range(share.shape[1])]
        text = f"Entropy of the pooled probabilities, 0 to {high / 255 * _LN_4:.2f} nat (ln 4 = {_LN_4:.2f} is the most there can be)"
        maps.append(_map("entropy", "Entropy", text, sheets, ("sure", "unsure"), ("0", f"{high / 255 * _LN_4:.2f} nat")))
    if pixels.sigma is not None:
        maps += _member_maps("sigma", pixels.sigma[..., window.rows, window.columns])
    if pixels.omega is not None:
        maps += _member_maps("omega", pixels.omega[..., window.rows, window.columns])
    return maps


def _member_maps(kind: Literal["sigma", "omega"], values: NDArray[np.float32]) -> list[dict[str, Any]]:
    """One map a member of (T, N, H, W), or of (T, N, D, H, W) a sheet for each slice; all members have the same scale."""
    where = "the same for all slices" if values.ndim == 4 else "slice by slice"
    members = values.shape[1]
    low, high = float(values.min()), float(values.max())
    if kind == "omega":
        even = 1 / members
        reach = max(high - even, even - low)
        if reach < _EVEN:
            return []
        reach = max(reach, _LEAST_REACH)
        low, high = even - reach, even + reach
    maps = []
    for member in range(members):
        if kind == "sigma":
            name, ends = f"σ of member {member + 1}", ("torn", "decided")
            text = f"{name}: how decided it is (Eq. 3), {where}"
        else:
            name, ends = f"Weight ω̄ of member {member + 1}", ("less", "more")
            text = f"{name}: how much it weighs (Eq. 3), {where}; clear where all weigh the same"
        shown = [values[:, member]] if values.ndim == 4 else np.moveaxis(values[:, member], 1, 0)
        sheets = [_coloured(kind, frames, low, high) for frames in shown]
        maps.append(_map(kind, name, text, sheets, ends, (f"{low:.3f}", f"{high:.3f}")))
    return maps


def _map(kind: str, name: str, text: str, sheets: list[dict[str, Any]], ends: tuple[str, str], limits: tuple[str, str]) -> dict[str, Any]:
    shown = [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in colours(COLOURINGS[kind].palette)[::6].tolist()]
    low, high = (f"{limit} ({end})" for limit, end in zip(limits, ends, strict=True))
    return {"kind": kind, "name": name, "text": text, "sheets": sheets, "colours": shown, "low": low, "high": high}


def _coloured(kind: str, frames: NDArray[Any], low: float, high: float) -> dict[str, Any]:
    palette, opacity = COLOURINGS[kind]
    levels = to_levels(frames, low, high)
    return _sheet(map_sheet(levels, colours(palette), opacity(np.linspace(0, 1, len(colours(palette)))).tolist()))


def _sheet(sheet: Sheet) -> dict[str, Any]:
    return {"uri": sheet.uri, "across": sheet.across, "tile": sheet.tile, "pitch": sheet.pitch}
