"""NIfTI in and out: 3D frames and 4D cines in any axis order, written back on exactly the grid they came from.

Which spacing and which direction
---------------------------------

A NIfTI header says lengths twice: in `pixdim` and in the columns of the affine (the sform when its code is set, else the qform when its
code is set, else nothing but `pixdim`). Files exist in which the two disagree; ACDC, as often handed on, holds a 1 mm affine beside the
true `pixdim`. This is the rule:

1. **Length.** Where both agree within 0.1 %, there is no question. Where they differ and one of the two is 1 mm on all axes, that one was
   never filled in and the other one holds: silently for a 1 mm affine, with a warning for a 1 mm `pixdim`. Where both say something,
   `pixdim` holds, with a warning that names both.
2. **Direction.** It is always the affine's. A diagonal affine carries no orientation: a short-axis plane is oblique, so a matrix
   without any obliqueness was made by software that knew lengths only. (`shortaxis.io.layout` says what follows from this.)
3. **Output.** Both stay in the header of what is written exactly as they were in the input.

Lengths in metres or micrometres (`xyzt_units`) are brought to mm; unknown units are taken as mm.
"""

# mypy: allow-untyped-calls
# (nibabel types only part of its functions. It is imported when a file is read or written: training on a packed data set goes without it.)

from __future__ import annotations

import logging
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shortaxis.errors import InputError
from shortaxis.io.atomic import atomic_path
from shortaxis.io.layout import Layout, choose_layout
from shortaxis.study import Study

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from shortaxis.labels import LabelScheme
    from shortaxis.study import Spacing

AGREEMENT: Final = 1e-3
"""Relative difference of two lengths that is still rounding."""

