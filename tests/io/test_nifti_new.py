"""Studies that came from no NIfTI file, written as one: every voxel keeps its place in the world, for whoever reads it."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from shortaxis.io import read_nifti, write_like
from shortaxis.study import Study

SHAPE = (3, 4, 5, 6)
SPACING = (8.0, 1.5, 1.25)
TO_LPS = np.diag([-1.0, -1.0, 1.0])
angles = st.tuples(*[st.floats(-180, 180)] * 3)


def affine_of(turn, mirrored: bool) -> np.ndarray:
    """(d, h, w, 1) to RAS+ mm."""
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", turn, degrees=True).as_matrix() * SPACING
    affine[:3, 0] *= -1 if mirrored else 1
    affine[:3, 3] = [-31.25, 17.5, 88.125]
    return affine


def study_with(affine, times=(0.0, 40.0, 81.0)) -> Study:
    return Study(np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE), SPACING, affine, phase_times=times)


@settings(max_examples=25)
@given(angles, st.booleans())
def test_every_voxel_keeps_its_world_position_in_nibabel_and_simpleitk(tmp_path_factory, turn, mirrored):
    study = study_with(affine_of(turn, mirrored))
    path = tmp_path_factory.mktemp("new") / "a.nii.gz"
    write_like(study.pixels[0], study, path, dtype=np.float32)
    known, theirs = nib.load(path), SimpleITK.ReadImage(str(path))
    assert known.get_sform(coded=True)[1] == known.get_qform(coded=True)[1] == 1
    for d, h, w in ((0, 0, 0), (3, 4, 5), (1, 4, 0)):
        world = (study.affine @ [d, h, w, 1])[:3]
        assert np.asarray(known.dataobj)[w, h, d] == theirs.GetPixel(w, h, d) == study.pixels[0, d, h, w]
        assert np.allclose((known.affine @ [w, h, d, 1])[:3], world, atol=1e-3)
        assert np.allclose((known.get_qform() @ [w, h, d, 1])[:3], world, atol=1e-3)
        assert np.allclose(TO_LPS @ theirs.TransformIndexToPhysicalPoint((w, h, d)), world, atol=1e-3)


@pytest.mark.parametrize("mirrored", [False, True])
def test_what_is_written_reads_back_on_the_same_places(tmp_path, mirrored):
    study = study_with(affine_of((50, -40, 30), mirrored))
    write_like(study.pixels, study, tmp_path / "a.nii.gz", dtype=np.float32)
    back = read_nifti(tmp_path / "a.nii.gz")
    places = {}
    for which in (study, back):
        index = np.indices(which.pixels.shape[1:]).reshape(3, -1)
        world = (which.affine @ np.vstack([index, np.ones(index.shape[1])]))[:3].T
        values = which.pixels[2].reshape(-1)
        places[which is back] = world[np.argsort(values)]
    assert np.allclose(places[True], places[False], atol=1e-3)
    assert sorted(back.spacing) == pytest.approx(sorted(study.spacing))


def test_a_sheared_stack_keeps_its_places_and_lengths_that_agree(tmp_path, recwarn):
    affine = affine_of((50, -40, 30), mirrored=False)
    affine[:3, 0] += 0.3 * affine[:3, 1]
    study = study_with(affine)
    write_like(study.pixels[0], study, tmp_path / "a.nii.gz", dtype=np.float32)
    known = nib.load(tmp_path / "a.nii.gz")
    assert np.allclose((known.affine @ [5, 4, 3, 1])[:3], (affine @ [3, 4, 5, 1])[:3], atol=1e-3)
    assert known.header.get_zooms() == pytest.approx((1.25, 1.5, np.linalg.norm(affine[:3, 0])))
    read_nifti(tmp_path / "a.nii.gz")
    assert not recwarn.list


def test_the_step_of_time_is_the_mean_of_the_phases(tmp_path):
    study = study_with(affine_of((0, 0, 0), mirrored=False))
    write_like(study.pixels, study, tmp_path / "a.nii.gz", dtype=np.float32)
    assert read_nifti(tmp_path / "a.nii.gz").phase_times == pytest.approx((0.0, 40.5, 81.0))


def test_times_that_are_not_known_stay_unknown(tmp_path):
    study = study_with(affine_of((0, 0, 0), mirrored=False), times=None)
    write_like(study.pixels, study, tmp_path / "a.nii.gz", dtype=np.float32)
    assert read_nifti(tmp_path / "a.nii.gz").phase_times is None


def test_an_affine_that_knows_no_lengths_leaves_them_to_the_spacing(tmp_path):
    affine = affine_of((50, -40, 30), mirrored=False)
    affine[:3, :3] /= SPACING
    study = study_with(affine)
    write_like(study.pixels, study, tmp_path / "a.nii.gz", dtype=np.float32)
    assert sorted(read_nifti(tmp_path / "a.nii.gz").spacing) == pytest.approx(sorted(SPACING))
