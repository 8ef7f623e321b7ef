"""Whether the files of a study are as they were, and what is told of them."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest

from shortaxis.datasets.acdc import write_acdc_patient
from shortaxis.io import read_dicom
from shortaxis.phantom.dicom import write_dicom
from shortaxis.segmenting import plan_studies
from shortaxis.segmenting.inputs import content_sha256, files_of, state_of
from shortaxis.segmenting.plan import PlannedImage


def state(path):
    (study,) = plan_studies([path])
    return state_of(study)


def test_a_file_is_as_it_was_until_its_content_or_time_of_change_differs(cohort, tmp_path):
    before = state(cohort / "a.nii")
    assert state(cohort / "a.nii") == before
    os.utime(cohort / "a.nii", ns=(0, 5))
    touched = state(cohort / "a.nii")
    assert touched != before
    (cohort / "a.nii").write_bytes(b"short")
    os.utime(cohort / "a.nii", ns=(0, 5))
    assert state(cohort / "a.nii") not in {before, touched}


def test_a_cohort_that_moved_as_it_was_is_the_same(cohort, tmp_path):
    before = state(cohort / "a.nii")
    moved = shutil.move(cohort, tmp_path / "elsewhere")
    assert state(moved / "a.nii") == before


def test_info_cfg_is_an_input_of_an_acdc_patient(heart, tmp_path):
    folder = write_acdc_patient(tmp_path, heart.study, heart.labels)
    before = state(folder)
    (folder / "Info.cfg").write_text((folder / "Info.cfg").read_text() + "Weight: 90\n")
    assert state(folder) != before


def test_every_file_of_a_dicom_study_is_an_input(heart, tmp_path):
    write_dicom(tmp_path / "heart", heart.study)
    before = state(tmp_path / "heart")
    file = next(path for path in sorted((tmp_path / "heart").rglob("*")) if path.is_file())
    file.unlink()
    assert state(tmp_path / "heart") != before


@pytest.mark.parametrize(("name", "beside"), [("a.hdr", "a.img"), ("a.img", "a.hdr"), ("a.hdr", "a.img.gz"), ("a.img.gz", "a.hdr")])
def test_header_and_pixels_that_lie_apart_are_both_inputs(tmp_path, name, beside):
    image = PlannedImage(tmp_path / name, tmp_path)
    assert list(files_of(image)) == [tmp_path / name]
    (tmp_path / beside).touch()
    assert list(files_of(image)) == [tmp_path / name, tmp_path / beside]


def test_the_hash_of_a_nifti_file_is_the_files(cohort, heart):
    image = PlannedImage(cohort / "a.nii", cohort)
    assert content_sha256(image, heart.study) == hashlib.sha256((cohort / "a.nii").read_bytes()).hexdigest()


def test_the_hash_of_a_pair_is_that_of_header_then_pixels_whichever_was_given(tmp_path, heart):
    (tmp_path / "a.hdr").write_bytes(b"header")
    (tmp_path / "a.img").write_bytes(b"pixels")
    hashes = {content_sha256(PlannedImage(tmp_path / name, tmp_path), heart.study) for name in ("a.hdr", "a.img")}
    assert hashes == {hashlib.sha256(b"headerpixels").hexdigest()}


def test_the_hash_of_a_dicom_study_knows_pixels_and_geometry_and_no_name(heart, tmp_path):
    write_dicom(tmp_path / "heart", heart.study)
    write_dicom(tmp_path / "other", replace(heart.study, subject=replace(heart.study.subject, identifier="somebody")))
    image = PlannedImage(tmp_path / "heart", tmp_path, dicom=True)
    first, second = read_dicom(tmp_path / "heart"), read_dicom(tmp_path / "other")
    expected = content_sha256(image, first)
    assert content_sha256(image, second) == expected
    pixels = first.pixels.copy()
    pixels[0, 0, 0, 0] += 1
    affine = first.affine + np.eye(4) * 0.01
    for changed in (replace(first, pixels=pixels), replace(first, affine=affine), replace(first, spacing=(9.0, 3.0, 3.0))):
        assert content_sha256(image, changed) != expected