_MM: Final = {"meter": 1000.0, "mm": 1.0, "micron": 1e-3, "unknown": 1.0}
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
    """

    path: Path
    header: Any
    shape: tuple[int, ...]
    layout: Layout
    directions: NDArray[np.float64] | None


def read_nifti(path: Path | str) -> Study:
    """Read a 3D frame or a 4D cine.

    Args:
        path: A `.nii` or `.nii.gz` file (or a `.hdr`/`.img` pair) with axes in any order; time, if any, is the fourth.

    Returns:
        Pixels float32 (T, D, H, W) with T = 1 for a 3D file; `phase_times` where the header gives a unit of time.

    Raises:
        InputError: The file is absent, truncated, no NIfTI, 2D or 5D, complex or coloured, holds NaN or infinite voxels, an empty axis,
            or a spacing or affine that is not positive and finite.

    Warns:
        UserWarning: Affine and `pixdim` both name lengths, and these differ.
    """
    path = Path(path)
    image, array = _load(path)
    if not np.isfinite(array).all():
        msg = f"{path}: holds NaN or infinite voxels; replace them before segmenting"
        raise InputError(msg)
    source, spacing, affine = _geometry(path, image)
    pixels = np.ascontiguousarray(source.layout.to_study(array), np.float32)
    depth, height, width = (spacing[axis] for axis in source.layout.axes)
    return Study(pixels, (depth, height, width), affine @ source.layout.index_matrix(), phase_times=_phase_times(image), source=source)


def read_labels(path: Path | str, scheme: LabelScheme, like: Study | None = None) -> NDArray[np.uint8]:
    """Read a label image.

    Args:
        path: The NIfTI file.
        scheme: What its integers mean.
        like: The study that it belongs to. Voxels are then paired by their place in the two files, so a label file that lost its affine
            still fits. Without it the label file's own header decides on slice, row and column.

    Returns:
        uint8 (T, D, H, W), values of `shortaxis.labels.Structure`.

    Raises:
        InputError: As `read_nifti`; or a value is not in the scheme, or shape or axis order differ from those of `like`.
    """
    path = Path(path)
    image, array = _load(path)
    own, _, _ = _geometry(path, image)
    canonical = scheme.to_canonical(array, source=str(path))
    other = like.source if like is not None else None
    if isinstance(other, NiftiSource):
        if _four(other.shape) != array.shape:
            msg = f"{path}: shape {image.shape} does not fit the image {other.path} of shape {other.shape}; give the labels of this image"
            raise InputError(msg)
        if own.directions is not None and other.directions is not None and _codes(own) != _codes(other):
            msg = (
                f"{path}: its axes run {_codes(own)}, those of the image {other.path} run {_codes(other)}; "
                "bring both files to the same axis order"
            )
            raise InputError(msg)
        own = other
    labels = np.ascontiguousarray(own.layout.to_study(canonical))
    if like is not None and labels.shape != like.pixels.shape:
        msg = f"{path}: labels of shape {labels.shape} do not fit the study of shape {like.pixels.shape} (T, D, H, W); give its own labels"
        raise InputError(msg)
    return labels


def write_like(values: NDArray[Any], study: Study, path: Path | str, *, dtype: DTypeLike = np.uint8) -> None:
    """Write an array on the grid of the file that a study came from: same shape, axis order, affine, `pixdim`, codes and units.

    Free text (`descrip`, `aux_file`, …) and header extensions are left out, since they may name the patient. A study that came from
    no NIfTI file gets a header made from its affine.

    Args:
        values: (T, D, H, W) as the study's pixels, or (D, H, W): then the file is 3D, unless the study's own file had more axes of
            length 1.
        study: The study that the values belong to.
        path: A `.nii` or `.nii.gz` file, written whole or not at all.
        dtype: The type to store; values are stored as they are, without scaling.

    Raises:
        InputError: The file cannot be written, or its name does not end in `.nii` or `.nii.gz`.
        ValueError: `values` have another shape than the study.
    """
    path = Path(path)
    if not path.name.endswith((".nii", ".nii.gz")):
        msg = f"{path}: name the output .nii or .nii.gz"
        raise InputError(msg)
    single = values.ndim == 3
    frames = values[np.newaxis] if single else values
    if frames.shape[1:] != study.pixels.shape[1:] or (not single and len(frames) != study.n_phases):
        msg = f"values of shape {values.shape} do not fit the study's {study.pixels.shape}"
        raise ValueError(msg)
    source = source_of(study)
    stored = source.layout.to_file(frames).astype(dtype)
    shape = source.shape if len(frames) == study.n_phases else source.layout.shape
    header = clean_header(source.header)
    header.set_data_dtype(stored.dtype)
    import nibabel as nib  # noqa: PLC0415 (needed by few)

    image_class = nib.Nifti2Image if isinstance(header, nib.Nifti2Header) else nib.Nifti1Image
    # No affine is passed: the header's own sform and qform then stay as they are.
    image = image_class(stored.reshape(shape), None, header)
    with atomic_path(path) as temporary:
        nib.save(image, temporary)


def source_of(study: Study) -> NiftiSource:
    """Give the grid that a study's outputs are written on: that of its NIfTI file, or one made from its affine where it came from none."""
    return study.source if isinstance(study.source, NiftiSource) else _fresh_source(study)


@dataclass(frozen=True, eq=False)
class NiftiOutline:
    """What the header of a file says, by the rule of this module.

    Attributes:
        image: The file as nibabel opened it; no voxel is read yet.
        source: The grid.
        shape: (T, D, H, W).
        spacing: (z, y, x) in mm.
        phase_times: Of each phase in ms, or None.
    """

    image: Any
    source: NiftiSource
    shape: tuple[int, int, int, int]
    spacing: Spacing
    phase_times: tuple[float, ...] | None


def outline_nifti(path: Path | str) -> NiftiOutline:
    """Read the header of a file.

    Raises:
        InputError: As `read_nifti`, as far as it shows in the header.

    Warns:
        UserWarning: As `read_nifti`.
    """
    image = _open(Path(path))
    source, spacing, _ = _geometry(Path(path), image)
    shape = _four(image.shape)
    depth, height, width = source.layout.axes
    return NiftiOutline(
        image,
        source,
        (shape[3], shape[depth], shape[height], shape[width]),
        (spacing[depth], spacing[height], spacing[width]),
        _phase_times(image),
    )


def _load(path: Path) -> tuple[Any, NDArray[Any]]:
    """Read image and array (i, j, k, T), with all that can be wrong in a file told in one sentence."""
    image = _open(path)
    try:
        array = image.get_fdata(dtype=np.float32, caching="unchanged")
    except _failures() as error:
        raise _unreadable(path, error) from error
    return image, array.reshape(_four(image.shape))


