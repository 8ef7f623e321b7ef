"""From DICOM files to a study: what was written is read, from every maker, in its place, and nothing else is taken."""

from __future__ import annotations

import itertools
import sys
import time
import warnings
from dataclasses import replace

import numpy as np
import pydicom
import pytest
import SimpleITK

from shortaxis.errors import DataWarning, InputError
from shortaxis.io import read, write_like
from shortaxis.io.dicom import DicomSource, read_dicom, survey_dicom
from shortaxis.io.dicom.scanning import scan_headers
from shortaxis.phantom.dicom import MAKERS, Accidents, write_dicom
from shortaxis.phantom.dicom_file import CANARY

TO_RAS = np.array([-1.0, -1.0, 1.0])


def simpleitk_points(path) -> np.ndarray:
    """World position (RAS+) of the four corner pixels of a single-frame file, as GDCM sees them."""
    image = SimpleITK.ReadImage(str(path))
    columns, rows, _ = image.GetSize()
    corners = itertools.product((0, rows - 1), (0, columns - 1))
    return np.array([image.TransformIndexToPhysicalPoint((w, h, 0)) for h, w in corners]) * TO_RAS


def study_points(study, d) -> np.ndarray:
    rows, columns = study.pixels.shape[2:]
    return np.array([study.affine @ (d, h, w, 1) for h in (0, rows - 1) for w in (0, columns - 1)])[:, :3]


def assert_in_place(study):
    for t, d in itertools.product(range(study.n_phases), range(study.n_slices)):
        instance = study.source.instances[t][d]
        assert np.abs(simpleitk_points(instance.path) - study_points(study, d)).max() < 0.01
        assert np.array_equal(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(instance.path)))[0], study.pixels[t, d])


@pytest.mark.parametrize("enhanced", [False, True])
@pytest.mark.parametrize("vendor", list(MAKERS))
def test_each_makers_study_is_read_as_it_was_written_whatever_the_order_of_files_and_slices(tmp_path, cine, vendor, enhanced):
    write_dicom(tmp_path / "A", cine, vendor=vendor, enhanced=enhanced, accidents=Accidents(shuffle=1, reverse=True))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        study = read(tmp_path / "A")
    assert np.array_equal(study.pixels, cine.pixels)
    np.testing.assert_allclose(study.affine, cine.affine, atol=1e-6)
    np.testing.assert_allclose(study.spacing, cine.spacing, atol=1e-6)
    assert study.phase_times == cine.phase_times
    assert study.subject.identifier == "A"
    assert (study.subject.height_cm, study.subject.weight_kg) == (175.0, 70.0)
    assert study.subject.vendor == MAKERS[vendor].name
    assert study.source.rr_interval == (None if vendor == "PHILIPS" else 800)
    assert study.source.notes == ()


@pytest.mark.parametrize(("written", "tesla"), [(None, None), ("1.5", 1.5), ("15000", 1.5), ("30000", 3.0), ("0", None)])
def test_field_strength_is_read_in_tesla(tmp_path, cine, written, tesla):
    for path in write_dicom(tmp_path, cine):
        dataset = pydicom.dcmread(path)
        if written is not None:
            dataset.MagneticFieldStrength = written
        dataset.save_as(path)
    assert read(tmp_path).subject.field_strength_t == tesla


@pytest.mark.parametrize(
    ("clock", "times"),
    [
        ("trigger", (0.0, 160.0, 320.0, 480.0, 640.0)),
        ("percentage", (0.0, 160.0, 320.0, 480.0, 640.0)),
        ("temporal", (0.0, 160.0, 320.0, 480.0, 640.0)),
        ("time", None),
        ("number", None),
    ],
)
def test_phases_are_ordered_by_whatever_clock_there_is(tmp_path, cine, clock, times):
    write_dicom(tmp_path, cine, clock=clock, accidents=Accidents(shuffle=2))
    study = read_dicom(tmp_path)
    assert np.array_equal(study.pixels, cine.pixels)
    assert study.phase_times == times


