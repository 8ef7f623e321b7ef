"""A picture without orientation is shown to the networks in eight ways, and goes back to the grid of its file."""

from __future__ import annotations

from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest

from shortaxis.io import read_nifti, write_like
from shortaxis.labels import N_CLASSES, Structure
from shortaxis.segmenting.orienting import ORIENTATIONS, lies_as_displayed, reoriented, turned
from shortaxis.study import Segmentation

PLANE = (3.0, 3.0)


@pytest.fixture
def stored(heart, tmp_path):
    """ED of the phantom as a file without orientation whose picture is shown in one of eight ways; and its labels in that way."""

    def store(orientation):
        phase = heart.study.end_diastole
        rows, columns = (-1 if flip else 1 for flip in orientation[1:])
        image, labels = (
            (volume.swapaxes(1, 2) if orientation.transposed else volume)[:, ::rows, ::columns]
            for volume in (heart.study.pixels[phase], heart.labels[phase])
        )
        nib.save(nib.Nifti1Image(image.T.copy(), np.diag([3.0, 3.0, 10.0, 1.0])), tmp_path / "in.nii")
        raw = bytearray((tmp_path / "in.nii").read_bytes())
        raw[252:256] = bytes(4)  # qform_code, sform_code
        (tmp_path / "in.nii").write_bytes(raw)
        return read_nifti(tmp_path / "in.nii"), labels[np.newaxis].copy()

    return store


def model_that_knows(heart):
    """A stand-in that finds all of the heart in the display of the phantom, and no RV in any other."""
    phase = heart.study.end_diastole
    known, labels = heart.study.pixels[phase], heart.labels[phase]

    def segment_frame(image, _spacing):
        right = image.shape == known.shape and np.allclose(image, known)
        found = labels if right else np.where(labels == Structure.RV, 0, labels)
        probabilities = np.moveaxis(np.eye(N_CLASSES, dtype=np.float32)[found], -1, 0)
        return SimpleNamespace(labels=found, probabilities=probabilities)

    return SimpleNamespace(segment_frame=segment_frame, finder=None)


@pytest.mark.parametrize("orientation", ORIENTATIONS[1:])
def test_the_way_of_a_display_is_found_and_outputs_go_to_the_grid_of_the_file(heart, stored, orientation, tmp_path):
    study, labels = stored(orientation)
    without_rv = np.where(labels == Structure.RV, 0, labels).astype(np.uint8)
    found = reoriented(model_that_knows(heart), Segmentation(study, without_rv), [0.0])
    assert found is not None
    shown, note = found
    assert "header" in note
    np.testing.assert_array_equal(shown.pixels[0], heart.study.pixels[heart.study.end_diastole])
    write_like(shown.pixels, shown, tmp_path / "out.nii", dtype=np.float32)
    before, after = nib.load(tmp_path / "in.nii"), nib.load(tmp_path / "out.nii")
    np.testing.assert_array_equal(np.asarray(after.dataobj).reshape(before.shape), np.asarray(before.dataobj))


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_turned_study_keeps_every_voxel_in_its_place(stored, orientation):
    study, _ = stored(ORIENTATIONS[0])
    shown = turned(study, orientation)
    brightest = np.unravel_index(shown.pixels.argmax(), shown.pixels.shape)
    before = np.unravel_index(study.pixels.argmax(), study.pixels.shape)
    np.testing.assert_allclose(shown.affine @ [*brightest[1:], 1], study.affine @ [*before[1:], 1])


def test_a_heart_that_lies_as_displayed_is_left_as_it_is(heart, stored):
    study, labels = stored(ORIENTATIONS[0])
    assert reoriented(model_that_knows(heart), Segmentation(study, labels), [0.95]) is None


def test_a_model_that_sees_nothing_turns_nothing(stored):
    study, labels = stored(ORIENTATIONS[1])
    blind = SimpleNamespace(
        finder=None,
        segment_frame=lambda image, _: SimpleNamespace(
            labels=np.zeros(image.shape, np.uint8), probabilities=np.full((N_CLASSES, *image.shape), 0.25, np.float32)
        ),
    )
    assert reoriented(blind, Segmentation(study, np.where(labels == 1, 0, labels).astype(np.uint8)), [0.0]) is None


def test_the_place_of_the_rv_shows_how_a_picture_lies(heart):
    labels = heart.labels[heart.study.end_diastole]
    assert lies_as_displayed(labels, PLANE)
    assert not lies_as_displayed(labels[:, :, ::-1], PLANE)
    assert not lies_as_displayed(labels.swapaxes(1, 2)[:, ::-1], PLANE)
    assert not lies_as_displayed(np.where(labels == Structure.RV, 0, labels), PLANE)
    assert lies_as_displayed(np.zeros_like(labels), PLANE)