def _open(path: Path) -> Any:
    if not path.exists():
        msg = f"{path}: no such file; check the path"
        raise InputError(msg)
    if path.is_dir():
        msg = f"{path}: is a folder; give a NIfTI file (.nii or .nii.gz)"
        raise InputError(msg)
    try:
        image = _quiet_load(path)
    except _failures() as error:
        raise _unreadable(path, error) from error
    _check_kind(path, image)
    return image


def _failures() -> tuple[type[Exception], ...]:
    """All that a file that cannot be read may raise."""
    from nibabel.filebasedimages import ImageFileError  # noqa: PLC0415 (needed by few)
    from nibabel.spatialimages import HeaderDataError  # noqa: PLC0415

    return ImageFileError, HeaderDataError, OSError, EOFError, zlib.error, ValueError, MemoryError


def _unreadable(path: Path, error: Exception) -> InputError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return InputError(f"{path}: is not a readable NIfTI file, or it is cut short ({reason}); copy or convert it again")


def _quiet_load(path: Path) -> Any:
    import nibabel as nib  # noqa: PLC0415 (needed by few)

    # nibabel mends a bad pixdim and says so in its log; here it is refused below, with the file's name.
    logger = logging.getLogger("nibabel.global")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        return nib.load(path)
    finally:
        logger.setLevel(level)


def _check_kind(path: Path, image: Any) -> None:
    from nibabel.nifti1 import Nifti1Pair  # noqa: PLC0415 (needed by few)

    if not isinstance(image, Nifti1Pair):
        msg = f"{path}: is not a NIfTI file; convert it to .nii.gz"
        raise InputError(msg)
    if len(image.shape) < 3 or any(n != 1 for n in image.shape[4:]):
        msg = f"{path}: has {len(image.shape)} axes {image.shape}; give a 3D frame or a 4D cine"
        raise InputError(msg)
    if min(image.shape) < 1:
        msg = f"{path}: has an empty axis {image.shape}; give an image with voxels"
        raise InputError(msg)
    dtype = image.get_data_dtype()
    if dtype.kind not in "biuf":
        msg = f"{path}: stores {'colours' if dtype.kind == 'V' else 'complex numbers'}; give a grey-scale magnitude image"
        raise InputError(msg)


