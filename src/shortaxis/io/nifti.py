"""NIfTI in and out: 3D frames and 4D cines in any axis order, written back on exactly the grid they came from.

Which spacing and which direction
---------------------------------

A NIfTI header says lengths twice: in `pixdim` and in the columns of the affine (the sform when its code is set, else the qform when its
code is set, else nothing but `pixdim`). Files exist in which the two disagree; ACDC, as often handed on, holds a 1 mm affine beside the
true `pixdim`. This is the rule:

1. **Length.** Where both agree within 0.1 %, there is no question. Where they differ and one of the two is 1 mm on all axes, that one was
   never filled in and the other one holds: silently for a 1 mm affine, with a warning for a 1 mm `pixdim`. So it is where one of them is
   1 mm on those axes on which they differ, or cannot be that of a short-axis cine. Where both say something, `pixdim` holds, with a
   warning that names both.
2. **Direction.** It is always the affine's. A diagonal affine carries no orientation: a short-axis plane is oblique, so a matrix
   without any obliqueness was made by software that knew lengths only. (`shortaxis.io.layout` says what follows from this.)
3. **Output.** Both stay in the header of what is written exactly as they were in the input.

Lengths in metres or micrometres (`xyzt_units`) are brought to mm; unknown units are taken as mm. Where the slices are shifted sideways
against each other, the slice distance is the one along their normal. `shortaxis.io.spacing` holds these rules, and says which spacing
is plausible: volumes are not measured with any other. Claims of a header are held against the bytes of its file before memory is taken
(`shortaxis.io.nifti_limits`).
"""

# mypy: allow-untyped-calls
# (nibabel types only part of its functions. It is imported when a file is read or written: training on a packed data set goes without it.)

from __future__ import annotations

import logging
import warnings
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shortaxis.errors import DataWarning, InputError
from shortaxis.io.atomic import atomic_path
from shortaxis.io.layout import Layout
from shortaxis.io.nifti_header import NiftiSource, axis_codes, phase_times_of, read_geometry
from shortaxis.io.nifti_limits import refuse_endless_header, refuse_hollow, refuse_impossible_size, volumes
from shortaxis.io.spacing import AGREEMENT
from shortaxis.study import Study

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import DTypeLike, NDArray

    from shortaxis.labels import LabelScheme
    from shortaxis.study import Spacing


def read_nifti(path: Path | str, *, labels: bool = False) -> Study:
    """Read a 3D frame or a 4D cine.

    Args:
        path: A `.nii` or `.nii.gz` file (or a `.hdr`/`.img` pair) with axes in any order; time, if any, is the fourth.
        labels: Whether its voxels are labels. A large file of these may compress as no scan does.

    Returns:
        Pixels float32 (T, D, H, W) with T = 1 for a 3D file; `phase_times` where the header gives a unit of time.

    Raises:
        InputError: The file is absent, truncated, no NIfTI, 2D or 5D, complex or coloured, larger than any cine, holds NaN or infinite
            voxels, an empty axis, or a spacing or affine that is not positive and finite.

    Warns:
        DataWarning: Affine and `pixdim` disagree on a length, the unit of length contradicts the numbers, or no short-axis cine has
            such a spacing.
    """
    path = Path(path)
    image = _open(path)
    source, spacing, affine = read_geometry(path, image)
    _warn(source)
    if not labels:
        refuse_hollow(path, image)
    pixels = np.empty(_study_shape(image.shape, source.layout), np.float32)
    with _telling(path):
        for phase, volume in enumerate(volumes(image)):
            if not np.isfinite(volume).all():
                msg = f"{path}: holds NaN or infinite voxels; replace them before segmenting"
                raise InputError(msg)
            pixels[phase] = source.layout.to_study(volume[..., np.newaxis])[0]
    depth, height, width = (spacing[axis] for axis in source.layout.axes)
    return Study(pixels, (depth, height, width), affine @ source.layout.index_matrix(), phase_times=phase_times_of(image), source=source)


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
    image = _open(path)
    own, _, _ = read_geometry(path, image)
    other = like.source if like is not None else None
    if isinstance(other, NiftiSource):
        if _four(other.shape) != _four(image.shape):
            msg = f"{path}: shape {image.shape} does not fit the image {other.path} of shape {other.shape}; give the labels of this image"
            raise InputError(msg)
        if own.directions is not None and other.directions is not None and axis_codes(own) != axis_codes(other):
            msg = (
                f"{path}: its axes run {axis_codes(own)}, those of the image {other.path} run {axis_codes(other)}; "
                "bring both files to the same axis order"
            )
            raise InputError(msg)
        own = other
    shape = _study_shape(image.shape, own.layout)
    if like is not None and shape != like.pixels.shape:
        msg = f"{path}: labels of shape {shape} do not fit the study of shape {like.pixels.shape} (T, D, H, W); give its own labels"
        raise InputError(msg)
    labels = np.empty(shape, np.uint8)
    with _telling(path):
        for phase, volume in enumerate(volumes(image)):
            canonical = scheme.to_canonical(volume, source=str(path))
            labels[phase] = own.layout.to_study(canonical[..., np.newaxis])[0]
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


def outline_nifti(path: Path | str, *, labels: bool = False) -> NiftiOutline:
    """Read the header of a file.

    Args:
        path: As for `read_nifti`.
        labels: As for `read_nifti`.

    Raises:
        InputError: As `read_nifti`, as far as it shows in the header.
    """
    path = Path(path)
    image = _open(path)
    source, spacing, _ = read_geometry(path, image)
    if not labels:
        refuse_hollow(path, image)
    depth, height, width = source.layout.axes
    return NiftiOutline(
        image,
        source,
        _study_shape(image.shape, source.layout),
        (spacing[depth], spacing[height], spacing[width]),
        phase_times_of(image),
    )


def _warn(source: NiftiSource) -> None:
    for note in source.notes:
        warnings.warn(f"{source.path}: {note}", DataWarning, stacklevel=3)


def _open(path: Path) -> Any:
    if not path.exists():
        msg = f"{path}: no such file; check the path"
        raise InputError(msg)
    if path.is_dir():
        msg = f"{path}: is a folder; give a NIfTI file (.nii or .nii.gz)"
        raise InputError(msg)
    with _telling(path):
        refuse_endless_header(path)
        image = _quiet_load(path)
    _check_kind(path, image)
    refuse_impossible_size(path, image)
    return image


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    """Bring whatever a file that cannot be read may raise to one sentence."""
    try:
        yield
    except InputError:
        raise
    except _failures() as error:
        raise _unreadable(path, error) from error


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


def _study_shape(shape: tuple[int, ...], layout: Layout) -> tuple[int, int, int, int]:
    """(T, D, H, W) of a file's shape."""
    depth, height, width = (layout.shape[axis] for axis in layout.axes)
    return _four(shape)[3], depth, height, width


def _four(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Give the shape as (i, j, k, T), whatever axes of length 1 follow."""
    return (*shape, 1)[:4]


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
