"""Two files of one shape: do they lie at the same place in the patient?"""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from shortaxis.io.nifti import read_nifti
from shortaxis.io.same_grid import grid_difference
from shortaxis.study import Study

SHAPE = (20, 18, 6)
DIAGONAL = np.diag([1.5, 1.5, 8.0, 1.0])
ROW, COLUMN = np.array([0.8, 0.6, 0.0]), np.array([-0.36, 0.48, 0.8])
OBLIQUE = np.eye(4)
OBLIQUE[:3, :3] = np.stack([1.5 * ROW, 1.5 * COLUMN, 8.0 * np.cross(ROW, COLUMN)], axis=1)
OBLIQUE[:3, 3] = (-12.3456789, 40.7654321, 5.0)


def moved(affine: np.ndarray, mm: float) -> np.ndarray:
    return affine + np.array([[0, 0, 0, mm], *np.zeros((3, 4))])


def turned(affine: np.ndarray, degrees: float) -> np.ndarray:
    """In the plane of the slices, through the centre of the image; pixels are square."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    centre = np.array([(n - 1) / 2 for n in SHAPE])
    rotation = np.eye(4)
    rotation[:2, :2] = [[cos, -sin], [sin, cos]]
    rotation[:3, 3] = centre - rotation[:3, :3] @ centre
    return affine @ rotation


@pytest.fixture
def put(tmp_path):
    def write(name: str, affine: np.ndarray, code: int = 1, pixdim: tuple[float, ...] | None = None) -> Path:
        image = nib.Nifti1Image(np.zeros(SHAPE, np.uint8), affine)
        image.set_sform(affine, code)
        image.set_qform(None, 0)
        if pixdim is not None:
            image.header["pixdim"][1:4] = pixdim
        nib.save(image, tmp_path / name)
        return tmp_path / name

    return write


@pytest.fixture
def compare(put):
    def said(truth: np.ndarray, prediction: np.ndarray, **how) -> str | None:
        return grid_difference(put("prediction.nii", prediction, **how), read_nifti(put("truth.nii", truth)))

    return said


@pytest.mark.parametrize("affine", [OBLIQUE, DIAGONAL])
def test_the_same_grid_is_no_other_up_to_rounding(compare, affine):
    assert compare(affine, affine) is None
    assert compare(affine, np.round(affine, 4)) is None
    assert compare(affine, moved(affine, 0.1)) is None


@pytest.mark.parametrize("affine", [OBLIQUE, DIAGONAL])
def test_another_origin_is_said_in_mm(compare, affine):
    assert compare(affine, moved(affine, 40)) == "it lies 40.0 mm away"
    assert "0.8 mm" in compare(affine, moved(affine, 0.75))  # half a pixel


def test_another_direction_is_said_in_degrees(compare):
    assert "2.0°" in compare(OBLIQUE, turned(OBLIQUE, 2.0))
    assert compare(OBLIQUE, turned(OBLIQUE, 0.1)) is None
    flipped = DIAGONAL * [-1, 1, 1, 1]
    assert "180.0°" in compare(DIAGONAL, flipped)


def test_another_spacing_is_said_on_both_sides(compare):
    message = compare(OBLIQUE, OBLIQUE * [1, 1, 1.25, 1])
    assert "10 × 1.5 × 1.5 mm" in message
    assert "8 × 1.5 × 1.5 mm" in message


def test_a_file_that_lost_its_affine_lies_nowhere_else(compare, put):
    spacing = (1.5, 1.5, 8.0)
    assert compare(OBLIQUE, np.eye(4), pixdim=spacing) is None
    assert compare(OBLIQUE, DIAGONAL) is None
    assert compare(DIAGONAL, moved(DIAGONAL, 40), code=0) is None
    # The truth as ACDC is often handed on: a unit affine beside the true pixdim.
    truth = read_nifti(put("truth.nii", np.eye(4), pixdim=spacing))
    assert grid_difference(put("prediction.nii", moved(DIAGONAL, 40)), truth) is None


def test_a_study_from_no_file_has_no_place(put):
    assert grid_difference(put("prediction.nii", OBLIQUE), Study(np.zeros((1, 6, 18, 20), np.float32), (8.0, 1.5, 1.5))) is None
