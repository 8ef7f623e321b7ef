"""Synthetic studies: what a reader of the files sees without this package's reader."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pydicom
import pytest
from pydicom.uid import RLELossless

from shortaxis.errors import InputError
from shortaxis.phantom import make_phantom
from shortaxis.phantom.dicom import MAKERS, Accidents, write_dicom


@pytest.fixture(scope="module")
def study():
    return make_phantom(1, n_phases=3, n_slices=4, spacing=(12, 6, 6)).study


def test_files_hold_the_pictures_where_the_phantom_says(tmp_path, study):
    files = write_dicom(tmp_path, study)
    assert len(files) == 12
    for number, file in enumerate(files):
        dataset = pydicom.dcmread(file)
        d, t = divmod(number, 3)
        assert np.array_equal(dataset.pixel_array, study.pixels[t, d])
        world = study.affine @ (d, 0, 0, 1)
        np.testing.assert_allclose(np.array(dataset.ImagePositionPatient, float) * [-1, -1, 1], world[:3], atol=1e-8)
        assert float(dataset.TriggerTime) == pytest.approx(study.phase_times[t])


def test_the_same_arguments_give_the_same_bytes(tmp_path, study):
    one, two = (write_dicom(tmp_path / name, study) for name in "ab")
    assert [file.read_bytes() for file in one] == [file.read_bytes() for file in two]


def test_makers_have_their_habits(tmp_path, study):
    read = {vendor: [pydicom.dcmread(file) for file in write_dicom(tmp_path / vendor, study, vendor=vendor)] for vendor in MAKERS}
    assert {vendor: len({one.SeriesInstanceUID for one in of}) for vendor, of in read.items()} == {"GE": 1, "SIEMENS": 4, "PHILIPS": 1}
    assert {vendor: "TriggerTime" in of[0] for vendor, of in read.items()} == {"GE": True, "SIEMENS": True, "PHILIPS": False}
    assert {one.TemporalPositionIdentifier for one in read["PHILIPS"]} == {1, 2, 3}
    assert float(read["PHILIPS"][0].RescaleSlope) == 0.5
    assert read["GE"][0].PixelRepresentation == 1


def test_uids_are_unique_and_valid(tmp_path, study):
    write_dicom(tmp_path, study, beside=True, accidents=Accidents(repeat=(1,)))
    datasets = [pydicom.dcmread(file, stop_before_pixels=True) for file in sorted(tmp_path.rglob("*.dcm"))]
    uids = [one.SOPInstanceUID for one in datasets]
    assert len(set(uids)) == len(uids) > 15
    assert all(uid.is_valid for uid in uids)
    assert len({one.StudyInstanceUID for one in datasets}) == 1


def test_accidents_happen(tmp_path, study):
    accidents = Accidents(drop=((0, 1),), drop_slices=(3,), copy=((1, 0),), repeat=(2,), offsets={1: 2.0}, shuffle=1)
    files = write_dicom(tmp_path, study, accidents=accidents)
    datasets = [pydicom.dcmread(file) for file in files]
    assert len(files) == 2 + 3 + 2 * 3 + 1
    assert len({one.SOPInstanceUID for one in datasets}) == len(files) - 1
    assert [file.name for file in files] != sorted(file.name for file in files)
    places = np.array(sorted({tuple(map(float, one.ImagePositionPatient)) for one in datasets}))
    gaps = np.sort(np.linalg.norm(np.diff(places, axis=0), axis=1))
    np.testing.assert_allclose(gaps, [10.0, 14.0], atol=1e-6)


def test_a_study_without_times_and_subject_can_be_written(tmp_path, study):
    bare = replace(study, phase_times=None, subject=replace(study.subject, identifier=None, height_cm=None, weight_kg=None))
    datasets = [pydicom.dcmread(file) for file in write_dicom(tmp_path, bare, transfer_syntax=RLELossless)]
    assert [float(one.TriggerTime) for one in datasets[:3]] == [0.0, 40.0, 80.0]
    assert "PatientSize" not in datasets[0]
    assert datasets[0].file_meta.TransferSyntaxUID == RLELossless


def test_one_phase_can_be_written(tmp_path, study):
    one = replace(study, pixels=study.pixels[:1], phase_times=(0.0,), end_systole=None)
    assert len(write_dicom(tmp_path, one)) == 4


@pytest.mark.parametrize("wrong", [{"vendor": "ACME"}, {"clock": "sundial"}])
def test_an_unknown_maker_or_clock_is_refused(tmp_path, study, wrong):
    with pytest.raises(InputError, match=r"vendor must be one of .*GE"):
        write_dicom(tmp_path, study, **wrong)
