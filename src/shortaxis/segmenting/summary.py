"""`summary.csv`: one row a study, for a spreadsheet or a data frame."""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING, Any, Final

from shortaxis.io.atomic import atomic_path
from shortaxis.metrics.protocols import INDICES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_MORE: Final = (
    *("lv_sv", "rv_sv", "heart_rate", "lv_co", "rv_co", "sv_difference", "sv_difference_percent", "bsa"),
    *(f"{side}_{name}_indexed" for side in ("lv", "rv") for name in ("edv", "esv", "sv", "co")),
    *("lv_mass_indexed", "lv_per", "lv_pfr", "rv_per", "rv_pfr"),
)

COLUMNS: Final = (
    *("study", "status", "ed_frame", "es_frame", "phases"),
    *(f"{name}{end}" for name in INDICES for end in ("", "_low", "_high")),
    *_MORE,
    *("n_flags", "flags", "n_to_check", "to_check", "seconds", "model_sha256", "error"),
    *("edited", "endocardium"),
    *("rv_ed_frame", "rv_es_frame", "rv_edv_own", "rv_esv_own", "rv_sv_own", "rv_ef_own"),
    *("rv_edv_own_indexed", "rv_esv_own_indexed", "rv_sv_own_indexed"),
)
"""The columns in their order, which does not change between versions; new ones come at the end."""

_FORMULA: Final = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
"""A spreadsheet takes text that begins so for a formula (OWASP, CSV Injection)."""
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]+")


def write_summary(path: Path, rows: Iterable[dict[str, Any]], model_sha256: str) -> None:
    """Write the table of a run, whole or not at all: UTF-8, commas, a header, empty cells for what is not known.

    Text that a spreadsheet would take for a formula gets an apostrophe in front, and no text breaks a line.

    Args:
        path: The file.
        rows: The rows of `segment.json`.
        model_sha256: Of the model.

    Raises:
        InputError: The file cannot be written.
    """
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", errors="replace", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in rows:
            cells = dict(_cells(row)) | {"model_sha256": model_sha256}
            writer.writerow([_harmless(cells.get(column)) for column in COLUMNS])


def _cells(row: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for column in ("study", "status", "seconds", "error", "phases", "endocardium"):
        yield column, row.get(column)
    yield "edited", " ".join(row.get("edited", ()))
    if "values" in row:
        yield from row["values"].items()
        for name, (low, high) in row["intervals"].items():
            yield from ((f"{name}_low", low), (f"{name}_high", high))
        yield from ((f"{phase}_frame", row["frames"].get(phase)) for phase in ("ed", "es"))
        yield from (("n_flags", len(row["flags"])), ("flags", " ".join(row["flags"])))
        if row["to_check"] is not None:
            yield from (("n_to_check", len(row["to_check"])), ("to_check", " ".join(row["to_check"])))


def _harmless(cell: Any) -> Any:
    """Numbers stay as they are; text loses line breaks and the like, and what makes a formula of it."""
    if not isinstance(cell, str):
        return cell
    text = _CONTROL.sub(" ", cell).strip()
    return f"'{text}" if text.startswith(_FORMULA) else text
