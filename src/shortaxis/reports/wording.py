"""Numbers and names as a reader of a report sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from shortaxis.reports.content import FrameRow

UNKNOWN: Final = "—"

_DECIMALS: Final = {"m²": 2, "l/min": 1, "l/min/m²": 1, "mm": 1}
"""Digits after the point; volumes, masses, shares and rates have none."""

_NAMES: Final = {
    "edv": "end-diastolic volume (EDV)",
    "esv": "end-systolic volume (ESV)",
    "sv": "stroke volume (SV)",
    "ef": "ejection fraction (EF)",
    "co": "cardiac output (CO)",
    "mass": "mass",
    "per": "peak ejection rate",
    "pfr": "peak filling rate",
}
_OTHERS: Final = {
    "heart_rate": "heart rate",
    "bsa": "body surface area (BSA)",
    "sv_difference": "stroke volumes, LV − RV",
    "sv_difference_percent": "stroke volumes, LV − RV, of their mean",
    "ed_frame": "end-diastolic frame",
    "es_frame": "end-systolic frame",
    "rv_ed_frame": "RV's own end-diastolic frame",
    "rv_es_frame": "RV's own end-systolic frame",
}
_PHASES: Final = {"ED": "end-diastole", "ES": "end-systole"}


def number(value: float, unit: str) -> str:
    """Write a value with as many digits as its unit deserves, and a true minus sign.

    Examples:
        >>> number(-3.2, "ml"), number(1.849, "m²"), number(-0.2, "%")
        ('−3', '1.85', '0')
    """
    digits = _DECIMALS.get(unit, 0)
    rounded = round(value, digits)
    return f"{rounded or 0.0:.{digits}f}".replace("-", "−")


def with_unit(value: float | None, unit: str) -> str:
    """Write a value and its unit, or a dash."""
    return UNKNOWN if value is None else f"{number(value, unit)} {unit}".rstrip()


def interval_text(interval: tuple[float, float], unit: str) -> str:
    """Write an interval.

    Examples:
        >>> interval_text((51.8, 63.6), "%")
        '52 to 64'
    """
    low, high = (number(end, unit) for end in interval)
    return f"{low} to {high}"


def index_name(name: str) -> str:
    """Say in words what an index is called.

    Examples:
        >>> index_name("lv_edv_indexed"), index_name("rv_ef_own"), index_name("heart_rate"), index_name("some_thing")
        ('LV end-diastolic volume (EDV) ÷ BSA', 'RV ejection fraction (EF) at its own phases', 'heart rate', 'some thing')
    """
    absolute = name.removesuffix("_indexed")
    short = absolute.removesuffix("_own")
    by = " at its own phases" * (short != absolute) + " ÷ BSA" * (absolute != name)
    side, _, kind = short.partition("_")
    if side in {"lv", "rv"} and kind in _NAMES:
        return f"{side.upper()} {_NAMES[kind]}{by}"
    return _OTHERS.get(short, short.replace("_", " ")) + by


def plural(count: int, singular: str, several: str | None = None) -> str:
    """Write a count with its noun.

    Examples:
        >>> plural(1, "slice"), plural(3, "slice"), plural(2, "study", "studies")
        ('1 slice', '3 slices', '2 studies')
    """
    return f"{count} {singular if count == 1 else several or singular + 's'}"


def frame_name(frame: FrameRow) -> str:
    """Say which frame it is, such as `End-diastole, frame 1`."""
    place = f"frame {frame.frame}"
    return f"{_PHASES[frame.phase].capitalize()}, {place}" if frame.phase else place.capitalize()
