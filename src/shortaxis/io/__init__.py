"""Reading and writing images: one file a format, one line in `FORMATS`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from shortaxis.errors import InputError
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


def read(path: Path | str) -> Study:
    """Read a study from a file or folder of any format known here.

    Args:
        path: A NIfTI file: a 3D frame or a 4D cine. Or a folder with the DICOM files of a study, or one multi-frame DICOM file, whatever
            its name.

    Returns:
        The study, pixels float32 (T, D, H, W).

    Raises:
        InputError: The file is absent, of an unknown format, or not fit for use; see `shortaxis.io.nifti.read_nifti` and
            `shortaxis.io.dicom.read_dicom`.
    """
    path = Path(path)
    if not path.exists():
        msg = f"{path}: no such file; check the path"
        raise InputError(msg)
    for endings, reader in FORMATS.values():
        if path.is_file() and path.name.lower().endswith(endings):
            return reader(path)
    if path.is_dir() or is_dicom(path):
        return read_dicom(path)
    known = ", ".join(f"{name} ({', '.join(endings)})" for name, (endings, _) in FORMATS.items())
    msg = f"{path}: is of no known format; give a file of {known}, or a folder of DICOM files"
    raise InputError(msg)
