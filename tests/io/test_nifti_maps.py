from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import SimpleITK

from shortaxis.io.nifti import read_nifti
from shortaxis.io.nifti_maps import write_maps
from shortaxis.study import Study

ANGLE = np.deg2rad(30)
OBLIQUE = np.array(
    [[np.cos(ANGLE), -np.sin(ANGLE), 0, 5], [np.sin(ANGLE), np.cos(ANGLE), 0, -7], [0, 0, 1, 11], [0, 0, 0, 1]],
) @ np.diag([1.5, 1.25, 8.0, 1.0])


@pytest.fixture(params=["3D", "4D", "NIfTI-2", "no affine"])
def study(request, tmp_path):
    shape = (7, 6, 4, 3) if request.param == "4D" else (7, 6, 4)
    kind = nib.Nifti2Image if request.param == "NIfTI-2" else nib.Nifti1Image
    image = kind(np.random.default_rng(0).normal(size=shape).astype(np.float32), OBLIQUE)
    if request.param == "no affine":
        image = kind(image.get_fdata(dtype=np.float32), None)
        image.header["pixdim"][1:4] = [1.5, 1.25, 8.0]
    else:
        image.set_qform(OBLIQUE, 1)
        image.set_sform(OBLIQUE, 1)
    nib.save(image, tmp_path / "image.nii.gz")
    return read_nifti(tmp_path / "image.nii.gz")


def test_a_map_of_every_voxel_stands_where_the_voxel_stands_in_the_file(study, tmp_path):
    values = np.stack([study.pixels, 2 * study.pixels], axis=1)
    write_maps(values, study, tmp_path / "map.nii.gz")
    image, written = nib.load(study.source.path), nib.load(tmp_path / "map.nii.gz")
    assert written.shape == (*image.shape[:3], study.n_phases, 2)
    assert written.get_data_dtype() == np.float32
    original = image.get_fdata(dtype=np.float32).reshape(*image.shape[:3], study.n_phases)
    assert np.array_equal(written.get_fdata(dtype=np.float32), np.stack([original, 2 * original], axis=-1))
    assert np.array_equal(written.affine, image.affine)
    assert np.array_equal(written.header["pixdim"][:4], image.header["pixdim"][:4])


def test_a_map_for_all_slices_is_one_slice_as_thick_as_the_stack(study, tmp_path):
    values = np.random.default_rng(1).normal(size=(study.n_phases, 2, 1, *study.pixels.shape[2:])).astype(np.float32)
    write_maps(values, study, tmp_path / "map.nii.gz")
    image, written = nib.load(study.source.path), nib.load(tmp_path / "map.nii.gz")
    assert written.shape == (7, 6, 1, study.n_phases, 2)
    assert written.header["pixdim"][3] == pytest.approx(4 * 8.0)
    corners = np.array([[i, j, k, 1] for i in (-0.5, 6.5) for j in (-0.5, 5.5) for k in (-0.5, 3.5)]).T
    flat = np.array([[i, j, k, 1] for i in (-0.5, 6.5) for j in (-0.5, 5.5) for k in (-0.5, 0.5)]).T
    if image.header["sform_code"]:
        assert np.allclose(written.get_sform() @ flat, image.get_sform() @ corners, atol=1e-3)
        assert np.allclose(written.get_qform() @ flat, image.get_qform() @ corners, atol=1e-3)


def test_another_program_reads_it_as_a_vector_image(tmp_path):
    study = Study(np.ones((1, 4, 6, 7), np.float32), (8.0, 1.25, 1.5))
    values = np.arange(3 * 4 * 6 * 7, dtype=np.float32).reshape(1, 3, 4, 6, 7)
    write_maps(values, study, tmp_path / "map.nii.gz")
    image = SimpleITK.ReadImage(str(tmp_path / "map.nii.gz"))
    assert image.GetNumberOfComponentsPerPixel() == 3
    assert image.GetSpacing() == pytest.approx((1.5, 1.25, 8.0))
    assert np.array_equal(SimpleITK.GetArrayFromImage(image), np.moveaxis(values[0], 0, -1))


@pytest.mark.parametrize("shape", [(1, 2, 3, 6, 7), (2, 2, 4, 6, 7), (1, 2, 4, 6, 6)])
def test_a_map_of_another_shape_is_refused(tmp_path, shape):
    study = Study(np.ones((1, 4, 6, 7), np.float32), (8.0, 1.25, 1.5))
    with pytest.raises(ValueError, match="do not fit"):
        write_maps(np.zeros(shape, np.float32), study, tmp_path / "map.nii.gz")
