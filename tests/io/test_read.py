"""`read` chooses the format, and the checks that follow it."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from shortaxis.errors import InputError
from shortaxis.io import read, refuse_constant
from shortaxis.study import Study


def test_read_takes_a_nifti_file_with_any_case_of_its_ending(tmp_path):
    nib.save(nib.Nifti1Image(np.ones((5, 6, 3), np.int16), np.diag([1.5, 1.5, 8, 1])), tmp_path / "in.nii")
    (tmp_path / "in.nii").rename(tmp_path / "IN.NII")
    assert read(tmp_path / "IN.NII").pixels.shape == (1, 3, 6, 5)


def test_read_refuses_a_missing_file_an_empty_folder_and_an_unknown_format(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read(tmp_path / "none.nii")
    with pytest.raises(InputError, match="holds no DICOM image"):
        read(tmp_path)
    (tmp_path / "in.txt").write_text("text")
    with pytest.raises(InputError, match=r"no known format.*NIfTI \(\.nii"):
        read(tmp_path / "in.txt")


def test_a_constant_phase_is_refused_and_named():
    pixels = np.random.default_rng(0).random((3, 2, 4, 4), np.float32)
    refuse_constant(Study(pixels, (8, 1, 1)), "cine.nii")
    pixels[2] = 5
    with pytest.raises(InputError, match=r"cine\.nii: .*phase 3 .*value 5;"):
        refuse_constant(Study(pixels, (8, 1, 1)), "cine.nii")
    with pytest.raises(InputError, match=r"frame\.nii: all voxels have the value 5;"):
        refuse_constant(Study(pixels[2:], (8, 1, 1)), "frame.nii")