@pytest.fixture(scope="module")
def full_study(tmp_path_factory, cine):
    """A study with all that lies beside a cine."""
    folder = tmp_path_factory.mktemp("full") / "case7"
    write_dicom(folder, cine, beside=True)
    return folder


@pytest.fixture(scope="module")
def full_survey(full_study):
    return survey_dicom(full_study)


@pytest.fixture(scope="module")
def full_read(full_study):
    return read_dicom(full_study)


def test_the_cine_is_found_beside_everything_else(full_survey, full_read, cine):
    assert np.array_equal(full_read.pixels, cine.pixels)
    reasons = {finding.series[0]: finding.reason for finding in full_survey.findings}
    assert [finding.series for finding in full_survey.findings if finding.reason is None] == [(5,)]
    chosen = full_survey.findings[full_survey.chosen]
    assert (chosen.series, chosen.n_images, chosen.n_slices, chosen.n_phases) == ((5,), 25, 5, 5)
    for number, word in {1: "one image", 2: "1 slice", 3: "1 slice", 4: "1 slice", 90: "63° off", 91: "one image"}.items():
        assert word in reasons[number]
    for number, word in {92: "inversion time", 93: "more than one heartbeat", 94: "flow", 95: "phase of the signal"}.items():
        assert word in reasons[number]
    assert sorted(full_survey.others.values()) == ["is a colour image", "its modality is SR"]
    assert (full_survey.damaged, full_survey.n_strange) == ({}, 2)


def test_a_study_without_short_axis_cine_says_what_was_found_instead(full_study):
    with pytest.raises(InputError, match=r"series091: .*\(series 91: .*one image"):
        read_dicom(full_study / "series091")
    assert survey_dicom(full_study / "series091").chosen is None


def test_a_named_series_is_taken_although_it_is_no_short_axis(full_study):
    folder = full_study / "series090"
    by_number = read_dicom(folder, series=90)
    assert by_number.pixels.shape == (6, 4, 24, 24)
    uid = pydicom.dcmread(folder / "IM00001.dcm").SeriesInstanceUID
    assert np.array_equal(read_dicom(folder, series=uid).pixels, by_number.pixels)
    assert survey_dicom(folder, series=90).chosen == 0
    with pytest.raises(InputError, match="no such series"):
        read_dicom(folder, series=7)
    with pytest.raises(InputError, match="series 91: has one image at each slice"):
        read_dicom(full_study / "series091", series=91)


@pytest.mark.parametrize("flips", list(itertools.product((False, True), repeat=3)))
def test_each_voxel_is_within_a_hundredth_of_a_mm_of_simpleitk_for_every_handedness(tmp_path, cine, flips):
    axes = [1 + axis for axis, flip in enumerate(flips) if flip]
    turn = np.eye(4)
    for axis in axes:
        turn[axis - 1, axis - 1], turn[axis - 1, 3] = -1.0, cine.pixels.shape[axis] - 1.0
    flipped = replace(cine, pixels=np.flip(cine.pixels, axes).copy(), affine=cine.affine @ turn, phase_times=(0.0, 300.0))
    flipped = replace(flipped, pixels=flipped.pixels[:2])
    write_dicom(tmp_path, flipped)
    study = read_dicom(tmp_path)
    assert_in_place(study)
    in_plane = [axis for axis in axes if axis > 1]
    assert np.array_equal(study.pixels, np.flip(cine.pixels, in_plane)[:2]), "slices go from base to apex, rows and columns stay"


def test_a_sheared_stack_is_exactly_in_place_and_its_spacing_is_along_the_normal(tmp_path, cine):
    affine = cine.affine.copy()
    affine[:3, 0] += 0.6 * affine[:3, 1] / 1.5
    write_dicom(tmp_path, replace(cine, affine=affine, pixels=cine.pixels[:2], phase_times=(0.0, 300.0)))
    study = read_dicom(tmp_path)
    assert_in_place(study)
    assert study.spacing[0] == pytest.approx(8.0, abs=1e-6)


