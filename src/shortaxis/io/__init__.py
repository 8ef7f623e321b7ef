"""Reading and writing images: one file a format, one line in `FORMATS`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from shortaxis.errors import InputError
from shortaxis.io.archives import refuse_archive
from shortaxis.io.checks import refuse_constant, refuse_unfit
from shortaxis.io.dicom import is_dicom, read_dicom
from shortaxis.io.nifti import read_labels, read_nifti, write_like

if TYPE_CHECKING:
    from collections.abc import Callable

    from shortaxis.study import Study

__all__ = ["FORMATS", "read", "read_dicom", "read_labels", "read_nifti", "refuse_constant", "refuse_unfit", "write_like"]

FORMATS: Final[dict[str, tuple[tuple[str, ...], Callable[[Path], Study]]]] = {
    "NIfTI": ((".nii", ".nii.gz", ".hdr", ".img", ".img.gz"), read_nifti),
    "DICOM": ((".dcm", ".dicom", ".ima"), read_dicom),
}
"""For each format the endings of its files and its reader."""


def read(path: Path | str, *, series: int | str | None = None) -> Study:
    """Read a study from a file or folder of any format known here.

    Args:
        path: A NIfTI file: a 3D frame or a 4D cine. Or a folder with the DICOM files of a study, or one multi-frame DICOM file, whatever
            its name.
        series: Number or UID of the DICOM series to take; None finds the short-axis cine.

    Returns:
        The study, pixels float32 (T, D, H, W).

    Raises:
        InputError: The file is absent, an archive, of an unknown format, or not fit for use, or a series is named though it is no DICOM;
            see `shortaxis.io.nifti.read_nifti` and `shortaxis.io.dicom.read_dicom`.
    """
    path = Path(path)
    if not path.exists():
        msg = f"{path}: no such file; check the path"
        raise InputError(msg)
    refuse_archive(path)
    if path.is_dir() or path.name.lower().endswith(FORMATS["DICOM"][0]) or (not _is_nifti(path) and is_dicom(path)):
        return read_dicom(path, series=series)
    if series is not None:
        msg = f"{path}: has no series, since it is no DICOM; leave the series out, or give the folder of a DICOM study"
        raise InputError(msg)
    if _is_nifti(path):
        return FORMATS["NIfTI"][1](path)
    known = ", ".join(f"{name} ({', '.join(endings)})" for name, (endings, _) in FORMATS.items())
    msg = f"{path}: is of no known format; give a file of {known}, or a folder of DICOM files"
    raise InputError(msg)


def _is_nifti(path: Path) -> bool:
    return path.name.lower().endswith(FORMATS["NIfTI"][0])
