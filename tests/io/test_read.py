"""`read` chooses the format, and the checks that follow it."""

from __future__ import annotations

import os

import nibabel as nib
import numpy as np
import pytest

from shortaxis.errors import InputError
from shortaxis.io import read, refuse_constant
from shortaxis.io.archives import archive_kind
from shortaxis.phantom import make_phantom
from shortaxis.phantom.dicom import write_dicom
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


def test_a_series_is_passed_on_and_refused_for_what_has_none(tmp_path):
    write_dicom(tmp_path / "study", make_phantom(1, n_phases=3, n_slices=4, spacing=(12, 6, 6)).study)
    assert read(tmp_path / "study", series=5).source.series == (5,)
    with pytest.raises(InputError, match="no such series"):
        read(tmp_path / "study", series=6)
    nib.save(nib.Nifti1Image(np.ones((5, 6, 3), np.int16), np.diag([1.5, 1.5, 8, 1])), tmp_path / "in.nii")
    with pytest.raises(InputError, match="series"):
        read(tmp_path / "in.nii", series=5)


@pytest.mark.parametrize(
    ("name", "start", "kind"),
    [
        ("a.zip", b"PK\3\4", "zip"),
        ("a.dcm", b"PK\3\4", "zip"),
        ("a.7z", b"7z\xbc\xaf\x27\x1c", "7z"),
        ("a.tar", bytes(257) + b"ustar", "tar"),
    ],
)
def test_an_archive_is_to_be_unpacked(tmp_path, name, start, kind):
    (tmp_path / name).write_bytes(start + bytes(300))
    with pytest.raises(InputError, match=f"is a {kind} archive; unpack"):
        read(tmp_path / name)


def test_a_gzipped_file_is_to_be_unpacked_or_named(tmp_path):
    (tmp_path / "scan").write_bytes(b"\x1f\x8b\x08" + bytes(300))
    with pytest.raises(InputError, match=r"unpack.*\.nii\.gz"):
        read(tmp_path / "scan")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
def test_a_pipe_is_no_archive_and_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert archive_kind(tmp_path / "pipe") is None


def test_a_constant_phase_is_refused_and_named():
    pixels = np.random.default_rng(0).random((3, 2, 4, 4), np.float32)
    refuse_constant(Study(pixels, (8, 1, 1)), "cine.nii")
    pixels[2] = 5
    with pytest.raises(InputError, match=r"cine\.nii: .*phase 3 .*value 5;"):
        refuse_constant(Study(pixels, (8, 1, 1)), "cine.nii")
    with pytest.raises(InputError, match=r"frame\.nii: all voxels have the value 5;"):
        refuse_constant(Study(pixels[2:], (8, 1, 1)), "frame.nii")