def test_uneven_slices_are_said_aloud_and_their_exact_places_kept(tmp_path, cine):
    write_dicom(tmp_path, cine, accidents=Accidents(offsets={3: 1.5}))
    with pytest.warns(DataWarning, match=r"8.0 mm .*9.5 mm between 3 and 4, 6.5 mm"):
        study = read_dicom(tmp_path)
    assert study.spacing[0] == pytest.approx(8.0)
    exact = np.array([simpleitk_points(instance.path)[0] for instance in study.source.instances[0]])
    np.testing.assert_allclose(study.source.positions, exact, atol=1e-6)
    np.testing.assert_allclose(study.affine[:3, 3], exact[0], atol=1e-6)


def test_a_missing_slice_is_said_aloud(tmp_path, cine):
    write_dicom(tmp_path, cine, accidents=Accidents(drop_slices=(2,)))
    with pytest.warns(DataWarning, match=r"16.0 mm between 2 and 3 .*base"):
        study = read_dicom(tmp_path)
    assert np.array_equal(study.pixels, cine.pixels[:, [0, 1, 3, 4]])


@pytest.mark.parametrize("vendor", list(MAKERS))
@pytest.mark.parametrize("enhanced", [False, True])
def test_a_missing_phase_is_filled_from_the_nearest_and_said_aloud(tmp_path, cine, vendor, enhanced):
    write_dicom(tmp_path, cine, vendor=vendor, enhanced=enhanced, accidents=Accidents(drop=((1, 0), (3, 4))))
    with pytest.warns(DataWarning, match="slices 2, 4 .*5 phases .*from 4"):
        study = read_dicom(tmp_path)
    kept = [(t, d) for t in range(5) for d in range(5) if (d, t) not in {(1, 0), (3, 4)}]
    assert all(np.array_equal(study.pixels[t, d], cine.pixels[t, d]) for t, d in kept)
    # Phase 0 of slice 1 lies between phases 4 and 1 of the cycle, phase 4 of slice 3 between 3 and 0: both are equally near.
    assert np.array_equal(study.pixels[0, 1], cine.pixels[1, 1]) or np.array_equal(study.pixels[0, 1], cine.pixels[4, 1])
    assert np.array_equal(study.pixels[4, 3], cine.pixels[3, 3]) or np.array_equal(study.pixels[4, 3], cine.pixels[0, 3])


@pytest.mark.parametrize("vendor", list(MAKERS))
@pytest.mark.parametrize("enhanced", [False, True])
def test_the_later_acquisition_of_a_slice_counts_and_this_is_said_aloud(tmp_path, cine, vendor, enhanced):
    write_dicom(tmp_path, cine, vendor=vendor, enhanced=enhanced, accidents=Accidents(repeat=(2,), shuffle=5))
    with pytest.warns(DataWarning, match="slice 3 was acquired 2 times"):
        study = read_dicom(tmp_path)
    assert np.array_equal(study.pixels, cine.pixels)


def test_a_stack_on_one_grid_is_never_resampled_and_its_slices_are_even(tmp_path, cine, monkeypatch):
    def fail(*_):
        raise AssertionError

    monkeypatch.setattr("shortaxis.io.dicom.pixels.resample", fail)
    write_dicom(tmp_path, cine, accidents=Accidents(shuffle=1))
    study = read_dicom(tmp_path)
    assert study.pixels.tobytes() == cine.pixels.tobytes()
    assert (study.slice_extents, study.gaps) == (None, ())
    assert not any(instance.resampled for phase in study.source.instances for instance in phase)


