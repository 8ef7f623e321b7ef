"""A NIfTI image: its header by the rule of `shortaxis.io.nifti`, and its voxels as far as there is time for them."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Final

import numpy as np

from shortaxis.errors import DataWarning, InputError
from shortaxis.inspection.geometry import check_cine, check_stack
from shortaxis.inspection.report import Finding, Inspection
from shortaxis.io import refuse_unfit
from shortaxis.io.nifti import outline_nifti, read_nifti
from shortaxis.io.spacing import AGREEMENT

if TYPE_CHECKING:
    from pathlib import Path

    from shortaxis.io.nifti import NiftiOutline

MOST_VOXELS: Final = 32_000_000
"""Voxels that an inspection reads: those of a long cine."""


class Budget:
    """How many voxels may still be read: an inspection has to be quick, however large the input."""

    def __init__(self, voxels: int) -> None:
        self.voxels = voxels
        self.unread: list[Path] = []

    def take(self, path: Path, voxels: int) -> bool:
        """Whether so many more may be read; keeps in mind what was not."""
        if voxels > self.voxels:
            self.unread.append(path)
            return False
        self.voxels -= voxels
        return True


def inspect_nifti(path: Path, budget: Budget, *, phases_named: bool = False) -> Inspection:
    """Inspect a 3D frame or a 4D cine.

    Args:
        path: The file.
        budget: Its voxels are read where this allows it.
        phases_named: Whether ED and ES are said by somebody.
    """
    found = Inspection(path, "NIfTI file")
    try:
        outline = outline_nifti(path)
    except InputError as error:
        found.findings.append(Finding.of_error(error, path))
        return found
    found.kind = "NIfTI 3D frame" if outline.shape[0] == 1 else "NIfTI 4D cine"
    check_stack(outline.shape, outline.spacing, found)
    _check_header(outline, found)
    unusable = outline.source.no_volumes
    for note in outline.source.notes:
        if unusable is not None and note.startswith(unusable):
            continue  # `check_stack` has said it
        found.add("warning", note, "check which is right, and correct the header where it is wrong")
    check_cine(outline.shape[0], outline.phase_times, found, phases_named=phases_named)
    if budget.take(path, int(np.prod(outline.shape))):
        _check_voxels(path, found)
    return found


def _check_header(outline: NiftiOutline, found: Inspection) -> None:
    image, oriented = outline.image, outline.source.directions is not None
    found.facts["orientation_known"] = oriented
    if not oriented:
        found.add("note", "its affine carries no orientation, so base and apex cannot be told apart", "nothing needs doing to segment it")
    lengths = np.linalg.norm(image.affine[:3, :3], axis=0)
    pixdim = np.array(image.header["pixdim"][1:4], np.float64)
    if np.allclose(lengths, 1.0, rtol=AGREEMENT) and not np.allclose(pixdim, 1.0, rtol=AGREEMENT):
        found.add(
            "note",
            f"its affine says 1 mm, its pixdim {np.round(pixdim, 3).tolist()} mm; pixdim holds",
            "mind that other programs may take the affine, and so 1 mm",
        )


def _check_voxels(path: Path, found: Inspection) -> None:
    """Make the checks that `shortaxis segment` makes, on the voxels as it reads them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # reading the header has warned already
        try:
            refuse_unfit(read_nifti(path), path)
        except InputError as error:
            found.findings.append(Finding.of_error(error, path))
