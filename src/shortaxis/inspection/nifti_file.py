"""A NIfTI image: its header by the rule of `shortaxis.io.nifti`, and its voxels as far as there is time for them."""

from __future__ import annotations

import warnings
import zlib
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shortaxis.errors import InputError
from shortaxis.inspection.geometry import check_cine, check_stack
from shortaxis.inspection.report import Finding, Inspection
from shortaxis.io.nifti import AGREEMENT, outline_nifti

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from shortaxis.io.nifti import NiftiOutline

MOST_LABELS: Final = 6
"""An image of whole numbers that span less than this is a label image."""
MOST_VOXELS: Final = 32_000_000
"""Voxels that an inspection reads: those of a long cine."""
_DAMAGE: Final = (OSError, EOFError, zlib.error, ValueError, MemoryError)


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
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            outline = outline_nifti(path)
        except InputError as error:
            found.findings.append(Finding.of_error(error, path))
            return found
    found.kind = "NIfTI 3D frame" if outline.shape[0] == 1 else "NIfTI 4D cine"
    check_stack(outline.shape, outline.spacing, found)
    _check_header(outline, found)
    for warning in said:
        message = str(warning.message).removeprefix(f"{path}: ")
        found.add("warning", message, "check which of the two is right, and correct the header where it is the other")
    check_cine(outline.shape[0], outline.phase_times, found, phases_named=phases_named)
    if budget.take(path, int(np.prod(outline.shape))):
        _check_voxels(outline, found)
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


def _check_voxels(outline: NiftiOutline, found: Inspection) -> None:
    try:
        # As they are stored: a constant image, NaN and labels show before scaling too, and it takes half the time.
        stored = np.asarray(outline.image.dataobj.get_unscaled())
    except _DAMAGE:
        found.add("error", "its voxels cannot be read: it is cut short or damaged", "copy or convert it again")
        return
    phases = np.moveaxis(stored.reshape(*stored.shape[:3], -1), -1, 0)
    if stored.dtype.kind == "f" and not np.isfinite(stored).all():
        found.add("error", "it holds NaN or infinite voxels", "replace them before segmenting")
        return
    labels = _labels(stored)
    constant = [number for number, phase in enumerate(phases, start=1) if phase.min() == phase.max()]
    if labels is not None:
        found.add("error", f"it holds only the values {labels}, so it is a label image and not a scan", "give the image that it belongs to")
    elif constant:
        where = "all voxels" if len(phases) == 1 else f"all voxels of frame {', '.join(map(str, constant[:5]))} (counted from 1)"
        found.add("error", f"{where} have one value", "give an image that shows a heart")


def _labels(stored: NDArray[Any]) -> list[int] | None:
    """The few whole numbers that a label image consists of, or None."""
    spread = float(stored.max()) - float(stored.min())
    if not 0 < spread < MOST_LABELS or (stored.dtype.kind == "f" and not (stored == np.rint(stored)).all()):
        return None
    return [int(value) for value in np.unique(stored)]