def test_deviating_slices_are_read_on_the_grid_of_the_others_and_named(tmp_path, cine, edit_files):
    """One slice has four more pixels on each side, another has its rows and columns exchanged."""

    def widen(dataset, _):
        row, column = np.split(np.array(dataset.ImageOrientationPatient, float), 2)
        dataset.ImagePositionPatient = list(np.array(dataset.ImagePositionPatient, float) - 4 * (1.25 * row + 1.5 * column))
        dataset.PixelData = np.pad(dataset.pixel_array, 4).tobytes()
        dataset.Rows, dataset.Columns = dataset.Rows + 8, dataset.Columns + 8

    def exchange(dataset, _):
        row, column = np.split(np.array(dataset.ImageOrientationPatient, float), 2)
        dataset.PixelData = dataset.pixel_array.T.copy().tobytes()
        dataset.ImageOrientationPatient, dataset.PixelSpacing = [*column, *row], [1.25, 1.5]
        dataset.Rows, dataset.Columns = dataset.Columns, dataset.Rows

    files = write_dicom(tmp_path, cine)
    edit_files(files[5:10], widen)
    edit_files(files[20:25], exchange)
    with pytest.warns(DataWarning, match="slice 2 .*44 × 48") as said:
        study = read_dicom(tmp_path)
    assert any("slice 5" in str(one.message) and "90.0°" in str(one.message) for one in said)
    np.testing.assert_allclose(study.pixels, cine.pixels, atol=1e-2)
    np.testing.assert_allclose(study.affine, cine.affine, atol=1e-5)
    assert [instance.resampled for instance in study.source.instances[0]] == [False, True, False, False, True]


def test_unevenly_planned_slices_have_extents_and_a_gap_has_none(tmp_path, cine):
    write_dicom(tmp_path / "uneven", cine, accidents=Accidents(offsets={3: 4.0, 4: 8.0}))
    with pytest.warns(DataWarning, match="half the distance"):
        study = read_dicom(tmp_path / "uneven")
    assert study.slice_extents == pytest.approx((8, 8, 10, 12, 12))
    assert study.gaps == ()
    write_dicom(tmp_path / "gap", cine, accidents=Accidents(drop_slices=(1, 2)))
    with pytest.warns(DataWarning, match="missing between 1 and 2, so volumes are lower bounds"):
        study = read_dicom(tmp_path / "gap")
    assert study.slice_extents == pytest.approx((8, 8, 8))
    assert study.gaps == (0,)


def test_copies_of_a_file_count_once(tmp_path, cine):
    write_dicom(tmp_path, cine, accidents=Accidents(copy=((0, 0), (4, 2))))
    with pytest.warns(DataWarning, match="2 images are there twice and counted once"):
        study = read_dicom(tmp_path)
    assert np.array_equal(study.pixels, cine.pixels)


def test_one_multi_frame_file_is_read_whatever_its_name(tmp_path, cine):
    (file,) = write_dicom(tmp_path, cine, enhanced=True)
    assert np.array_equal(read(file).pixels, cine.pixels)
    assert read(file).subject.identifier == "IM00000"
    bare = file.rename(tmp_path / "multiframe")
    assert np.array_equal(read(bare).pixels, cine.pixels)
    assert {instance.frame for phase in read(bare).source.instances for instance in phase} == set(range(25))


def test_one_image_alone_is_refused(tmp_path, cine):
    file = write_dicom(tmp_path, cine)[0]
    with pytest.raises(InputError, match=r"IM00000\.dcm: .* give the folder"):
        read(file)


def test_two_studies_in_one_folder_are_refused_by_name(tmp_path, cine):
    write_dicom(tmp_path / "one", cine)
    write_dicom(tmp_path / "two", replace(cine, subject=replace(cine.subject, identifier="other")))
    with pytest.raises(InputError, match=r"several studies; .*one"):
        read_dicom(tmp_path)


