"""Masks from DICOM-SEG: what was written is read, what was corrected elsewhere too, and what contradicts itself is refused."""

from __future__ import annotations

import shutil
import warnings
from dataclasses import replace

import highdicom
import numpy as np
import pydicom
import pytest

from shortaxis.errors import InputError
from shortaxis.io.dicom import read_dicom, read_dicom_seg, write_dicom_seg
from shortaxis.phantom.dicom import Accidents, write_dicom


def some_labels(shape) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 4, shape, np.uint8)


def read_quietly(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return read_dicom(folder)


@pytest.fixture(scope="module")
def study(tmp_path_factory, cine):
    folder = tmp_path_factory.mktemp("source") / "case7"
    write_dicom(folder, cine)
    return read_dicom(folder)


@pytest.fixture(scope="module")
def labels(study):
    return some_labels(study.pixels.shape)


@pytest.fixture(scope="module")
def written(tmp_path_factory, study, labels):
    """The second and the fourth phase."""
    return write_dicom_seg(labels, study, tmp_path_factory.mktemp("out"), model_name="m", phases=[1, 3])


@pytest.fixture
def changed(tmp_path, written):
    """Change the object of the second phase and give its path."""

    def change(edit):
        dataset = pydicom.dcmread(written[0])
        edit(dataset)
        dataset.save_as(tmp_path / "changed.dcm")
        return tmp_path / "changed.dcm"

    return change


def paint(dataset, frame, number):
    """Fill a frame of an object with ones, and let it be of another segment."""
    pixels = dataset.pixel_array.copy()
    pixels[frame] = 1
    dataset.PixelData = np.packbits(pixels.ravel(), bitorder="little").tobytes()
    dataset.PerFrameFunctionalGroupsSequence[frame].SegmentIdentificationSequence[0].ReferencedSegmentNumber = number


def test_the_phases_that_were_written_are_read(written, study, labels):
    read = read_dicom_seg(written[0].parent, study)
    assert read.phases == (1, 3)
    assert read.labels.dtype == np.uint8
    assert np.array_equal(read.labels, labels[[1, 3]])
    assert read_dicom_seg(written[1], study).phases == (3,)


@pytest.mark.parametrize(("vendor", "enhanced"), [("SIEMENS", False), ("SIEMENS", True), ("PHILIPS", True)])
def test_labels_of_each_kind_of_study_come_back_as_they_went(tmp_path, cine, vendor, enhanced):
    write_dicom(tmp_path / "in", cine, vendor=vendor, enhanced=enhanced, accidents=Accidents(reverse=True, offsets={2: 1.5}))
    study = read_quietly(tmp_path / "in")
    labels = some_labels(study.pixels.shape)
    write_dicom_seg(labels, study, tmp_path / "out", model_name="m", phases=[4, 0])
    read = read_dicom_seg(tmp_path / "out", study)
    assert read.phases == (0, 4)
    assert np.array_equal(read.labels, labels[[0, 4]])


def test_files_beside_the_masks_do_no_harm(tmp_path, written, study, labels):
    shutil.copy(written[0], tmp_path / "sub.dcm")
    shutil.copy(study.source.instances[0][0].path, tmp_path / "image.dcm")
    (tmp_path / "note.txt").write_text("ED only")
    assert np.array_equal(read_dicom_seg(tmp_path, study).labels, labels[1:2])


def test_a_corrected_pixel_is_read_as_corrected(changed, study, labels):
    corrected = labels[1].copy()
    h, w = np.argwhere(corrected[2] == 0)[0]
    corrected[2, h, w] = 3

    def correct(dataset):
        uid = study.source.instances[1][2].sop_instance_uid
        pixels = dataset.pixel_array.copy()
        for group, mask in zip(dataset.PerFrameFunctionalGroupsSequence, pixels, strict=True):
            of = group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
            if of == uid and group.SegmentIdentificationSequence[0].ReferencedSegmentNumber == 3:
                mask[h, w] = 1
        dataset.PixelData = np.packbits(pixels.ravel(), bitorder="little").tobytes()

    assert np.array_equal(read_dicom_seg(changed(correct), study).labels[0], corrected)


@pytest.mark.parametrize("kind", ["LABELMAP", "FRACTIONAL"])
def test_other_types_of_segmentation_are_read_too(tmp_path, study, labels, written, kind):
    images = [pydicom.dcmread(instance.path) for instance in study.source.instances[1]]
    for image in images:
        image.StudyTime = ""
    kept = pydicom.dcmread(written[0]).SegmentSequence
    pixels = labels[1] if kind == "LABELMAP" else np.stack([0.6 * (labels[1] == n) + 0.4 * (labels[1] != n) for n in (1, 2, 3)], axis=-1)
    segments = [highdicom.seg.SegmentDescription.from_dataset(item) for item in kept]
    segmentation = highdicom.seg.Segmentation(
        images, pixels, kind, segments, highdicom.UID(), 9, highdicom.UID(), 1, "maker", "model", "1", "1"
    )
    segmentation.save_as(tmp_path / "seg.dcm")
    read = read_dicom_seg(tmp_path / "seg.dcm", study)
    assert read.phases == (1,)
    assert np.array_equal(read.labels[0], labels[1])


def test_segments_of_other_structures_are_left_out(changed, study, labels):
    def rename(dataset):
        dataset.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0].CodeValue = "82471001"  # the left atrium

    assert np.array_equal(read_dicom_seg(changed(rename), study).labels[0], np.where(labels[1] == 1, 0, labels[1]))


