"""Values of DICOM tags as plain numbers and text; one that does not parse counts as absent."""

from __future__ import annotations

import math
from datetime import date
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydicom import Dataset

_TEXT: Final = frozenset({"CS", "DA", "DS", "DT", "IS", "LO", "SH", "TM", "UI"})
"""Value representations that are stored as text."""


def flat(dataset: Dataset, wanted: Mapping[int, str]) -> dict[str, Any]:
    """Give the wanted values by keyword.

    Args:
        dataset: What to look into; its sequences stay closed.
        wanted: Keyword of each wanted tag.
    """
    found: dict[str, Any] = {}
    for tag in dataset.keys() & wanted.keys():
        try:
            found[wanted[tag]] = _value(dataset, tag)
        except Exception:  # noqa: S112 (a damaged value may fail in any way)
            continue
    return found


def _value(dataset: Dataset, tag: int) -> Any:
    """Give a value, text and numbers in text without pydicom's parsing: that takes most of the time of a scan."""
    element = dataset.get_item(tag)
    stored, representation = getattr(element, "value", None), getattr(element, "VR", None)
    if representation in {None, "UN"}:  # implicit, or written by an archive that did not know the tag
        from pydicom.datadict import dictionary_VR  # noqa: PLC0415 (an optional package)

        representation = dictionary_VR(tag)
    if isinstance(stored, bytes) and representation == "US" and len(stored) == 2:
        return int.from_bytes(stored, "little" if getattr(element, "is_little_endian", True) else "big")
    if not isinstance(stored, bytes) or representation not in _TEXT:
        return dataset[tag].value
    parts = [part.strip(" \0") for part in stored.decode("latin-1").split("\\")]
    return parts[0] if len(parts) == 1 else parts


def flat_groups(group: Dataset, wanted: Mapping[int, str]) -> dict[str, Any]:
    """Give the wanted values of the functional groups of a frame: each group is a sequence of one item."""
    found: dict[str, Any] = {}
    for element in group:
        if element.VR == "SQ" and len(element.value):
            found |= flat(element.value[0], wanted)
    return found


def texts(value: Any) -> Sequence[str]:
    """Texts of an attribute of any multiplicity."""
    return [] if value is None else [value] if isinstance(value, str) else [str(one) for one in value]


def numbers(value: Any, count: int) -> tuple[float, ...] | None:
    """The numbers of an attribute where it holds just so many and all are finite."""
    found = None if value is None or isinstance(value, str) else tuple(map(number, many(value)))
    return None if found is None or len(found) != count or None in found else tuple(one for one in found if one is not None)


def numbers_of(value: Any) -> tuple[float, ...]:
    """The finite numbers of an attribute of any multiplicity."""
    return tuple(found for one in many(value) if (found := number(one)) is not None)


def many(value: Any) -> Sequence[Any]:
    """Values of an attribute of any multiplicity."""
    return [] if value is None else list(value) if hasattr(value, "__iter__") and not isinstance(value, str) else [value]


def number(value: Any) -> float | None:
    """A finite number, or None; a comma is read as the decimal point that DICOM wants."""
    try:
        found = float(value.replace(",", ".") if isinstance(value, str) else value)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None


def whole(value: Any) -> int | None:
    """A whole number, or None."""
    found = number(value)
    return None if found is None else int(found)


def days(value: Any) -> float | None:
    """Days from any fixed day to a DICOM date YYYYMMDD; a day that is none, such as 20120000, still lies before the next one."""
    text = str(value or "").replace(".", "").strip()
    if len(text) != 8 or not text.isdigit():
        return None
    year, month, day = int(text[:4]), int(text[4:6]), int(text[6:])
    try:
        return float(date(year, month, day).toordinal())
    except ValueError:
        return 365.25 * (year - 1) + 30.5 * max(0, month - 1) + day


def seconds(value: Any) -> float | None:
    """Seconds since midnight of a DICOM time HHMMSS.FFFFFF, of which the end may be missing and an offset from UTC may follow."""
    text = str(value or "").replace(":", "").split("+")[0].split("-")[0].strip()
    clock, _, fraction = text.partition(".")
    if not clock.isdigit() or len(clock) not in {2, 4, 6} or not (fraction or "0").isdigit():
        return None
    hours, minutes, full = (int(clock[start : start + 2] or 0) for start in (0, 2, 4))
    return hours * 3600 + minutes * 60 + full + float(f"0.{fraction or 0}")