def test_no_tag_that_names_a_person_reaches_the_study(full_study, full_survey, full_read):
    study = full_read
    assert isinstance(study.source, DicomSource)
    told = repr((study.subject, study.source, full_survey)).replace(str(full_study), "")
    assert CANARY not in told.upper()
    assert "19011231" not in told, "the birth date"
    dataset = pydicom.dcmread(study.source.instances[0][0].path)
    assert CANARY in str(dataset.PatientName), "otherwise this test sees nothing"
    assert dataset.StudyInstanceUID not in told
    assert dataset.SeriesInstanceUID not in told
    assert dataset.SOPInstanceUID in told, "DICOM-SEG needs it"


def test_a_study_without_any_time_of_day_is_read(tmp_path, cine):
    for file in write_dicom(tmp_path, cine):
        dataset = pydicom.dcmread(file)
        del dataset.AcquisitionTime, dataset.ContentTime
        dataset.save_as(file)
    assert np.array_equal(read_dicom(tmp_path).pixels, cine.pixels)


@pytest.mark.parametrize("clock", ["time", "number"])
def test_multi_frame_files_without_a_clock_of_the_heart_are_ordered(tmp_path, cine, clock):
    write_dicom(tmp_path, cine, clock=clock, enhanced=True)
    assert np.array_equal(read_dicom(tmp_path).pixels, cine.pixels)


def test_height_in_cm_is_taken_as_such(tmp_path, cine):
    for file in write_dicom(tmp_path, cine):
        dataset = pydicom.dcmread(file)
        dataset.PatientSize = "175"
        dataset.save_as(file)
    assert read_dicom(tmp_path).subject.height_cm == 175


def test_without_pydicom_one_sentence_says_what_to_install(tmp_path, cine, monkeypatch):
    write_dicom(tmp_path, cine)
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(InputError, match=r"pip install 'shortaxis\[dicom\]'"):
        read(tmp_path)


def test_200_headers_are_scanned_in_a_second_of_one_core(tmp_path, cine):
    template = write_dicom(tmp_path / "one", cine)[0].read_bytes()
    for number in range(200):
        (tmp_path / f"{number}.dcm").write_bytes(template)
    start = time.process_time()
    assert len(scan_headers(tmp_path).planes) == 225
    assert time.process_time() - start < (3 if sys.gettrace() else 1)


def test_labels_of_a_dicom_study_lie_on_it_when_written_as_nifti(tmp_path, full_read):
    labels = (full_read.pixels[0] > full_read.pixels[0].mean()).astype(np.uint8)
    write_like(labels, full_read, tmp_path / "labels.nii.gz")
    image = SimpleITK.ReadImage(str(tmp_path / "labels.nii.gz"))
    for d, h, w in ((0, 0, 0), (4, 30, 7)):
        world = np.array(image.TransformIndexToPhysicalPoint((w, h, d))) * TO_RAS
        np.testing.assert_allclose(world, (full_read.affine @ (d, h, w, 1))[:3], atol=0.01)
        assert image[w, h, d] == labels[d, h, w]


@pytest.mark.data
def test_a_real_ge_study_is_in_place_and_in_order(sunnybrook):
    study = read(sunnybrook)
    assert study.pixels.shape == (20, 10, 256, 256)
    assert study.spacing == pytest.approx((8.0, 1.2891, 1.2891), abs=1e-4)
    assert study.phase_times[0] == 10
    assert np.all(np.diff(study.phase_times) > 0)
    assert study.source.rr_interval == 923
    assert study.source.notes == ()
    for t, d in ((0, 0), (0, 4), (7, 9), (19, 5)):
        path = study.source.instances[t][d].path
        assert np.abs(simpleitk_points(path) - study_points(study, d)).max() < 0.01
        assert np.array_equal(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))[0], study.pixels[t, d])
    toward_apex = study.affine[:3, 0] / np.linalg.norm(study.affine[:3, 0])
    assert toward_apex @ np.array([-0.65, 0.60, -0.45]) > 0.9