def test_masks_that_name_no_image_are_left_out(changed, study):
    def forget(dataset):
        for number, group in enumerate(dataset.PerFrameFunctionalGroupsSequence):
            if number % 2:
                del group.DerivationImageSequence
            else:
                del group.DerivationImageSequence[0].SourceImageSequence

    with pytest.raises(InputError, match=r"no segmentation .*case7"):
        read_dicom_seg(changed(forget), study)


def test_the_groups_that_frames_share_are_looked_at(changed, study, labels):
    def first_segment(dataset):
        pixels = dataset.pixel_array[:5]
        dataset.PixelData = np.packbits(pixels.ravel(), bitorder="little").tobytes()
        dataset.NumberOfFrames = 5
        dataset.PerFrameFunctionalGroupsSequence = dataset.PerFrameFunctionalGroupsSequence[:5]
        shared, first = dataset.SharedFunctionalGroupsSequence[0], dataset.PerFrameFunctionalGroupsSequence[0]
        shared.SegmentIdentificationSequence = first.SegmentIdentificationSequence
        for group in dataset.PerFrameFunctionalGroupsSequence:
            del group.SegmentIdentificationSequence

    assert np.array_equal(read_dicom_seg(changed(first_segment), study).labels[0], labels[1] * (labels[1] == 1))


def forget_time(dataset):
    for group in dataset.PerFrameFunctionalGroupsSequence:
        del group.FrameContentSequence[0].TemporalPositionIndex


@pytest.mark.parametrize("timed", [True, False])
def test_an_image_that_stands_for_two_phases_is_taken_for_that_of_its_file(tmp_path, cine, timed):
    write_dicom(tmp_path / "in", cine, accidents=Accidents(drop=((1, 0),)))
    study = read_quietly(tmp_path / "in")
    both = [t for t, phase in enumerate(study.source.instances) if phase[1] == study.source.instances[0][1]]
    assert len(both) == 2
    labels = some_labels(study.pixels.shape)
    for file in write_dicom_seg(labels, study, tmp_path / "out", model_name="m", phases=both):
        if not timed:
            dataset = pydicom.dcmread(file)
            forget_time(dataset)
            dataset.save_as(file)
    assert np.array_equal(read_dicom_seg(tmp_path / "out", study).labels, labels[both])