def _four(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Give the shape as (i, j, k, T), whatever axes of length 1 follow."""
    return (*shape, 1)[:4]


def _geometry(path: Path, image: Any) -> tuple[NiftiSource, tuple[float, float, float], NDArray[np.float64]]:
    """Apply the rule of this module; give the source, the spacing in file order and the file's affine in mm."""
    pixdim = _raw_pixdim(image)
    header = image.header
    coded = bool(header["sform_code"] > 0 or header["qform_code"] > 0)
    affine = np.array(image.affine, np.float64)
    scale = _MM[header.get_xyzt_units()[0]]
    if not (np.isfinite(pixdim).all() and (pixdim > 0).all()):
        msg = f"{path}: its spacing (pixdim) is {pixdim.tolist()}; it must be three positive lengths, so correct the header"
        raise InputError(msg)
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-6 * lengths.prod() or not lengths.all():
        msg = f"{path}: its affine is not invertible; correct the header's sform or qform"
        raise InputError(msg)
    spacing = _agreed_spacing(path, pixdim, lengths)
    if not np.allclose(spacing, lengths, rtol=AGREEMENT, atol=0.0):
        affine[:3, :3] *= spacing / lengths
    affine[:3] *= scale
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    oriented = coded and not np.allclose(directions, np.diag(np.diag(directions)), atol=1e-6)
    in_file_order = (float(spacing[0] * scale), float(spacing[1] * scale), float(spacing[2] * scale))
    layout = choose_layout(image.shape[:3], in_file_order, directions if oriented else None)
    source = NiftiSource(path, header.copy(), image.shape, layout, directions if oriented else None)
    return source, in_file_order, affine


def _raw_pixdim(image: Any) -> NDArray[np.float64]:
    """Read `pixdim` as it stands in the file: nibabel's own reading mends zero and negative values."""
    from nibabel.openers import ImageOpener  # noqa: PLC0415 (needed by few)

    holder = image.file_map.get("header") or image.file_map["image"]
    with ImageOpener(holder.filename or image.file_map["image"].filename) as file:
        header = type(image.header).from_fileobj(file, check=False)
    return np.array(header["pixdim"][1:4], np.float64)


def _agreed_spacing(path: Path, pixdim: NDArray[np.float64], lengths: NDArray[np.float64]) -> NDArray[np.float64]:
    if np.allclose(pixdim, lengths, rtol=AGREEMENT, atol=0.0) or np.allclose(lengths, 1.0, rtol=AGREEMENT):
        return pixdim
    taken, held = ("the affine", lengths) if np.allclose(pixdim, 1.0, rtol=AGREEMENT) else ("pixdim", pixdim)
    warnings.warn(
        f"{path}: pixdim says {np.round(pixdim, 4).tolist()} mm, the affine {np.round(lengths, 4).tolist()} mm; taking {taken}",
        stacklevel=2,
    )
    return held


def _phase_times(image: Any) -> tuple[float, ...] | None:
    """Give the phase times in ms, or None: without a unit of time `pixdim[4]` means nothing."""
    unit, step = image.header.get_xyzt_units()[1], float(image.header["pixdim"][4])
    if len(image.shape) < 4 or unit not in _MS or not (np.isfinite(step) and step > 0):
        return None
    return tuple(step * _MS[unit] * phase for phase in range(image.shape[3]))


def _codes(source: NiftiSource) -> str:
    from nibabel.orientations import aff2axcodes  # noqa: PLC0415 (needed by few)

    matrix = np.eye(4)
    matrix[:3, :3] = source.directions
    return "".join(aff2axcodes(matrix))


def clean_header(header: Any) -> Any:
    """Copy a header without free text and extensions, which may name the patient, and without what belonged to the values."""
    header = header.copy()
    header.extensions.clear()
    for text in ("descrip", "aux_file", "intent_name", "db_name", "data_type"):
        if text in header:
            header[text] = b""
    for number in ("intent_code", "intent_p1", "intent_p2", "intent_p3", "cal_max", "cal_min", "vox_offset"):
        header[number] = 0
    return header


def _fresh_source(study: Study) -> NiftiSource:
    from nibabel.nifti1 import Nifti1Header  # noqa: PLC0415 (needed by few)

    depth, height, width = study.pixels.shape[1:]
    layout = Layout((width, height, depth))
    shape = layout.shape if study.n_phases == 1 else (*layout.shape, study.n_phases)
    header = Nifti1Header()
    # A study made without an affine has the unit matrix; it says nothing of orientation, so the file shall not either.
    unknown = np.array_equal(study.affine, np.eye(4))
    affine = (
        np.diag([-1.0, -1.0, 1.0, 1.0]) * [*study.spacing[::-1], 1.0] if unknown else study.affine @ np.linalg.inv(layout.index_matrix())
    )
    times = study.phase_times
    header.set_data_shape(shape)
    # Without phase times the unit of time stays unknown too: the step of 1 then means nothing, and no reader takes it for a time.
    header.set_xyzt_units("mm", "msec" if times is not None else None)
    step = (times[-1] - times[0]) / (len(times) - 1) if times is not None and len(times) > 1 else 1.0
    # Some programs read one of them, some the other. The qform can hold no shear, so it is only the next best where the stack has one.
    header.set_qform(affine, code="scanner", strip_shears=True)
    header.set_sform(affine, code="scanner")
    header.set_zooms((*_lengths(study, affine), step)[: len(shape)])
    return NiftiSource(Path(), header, shape, layout, None)


def _lengths(study: Study, affine: NDArray[np.float64]) -> list[float]:
    """Lengths for `pixdim` in file order: those of the affine, whose slices are further apart than along the normal in a shear."""
    lengths = [float(length) for length in np.linalg.norm(affine[:3, :3], axis=0)]
    spacing = list(study.spacing[::-1])
    return lengths if np.allclose(lengths[:2], spacing[:2], rtol=AGREEMENT) else spacing
