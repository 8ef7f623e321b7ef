"""All files of a folder, looked at once: which are MR images, which are something else, which are damaged."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from shortaxis.errors import InputError
from shortaxis.io.dicom.headers import CLASSIC_MULTI_FRAME, NO_PLACE, NO_SPACING, planes_of, wanted_tags
from shortaxis.io.dicom.limits import ClaimError, impossible_claim, opened
from shortaxis.io.dicom.values import flat, whole
from shortaxis.io.walking import files_below

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from shortaxis.io.dicom.headers import Plane

_MEDIA_DIRECTORY: Final = "1.2.840.10008.1.3.10"
_PREAMBLE: Final = 128
_BARE_STARTS: Final = frozenset(bytes([group, 0, element, 0]) for group, element in ((2, 0), (8, 0), (8, 5), (8, 8), (8, 0x16)))
"""First tags of data sets written without the preamble: a group length, character set, image type or SOP class."""
_IMPLICIT: Final = "1.2.840.10008.1.2"
_PLAIN: Final = {_IMPLICIT: 8, "1.2.840.10008.1.2.1": 12, "1.2.840.10008.1.2.2": 12}
"""Transfer syntaxes that do not compress (implicit, explicit, big endian), with the bytes that stand before the pixels."""
REMEDIES: Final = {
    NO_SPACING: "export the study again with all attributes of its images",
    NO_PLACE: "export the study again with all attributes of its images",
    CLASSIC_MULTI_FRAME: "export the study as single images or as enhanced multi-frame files",
}
"""What to do about images that cannot be used, by the reason."""


@dataclass
class Scan:
    """What a folder holds.

    Attributes:
        planes: The MR image planes that have a place in the patient.
        damaged: DICOM files that are cut short, unreadable or without pixels, with the reason.
        others: DICOM files that are something else (another modality, a report, a secondary capture), with the reason.
        n_strange: Number of files that are not DICOM.
        series_of: Series UID of those of `damaged` and `others` that are MR images, where their headers can be read.
    """

    planes: list[Plane] = field(default_factory=list)
    damaged: dict[Path, str] = field(default_factory=dict)
    others: dict[Path, str] = field(default_factory=dict)
    n_strange: int = 0
    series_of: dict[Path, str] = field(default_factory=dict)


def is_dicom(path: Path) -> bool:
    """Tell whether a file is DICOM by its first bytes, with or without the preamble of part 10."""
    try:
        if not path.is_file():  # opening a pipe would wait for ever
            return False
        with path.open("rb") as file:
            start = file.read(_PREAMBLE + 4)
    except OSError:
        return False
    return start[_PREAMBLE:] == b"DICM" or start[:4] in _BARE_STARTS


def scan_headers(path: Path) -> Scan:
    """Read the headers of all files under a folder, or of one file.

    Args:
        path: A folder with any nesting, or a file.

    Returns:
        The planes in the order of the file names, and what was left out.

    Raises:
        InputError: pydicom is not installed.
    """
    scan = Scan()
    with lenient_pydicom(path):
        for file in files_below(path) if path.is_dir() else [path]:
            if not file.exists():
                scan.damaged[file] = "is a link to a file that is not there"
                continue
            if not file.is_file():
                continue
            if is_dicom(file):
                _scan_file(file, scan)
            else:
                scan.n_strange += 1
    return scan


@contextmanager
def lenient_pydicom(path: Path) -> Iterator[None]:
    """Let values pass, and in silence, that break a rule of the standard: anonymised and old studies are full of them."""
    try:
        from pydicom import config  # noqa: PLC0415 (an optional package)
    except ImportError as error:
        msg = f"{path}: reading DICOM needs a package that is not installed; run: pip install 'shortaxis[dicom]'"
        raise InputError(msg) from error
    mode = config.settings.reading_validation_mode
    config.settings.reading_validation_mode = config.IGNORE
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        config.settings.reading_validation_mode = mode


def _scan_file(path: Path, scan: Scan) -> None:
    try:
        _sort_in(path, scan)
    except ClaimError as error:
        scan.damaged[path] = str(error)
    except Exception as error:  # a damaged file may fail in any way
        scan.damaged[path] = f"cannot be read ({type(error).__name__})"


def _sort_in(path: Path, scan: Scan) -> None:
    from pydicom import dcmread  # noqa: PLC0415

    with opened(path) as (file, size):
        dataset = dcmread(file, stop_before_pixels=True, force=True, specific_tags=list(wanted_tags()))
        left = size - file.tell()
    meta = dataset.file_meta
    if meta.get("MediaStorageSOPClassUID") == _MEDIA_DIRECTORY:
        scan.n_strange += 1
        return
    top = flat(dataset, wanted_tags())
    modality, rows, columns = top.get("Modality"), whole(top.get("Rows")), whole(top.get("Columns"))
    if modality not in {None, "MR"}:
        scan.others[path] = f"its modality is {modality}"
    elif left <= 0:
        scan.damaged[path] = "ends before its pixels, or never had any"
        scan.series_of[path] = str(top.get("SeriesInstanceUID") or "")
    elif not rows or not columns:
        scan.others[path] = "is not an image"
    elif whole(top.get("SamplesPerPixel")) not in {None, 1}:
        scan.others[path] = "is a colour image"
    elif isinstance(planes := planes_of(path, dataset, top), str):
        scan.others[path] = planes
        scan.series_of[path] = str(top.get("SeriesInstanceUID") or "")
    elif _is_short(meta, top, left, len(planes)):
        scan.damaged[path] = "is cut short"
        scan.series_of[path] = str(top.get("SeriesInstanceUID") or "")
    elif claim := impossible_claim(rows, columns, len(planes), whole(top.get("BitsAllocated")) or 16, left):
        scan.damaged[path] = claim
    else:
        scan.planes.extend(planes)


def _is_short(meta: Any, top: Mapping[str, Any], left: int, frames: int) -> bool:
    """Whether uncompressed pixels are missing at the end of the file."""
    before = _PLAIN.get(meta.get("TransferSyntaxUID", _IMPLICIT))
    bits = whole(top.get("BitsAllocated")) or 16
    return before is not None and 8 * (left - before) < frames * int(top["Rows"]) * int(top["Columns"]) * bits
