"""What the header of a NIfTI file says of lengths, directions and times, by the rule that `shortaxis.io.nifti` writes down."""

# mypy: allow-untyped-calls

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shortaxis.errors import InputError
from shortaxis.io.layout import Layout, choose_layout, through_plane
from shortaxis.io.spacing import AGREEMENT, agreed_lengths, factors_along_normal, implausible_spacing, settle_unit

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_MS: Final = {"sec": 1000.0, "msec": 1.0, "usec": 1e-3}


@dataclass(frozen=True, eq=False)
class NiftiSource:
    """Where a study stood in its file; `write_like` needs it to write labels on the same grid.

    Attributes:
        path: The file.
        header: A copy of its header, affine and `pixdim` as they were.
        shape: Shape of the array in the file, with all its axes.
        layout: Which file axes are slice, row and column.
        directions: (3, 3) unit vectors of the file's axes, or None when the affine carries no orientation.
        notes: What was doubtful in the header, and what was done about it.
        no_volumes: Why volumes cannot be measured with its spacing, in words, or None.
        orientation_note: How the picture was turned against what the header says, in words, or None.
    """

    path: Path
    header: Any
    shape: tuple[int, ...]
    layout: Layout
    directions: NDArray[np.float64] | None
    notes: tuple[str, ...] = ()
    no_volumes: str | None = None
    orientation_note: str | None = None


def read_geometry(path: Path, image: Any) -> tuple[NiftiSource, tuple[float, float, float], NDArray[np.float64]]:
    """Apply the rule.

    Args:
        path: The file.
        image: The file as nibabel opened it.

    Returns:
        The source, the spacing in mm in file order, and the file's affine in mm.

    Raises:
        InputError: A length or the affine is not usable.
    """
    pixdim = _raw_pixdim(image)
    header, shape = image.header, image.shape[:3]
    coded = bool(header["sform_code"] > 0 or header["qform_code"] > 0)
    affine = np.array(image.affine, np.float64)
    if not (np.isfinite(pixdim).all() and (pixdim > 0).all()):
        msg = f"{path}: its spacing (pixdim) is {pixdim.tolist()}; it must be three positive lengths, so correct the header"
        raise InputError(msg)
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-6 * lengths.prod() or not lengths.all():
        msg = f"{path}: its affine is not invertible; correct the header's sform or qform"
        raise InputError(msg)
    factors = factors_along_normal(affine[:3, :3] / lengths, through_plane(shape, _three(lengths)))

    def plausible(candidate: NDArray[np.float64]) -> bool:
        return _implausible(_three(candidate * factors), shape) is None

    spacing, doubt = agreed_lengths(pixdim, lengths, lengths * factors, plausible)
    if not np.allclose(spacing, lengths, rtol=AGREEMENT, atol=0.0):
        affine[:3, :3] *= spacing / lengths
    scale, odd_unit = settle_unit(spacing, _units(header)[0], plausible)
    affine[:3] *= scale
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    oriented = coded and not np.allclose(directions, np.diag(np.diag(directions)), atol=1e-6)
    layout = choose_layout(shape, _three(spacing * scale), directions if oriented else None)
    in_file_order = _three(spacing * scale * factors_along_normal(directions, layout.axes[0]))
    unusable = _implausible(in_file_order, shape)
    notes = tuple(note for note in (doubt, odd_unit, unusable and f"{unusable}; volumes are not measured with it") if note)
    source = NiftiSource(path, header.copy(), image.shape, layout, directions if oriented else None, notes, unusable)
    return source, in_file_order, affine


def _three(values: NDArray[np.float64]) -> tuple[float, float, float]:
    return float(values[0]), float(values[1]), float(values[2])


def _implausible(spacing: tuple[float, float, float], shape: tuple[int, int, int]) -> str | None:
    """`implausible_spacing` of a spacing in file order."""
    through = through_plane(shape, spacing)
    y, x = (mm for axis, mm in enumerate(spacing) if axis != through)
    return implausible_spacing((spacing[through], y, x), shape[through])


def _units(header: Any) -> tuple[str, str]:
    """The units of length and time; a code that NIfTI does not know is an unknown unit."""
    try:
        length, time = header.get_xyzt_units()
    except KeyError:
        return "unknown", "unknown"
    return str(length), str(time)


def _raw_pixdim(image: Any) -> NDArray[np.float64]:
    """Read `pixdim` as it stands in the file: nibabel's own reading mends zero and negative values."""
    from nibabel.openers import ImageOpener  # noqa: PLC0415 (needed by few)

    holder = image.file_map.get("header") or image.file_map["image"]
    with ImageOpener(holder.filename or image.file_map["image"].filename) as file:
        header = type(image.header).from_fileobj(file, check=False)
    return np.array(header["pixdim"][1:4], np.float64)


def phase_times_of(image: Any) -> tuple[float, ...] | None:
    """Give the phase times in ms, or None: without a unit of time `pixdim[4]` means nothing."""
    unit, step = _units(image.header)[1], float(image.header["pixdim"][4])
    if len(image.shape) < 4 or unit not in _MS or not (np.isfinite(step) and step > 0):
        return None
    return tuple(step * _MS[unit] * phase for phase in range(image.shape[3]))


def axis_codes(source: NiftiSource) -> str:
    """Where the axes of a file with orientation run to, such as `LPS`."""
    from nibabel.orientations import aff2axcodes  # noqa: PLC0415 (needed by few)

    matrix = np.eye(4)
    matrix[:3, :3] = source.directions
    return "".join(aff2axcodes(matrix))
