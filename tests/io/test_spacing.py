"""Lengths: the distance along the normal, units that contradict the numbers, and what no short-axis cine has. Hand-worked."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from shortaxis.errors import DataWarning
from shortaxis.io.nifti import read_nifti, write_like
from shortaxis.io.spacing import implausible_spacing
from shortaxis.study import Study

TURNED = Rotation.from_euler("xyz", [30, -20, 40], degrees=True).as_matrix()


def store(path, lengths=(2.5, 2.5, 14.0), *, unit="mm", pixdim=None, shear=None, shape=(9, 8, 6)):
    """A file of these lengths (x, y, z) in its unit; `shear` is the shift from slice to slice along x."""
    affine = np.eye(4)
    affine[:3, :3] = TURNED * np.asarray(lengths)
    if shear is not None:
        affine[:3, 2] += shear * TURNED[:, 0]
    image = nib.Nifti1Image(np.random.default_rng(0).integers(0, 900, shape).astype(np.int16), affine)
    image.header.set_xyzt_units(unit)
    if pixdim is not None:
        image = nib.Nifti1Image(np.asarray(image.dataobj), None, image.header)
        image.header["pixdim"][1:4] = pixdim
    nib.save(image, path)
    return path


@pytest.mark.parametrize("shear", [0.0, 3.0, 9.0, -20.0])
def test_the_slice_distance_is_the_one_along_the_normal(tmp_path, shear):
    study = read_nifti(store(tmp_path / "in.nii", shear=shear))
    assert study.spacing == pytest.approx((14.0, 2.5, 2.5), rel=1e-5)
    assert study.voxel_ml == pytest.approx(abs(np.linalg.det(study.affine[:3, :3])) / 1000, rel=1e-5)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_the_volume_of_a_voxel_is_the_determinant_in_any_order_of_the_axes(tmp_path, order):
    image = nib.load(store(tmp_path / "a.nii", shear=9.0))
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj).transpose(order), image.affine[:, [*order, 3]]), tmp_path / "b.nii")
    study = read_nifti(tmp_path / "b.nii")
    assert study.voxel_ml == pytest.approx(2.5 * 2.5 * 14 / 1000, rel=1e-5)


def test_a_pixdim_that_is_the_distance_along_the_normal_agrees_with_a_sheared_affine(tmp_path, recwarn):
    study = read_nifti(store(tmp_path / "in.nii", shear=9.0, pixdim=(2.5, 2.5, 14.0)))
    assert study.spacing == pytest.approx((14.0, 2.5, 2.5), rel=1e-5)
    assert not [warning for warning in recwarn if warning.category is DataWarning]


def test_a_sheared_study_from_elsewhere_keeps_its_volume_as_a_nifti_file(tmp_path):
    affine = np.eye(4)
    affine[:3, :3] = (TURNED * [2.5, 2.5, 14.0])[:, ::-1]
    affine[:3, 0] += 9 * TURNED[:, 0]
    study = Study(np.random.default_rng(0).random((2, 6, 8, 9), np.float32), (14.0, 2.5, 2.5), affine)
    write_like(study.pixels, study, tmp_path / "out.nii", dtype=np.float32)
    assert read_nifti(tmp_path / "out.nii").voxel_ml == pytest.approx(study.voxel_ml, rel=1e-5)


@pytest.mark.parametrize("rounding", [0.0, 1e-7, 1e-5])
def test_a_right_angle_that_is_off_by_rounding_changes_no_bit(tmp_path, rounding):
    path = store(tmp_path / "in.nii", shear=rounding)
    image, study = nib.load(path), read_nifti(path)
    assert study.spacing == tuple(float(length) for length in image.header["pixdim"][[3, 2, 1]])
    np.testing.assert_array_equal(study.affine @ np.linalg.inv(study.source.layout.index_matrix()), image.affine)


@pytest.mark.parametrize("unit", ["meter", "micron", "mm", "unknown"])
@pytest.mark.parametrize("factor", [1.0, 1e-3, 1e3])
def test_the_unit_is_the_one_in_which_the_numbers_are_plausible(tmp_path, unit, factor):
    path = store(tmp_path / "in.nii", np.array((2.5, 2.5, 14.0)) * factor, unit=unit)
    named = {"meter": 1e-3, "micron": 1e3, "mm": 1.0, "unknown": 1.0}[unit]
    if named == factor:
        study = read_nifti(path)
    else:
        with pytest.warns(DataWarning, match="in.nii"):
            study = read_nifti(path)
        assert len(study.source.notes) == 1
    assert study.spacing == pytest.approx((14.0, 2.5, 2.5), rel=1e-5)
    assert study.source.no_volumes is None


@pytest.mark.parametrize(
    ("spacing", "slices", "plausible"),
    [
        ((8.0, 1.4, 1.4), 10, True),
        ((2.0, 0.3, 5.0), 10, True),
        ((25.0, 0.3, 5.0), 10, True),
        ((1.0, 1.4, 1.4), 1, True),
        ((1.0, 1.0, 1.0), 10, False),
        ((1.9, 1.4, 1.4), 10, False),
        ((26.0, 1.4, 1.4), 10, False),
        ((8.0, 0.29, 1.4), 10, False),
        ((8.0, 1.4, 5.1), 1, False),
    ],
)
def test_what_spacing_a_short_axis_cine_may_have(spacing, slices, plausible):
    assert (implausible_spacing(spacing, slices) is None) == plausible


@pytest.mark.parametrize(
    ("lengths", "named"), [((1.0, 1.0, 1.0), "1 × 1 × 1"), ((1.4, 1.4, 40.0), "40 mm"), ((0.1, 0.1, 8.0), "0.1 × 0.1")]
)
def test_an_implausible_spacing_is_warned_about_and_measures_nothing(tmp_path, lengths, named):
    with pytest.warns(DataWarning, match=named):
        study = read_nifti(store(tmp_path / "in.nii", lengths))
    assert named in str(study.source.no_volumes)


def test_a_length_of_1_mm_wherever_two_differ_was_never_filled_in(tmp_path):
    with pytest.warns(DataWarning, match="taking the affine"):
        study = read_nifti(store(tmp_path / "in.nii", pixdim=(1.0, 1.0, 14.0)))
    assert study.spacing == pytest.approx((14.0, 2.5, 2.5), rel=1e-5)


def test_an_unknown_code_for_a_unit_is_an_unknown_unit(tmp_path):
    path = store(tmp_path / "in.nii")
    raw = bytearray(path.read_bytes())
    raw[123] = 7 | 56  # xyzt_units
    path.write_bytes(raw)
    study = read_nifti(path)
    assert study.spacing == pytest.approx((14.0, 2.5, 2.5), rel=1e-5)
    assert study.phase_times is None
