"""Maps with several values a voxel (probabilities, σ, ω̄) as NIfTI vector images beside the labels.

The file has five axes (i, j, k, T, C), as NIfTI lays out vectors: the first three and the affine are those of the study's own file, the
fourth is time (length 1 for a single frame), the last holds the classes or the members. A map that is the same for all slices, as σ and ω̄
of Eq. 3 are, is stored once: its only slice is as thick as the whole stack, so that a viewer that knows the affine shows it on every slice.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np

from shortaxis.io.atomic import atomic_path
from shortaxis.io.nifti import clean_header, source_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shortaxis.study import Study


def write_maps(values: NDArray[np.float32], study: Study, path: Path | str) -> None:
    """Write maps on the grid of the file that a study came from.

    Args:
        values: float32 (T, C, D, H, W), or (T, C, 1, H, W) for maps that hold for all slices.
        study: The study that they belong to.
        path: A `.nii` or `.nii.gz` file, written whole or not at all.

    Raises:
        InputError: The file cannot be written.
        ValueError: `values` have another shape than the study.
    """
    phases, channels, depth, height, width = values.shape
    if (phases, height, width) != (study.n_phases, *study.pixels.shape[2:]) or depth not in {1, study.n_slices}:
        msg = f"maps of shape {values.shape} do not fit the study's {study.pixels.shape}"
        raise ValueError(msg)
    source = source_of(study)
    header = clean_header(source.header)
    layout = source.layout
    if depth != study.n_slices:
        through = layout.axes[0]
        _thicken(header, through, study.n_slices)
        first, second, third = (1 if axis == through else length for axis, length in enumerate(layout.shape))
        layout = replace(layout, shape=(first, second, third))
    header.set_data_dtype(np.float32)
    header.set_intent("vector")
    # Views all the way: the probabilities of a long cine fill hundreds of megabytes.
    stored = layout.to_file(values.reshape(phases * channels, depth, height, width)).reshape(*layout.shape, phases, channels)
    image_class = nib.Nifti2Image if isinstance(header, nib.Nifti2Header) else nib.Nifti1Image
    image = image_class(stored, None, header)
    with atomic_path(Path(path)) as temporary:
        nib.save(image, temporary)


def _thicken(header: nib.Nifti1Header, through: int, slices: int) -> None:
    """Let one voxel along the axis `through` span all slices: its centre is the middle of the stack."""
    middle = np.eye(4)
    middle[through, 3] = (slices - 1) / 2
    middle[through, through] = slices
    sform, qform = header.get_sform(), header.get_qform()
    codes = int(header["sform_code"]), int(header["qform_code"])
    header["pixdim"][1 + through] *= slices
    if codes[0] > 0:
        header.set_sform(sform @ middle, codes[0])
    if codes[1] > 0:
        header.set_qform(qform @ middle, codes[1])