def test_a_mask_that_does_not_say_which_of_two_phases_counts_for_both(tmp_path, cine):
    write_dicom(tmp_path / "in", cine, accidents=Accidents(drop=((1, 0),)))
    study = read_quietly(tmp_path / "in")
    twice = study.source.instances[0][1]
    (other,) = [t for t in range(1, 5) if study.source.instances[t][1] == twice]
    labels = some_labels(study.pixels.shape)
    (file,) = write_dicom_seg(labels, study, tmp_path / "out", model_name="m", phases=[0])
    dataset = pydicom.dcmread(file)
    forget_time(dataset)
    for group in dataset.PerFrameFunctionalGroupsSequence:
        (image,) = group.DerivationImageSequence[0].SourceImageSequence
        if image.ReferencedSOPInstanceUID != twice.sop_instance_uid:
            image.ReferencedSOPInstanceUID = "1.2.3"
    dataset.save_as(file)
    read = read_dicom_seg(file, study)
    assert read.phases == (0, other)
    assert all(np.array_equal(phase[1], labels[0, 1]) for phase in read.labels)
    assert not read.labels[:, [0, 2, 3, 4]].any()


def test_a_multi_frame_file_as_a_whole_names_no_image(tmp_path, cine):
    (path,) = write_dicom(tmp_path / "in", cine, enhanced=True)
    study = read_dicom(path)
    (file,) = write_dicom_seg(some_labels(study.pixels.shape), study, tmp_path / "out", model_name="m", phases=[0])
    dataset = pydicom.dcmread(file)
    for group in dataset.PerFrameFunctionalGroupsSequence[5:]:
        del group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber
    dataset.save_as(file)
    assert set(np.unique(read_dicom_seg(file, study).labels)) == {0, 1}, "only the first segment still says which frames it is of"


def test_overlapping_structures_are_refused(changed, study):
    with pytest.raises(InputError, match=r"changed.dcm: .*overlap in phase 2, slice"):
        read_dicom_seg(changed(lambda dataset: paint(dataset, 0, 1)), study)


def test_two_objects_of_one_phase_are_refused(tmp_path, written, study):
    for name in ("a.dcm", "b.dcm"):
        shutil.copy(written[0], tmp_path / name)
    with pytest.raises(InputError, match=r"b\.dcm: holds phase 2, .*another file"):
        read_dicom_seg(tmp_path, study)


def test_masks_of_another_study_are_refused(tmp_path, cine, written):
    write_dicom(tmp_path / "other", replace(cine, subject=replace(cine.subject, identifier="other")))
    with pytest.raises(InputError, match=r"no segmentation .*other"):
        read_dicom_seg(written[0], read_dicom(tmp_path / "other"))


def test_masks_on_a_finer_grid_are_refused(changed, study):
    def refine(dataset):
        pixels = dataset.pixel_array.repeat(2, axis=1).repeat(2, axis=2)
        dataset.Rows, dataset.Columns = pixels.shape[1:]
        dataset.PixelData = np.packbits(pixels.ravel(), bitorder="little").tobytes()

    with pytest.raises(InputError, match=r"\(72, 80\) pixels, .*\(36, 40\)"):
        read_dicom_seg(changed(refine), study)


def move(dataset):
    for group in dataset.PerFrameFunctionalGroupsSequence:
        group.PlanePositionSequence[0].ImagePositionPatient[2] += 3.0


def turn(dataset):
    (orientation,) = dataset.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence
    orientation.ImageOrientationPatient = [*orientation.ImageOrientationPatient[3:], *orientation.ImageOrientationPatient[:3]]


@pytest.mark.parametrize(("edit", "said"), [(move, "3.0 mm off"), (turn, "or is turned")])
def test_masks_in_another_place_are_refused(changed, study, edit, said):
    with pytest.raises(InputError, match=rf"changed.dcm: a mask lies .*{said}"):
        read_dicom_seg(changed(edit), study)


def test_a_file_that_is_cut_short_is_named(tmp_path, written, study):
    (tmp_path / "short.dcm").write_bytes(written[0].read_bytes()[:-800])
    with pytest.raises(InputError, match=r"short.dcm: .*cannot be read \(\w+\)"):
        read_dicom_seg(tmp_path / "short.dcm", study)


def test_an_absent_path_is_named(tmp_path, study):
    with pytest.raises(InputError, match=r"nowhere: no such file or folder"):
        read_dicom_seg(tmp_path / "nowhere", study)


def test_masks_need_a_study_from_dicom(written, cine):
    with pytest.raises(InputError, match=r"^DICOM-SEG needs .*read from DICOM"):
        read_dicom_seg(written[0], cine)
