"""Labels as DICOM-SEG: each mask on its own source image, in its place in the patient, in an object that others can read."""

from __future__ import annotations

import itertools
import subprocess
import sys
import warnings
from dataclasses import replace

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom.uid import UID

from shortaxis.endocardium import Endocardium
from shortaxis.errors import InputError
from shortaxis.io.dicom import read_dicom, read_dicom_seg, write_dicom_seg
from shortaxis.phantom.dicom import Accidents, write_dicom
from shortaxis.phantom.dicom_file import CANARY
from shortaxis.study import Study

TO_RAS = np.array([-1.0, -1.0, 1.0])
CODES = {1: ("53085002", "Right ventricle"), 2: ("49848007", "Left Ventricle Myocardium"), 3: ("87878005", "Left ventricle")}
SHA = "0123456789abcdef" * 4


def blobs(shape) -> np.ndarray:
    """Labels with no symmetry: each phase and slice has its own, the last slice none."""
    labels = np.zeros(shape, np.uint8)
    for t, d in itertools.product(range(shape[0]), range(shape[1] - 1)):
        labels[t, d, 3 + d : 20 + t, 5 + t : 30] = 2
        labels[t, d, 6 + d : 12 + t, 8 + t : 20 + d] = 3
        labels[t, d, 24 + t : 30 + d // 2 + t // 3, 3 + d : 17 - t] = 1
    return labels


def read_quietly(folder, **options) -> Study:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return read_dicom(folder, **options)


def frames_of(dataset):
    """(segment number, UID and frame number of the source, position, mask) of each frame, by plain pydicom."""
    for group, mask in zip(dataset.PerFrameFunctionalGroupsSequence, dataset.pixel_array, strict=True):
        (derivation,) = group.DerivationImageSequence
        (image,) = derivation.SourceImageSequence
        number = group.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        position = np.array(group.PlanePositionSequence[0].ImagePositionPatient, float)
        yield number, (image.ReferencedSOPInstanceUID, image.get("ReferencedFrameNumber")), position, mask


def centre_by_simpleitk(file, number, folder) -> np.ndarray:
    """Centre (RAS+) of one segment as SimpleITK sees it, given an object with this segment alone: it takes all frames for one stack."""
    dataset = pydicom.dcmread(file)
    groups = dataset.PerFrameFunctionalGroupsSequence
    kept = [i for i, group in enumerate(groups) if group.SegmentIdentificationSequence[0].ReferencedSegmentNumber == number]
    bits = np.packbits(dataset.pixel_array[kept].ravel(), bitorder="little").tobytes()
    dataset.PixelData = bits + b"\0" * (len(bits) % 2)
    dataset.NumberOfFrames = len(kept)
    dataset.PerFrameFunctionalGroupsSequence = [groups[i] for i in kept]
    dataset.save_as(folder / "one.dcm")
    image = SimpleITK.ReadImage(str(folder / "one.dcm"))
    d, h, w = (axis.mean() for axis in np.nonzero(SimpleITK.GetArrayFromImage(image)))
    return np.array(image.TransformContinuousIndexToPhysicalPoint((w, h, d))) * TO_RAS


def assert_in_place(files, labels, study, folder):
    for file, phase in zip(files, labels, strict=True):
        for number in CODES:
            centre = study.affine @ [*(axis.mean() for axis in np.nonzero(phase == number)), 1.0]
            assert np.abs(centre_by_simpleitk(file, number, folder) - centre[:3]).max() < 0.01


@pytest.fixture(scope="module")
def source(tmp_path_factory, cine):
    """A study as GE writes it, its slices numbered from apex to base."""
    folder = tmp_path_factory.mktemp("source") / "case7"
    write_dicom(folder, cine, accidents=Accidents(shuffle=3, reverse=True))
    return folder


@pytest.fixture(scope="module")
def study(source):
    return read_dicom(source)


@pytest.fixture(scope="module")
def labels(study):
    return blobs(study.pixels.shape)


@pytest.fixture(scope="module")
def files(tmp_path_factory, study, labels):
    return write_dicom_seg(labels, study, tmp_path_factory.mktemp("out") / "seg", model_name="release", model_sha256=SHA)


@pytest.fixture(scope="module")
def datasets(files):
    return [pydicom.dcmread(file) for file in files]


@pytest.mark.parametrize(("vendor", "enhanced"), [("GE", False), ("SIEMENS", False), ("GE", True), ("SIEMENS", True)])
def test_each_mask_is_on_the_image_that_it_was_made_from(tmp_path, cine, vendor, enhanced):
    sources = write_dicom(tmp_path / "in", cine, vendor=vendor, enhanced=enhanced, accidents=Accidents(shuffle=1, reverse=True))
    images = {}
    for dataset in map(pydicom.dcmread, sources):
        stack = dataset.pixel_array.reshape(-1, *cine.pixels.shape[2:])
        images |= {(dataset.SOPInstanceUID, number if enhanced else None): image for number, image in enumerate(stack, start=1)}
    labels = blobs(cine.pixels.shape)
    files = write_dicom_seg(labels, read_dicom(tmp_path / "in"), tmp_path / "out", model_name="m", phases=[0, 2, 4])
    seen = set()
    for t, file in zip((0, 2, 4), files, strict=True):
        for number, image, _, mask in frames_of(pydicom.dcmread(file)):
            # The brightness of an image of this cine says its slice and phase.
            level = int(images[image].min()) // 10 * 10
            d, phase = (level - 100) // 100, level % 100 // 10
            assert phase == t
            assert np.array_equal(mask, labels[t, d] == number)
            seen.add((t, d, number))
    assert len(seen) == 3 * 5 * 3, "every structure of every slice of each of three phases"


def test_the_parameters_of_the_algorithm_name_the_endocardium(tmp_path, study, labels):
    (file,) = write_dicom_seg(labels, study, tmp_path / "seg", model_name="m", phases=[0], endocardium=Endocardium.COMPACT)
    for segment in pydicom.dcmread(file).SegmentSequence:
        assert "endocardium=compact" in segment.SegmentationAlgorithmIdentificationSequence[0].AlgorithmParameters


def test_highdicom_gives_the_labels_of_each_source_image(files, study, labels):
    for t, file in enumerate(files):
        segmentation = highdicom.seg.segread(file)
        uids = [instance.sop_instance_uid for instance in study.source.instances[t]]
        assert np.array_equal(segmentation.get_pixels_by_source_instance(uids, combine_segments=True), labels[t])


def test_highdicom_gives_the_volume_where_the_affine_puts_it(files, study, labels):
    volume = highdicom.seg.segread(files[2]).get_volume(combine_segments=True)
    index = np.argwhere(volume.array == 3).mean(axis=0)
    expected = study.affine @ [*np.argwhere(labels[2] == 3).mean(axis=0), 1.0]
    np.testing.assert_allclose((volume.affine @ [*index, 1.0])[:3] * TO_RAS, expected[:3], atol=0.01)
    assert volume.spatial_shape == labels.shape[1:], "slices without a structure are there too"


@pytest.mark.parametrize("flips", list(itertools.product((False, True), repeat=3)))
def test_simpleitk_finds_the_masks_in_their_place_for_every_handedness(tmp_path, cine, flips):
    axes = [axis for axis, flip in enumerate(flips) if flip]
    turn = np.eye(4)
    for axis in axes:
        turn[axis, axis], turn[axis, 3] = -1.0, cine.pixels.shape[1 + axis] - 1.0
    pixels = np.flip(cine.pixels, [1 + axis for axis in axes])[:2].copy()
    write_dicom(tmp_path / "in", replace(cine, pixels=pixels, affine=cine.affine @ turn, phase_times=(0.0, 300.0)))
    study = read_dicom(tmp_path / "in")
    labels = blobs(study.pixels.shape)
    files = write_dicom_seg(labels, study, tmp_path / "out", model_name="m", phases=[1])
    assert_in_place(files, labels[1:], study, tmp_path)


def test_simpleitk_finds_the_masks_of_an_axial_stack_in_their_place(tmp_path, cine):
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ np.array([[0, 0, 1.25, -20.5], [0, 1.5, 0, 31.25], [8.0, 0, 0, -12.0], [0, 0, 0, 1.0]])
    write_dicom(tmp_path / "in", replace(cine, affine=affine))
    study = read_dicom(tmp_path / "in", series=5)
    labels = blobs(study.pixels.shape)
    assert_in_place(write_dicom_seg(labels, study, tmp_path / "out", model_name="m", phases=[0, 4]), labels[[0, 4]], study, tmp_path)


@pytest.mark.parametrize("vendor", ["SIEMENS", "PHILIPS"])
def test_simpleitk_finds_the_masks_of_multi_frame_files_in_their_place(tmp_path, cine, vendor):
    write_dicom(tmp_path / "in", cine, vendor=vendor, enhanced=True, accidents=Accidents(reverse=True))
    study = read_dicom(tmp_path / "in")
    labels = blobs(study.pixels.shape)
    assert_in_place(write_dicom_seg(labels, study, tmp_path / "out", model_name="m", phases=[3]), labels[3:4], study, tmp_path)


def test_unevenly_spaced_slices_keep_their_exact_places(tmp_path, cine):
    sources = write_dicom(tmp_path / "in", cine, accidents=Accidents(offsets={3: 1.5}))
    there = {dataset.SOPInstanceUID: np.array(dataset.ImagePositionPatient, float) for dataset in map(pydicom.dcmread, sources)}
    study = read_quietly(tmp_path / "in")
    (file,) = write_dicom_seg(blobs(study.pixels.shape), study, tmp_path / "out", model_name="m", phases=[2])
    places = [(uid, position) for _, (uid, _), position, _ in frames_of(pydicom.dcmread(file))]
    assert len(places) == 15
    for uid, position in places:
        np.testing.assert_allclose(position, there[uid], atol=1e-6)


def test_structures_are_coded_and_named_and_coloured(datasets):
    colours = {1: (0x56, 0xB4, 0xE9), 2: (0xF0, 0xE4, 0x42), 3: (0xD5, 0x5E, 0x00)}
    for dataset in datasets:
        assert (dataset.SOPClassUID.name, dataset.SegmentationType, dataset.Modality) == ("Segmentation Storage", "BINARY", "SEG")
        assert [item.SegmentLabel for item in dataset.SegmentSequence] == ["RV cavity", "LV myocardium", "LV cavity"]
        for item in dataset.SegmentSequence:
            (kind,), (category,) = item.SegmentedPropertyTypeCodeSequence, item.SegmentedPropertyCategoryCodeSequence
            assert (kind.CodeValue, kind.CodeMeaning) == CODES[item.SegmentNumber]
            assert (category.CodeValue, category.CodeMeaning) == ("91723000", "Anatomical Structure")
            assert {kind.CodingSchemeDesignator, category.CodingSchemeDesignator} == {"SCT"}
            colour = highdicom.color.CIELabColor.from_dicom_value(item.RecommendedDisplayCIELabValue).to_rgb(clip=True)
            np.testing.assert_allclose(colour, colours[item.SegmentNumber], atol=2)


def test_the_algorithm_and_the_model_are_named(datasets):
    for item in datasets[0].SegmentSequence:
        (algorithm,) = item.SegmentationAlgorithmIdentificationSequence
        assert (item.SegmentAlgorithmType, item.SegmentAlgorithmName, algorithm.AlgorithmName) == ("AUTOMATIC", "shortaxis", "shortaxis")
        assert "release" in algorithm.AlgorithmParameters
        assert SHA in algorithm.AlgorithmParameters
    assert (datasets[0].Manufacturer, datasets[0].ManufacturerModelName) == ("shortaxis", "release")
    assert datasets[0].DeviceSerialNumber == SHA


def test_an_object_belongs_to_the_patient_and_the_study_of_its_source(datasets, source):
    image = pydicom.dcmread(next(source.rglob("*.dcm")))
    shared = ["PatientID", "PatientName", "PatientBirthDate", "PatientSex", "PatientSize", "StudyInstanceUID", "StudyDate", "StudyID"]
    for keyword in [*shared, "StudyDescription", "AccessionNumber", "ReferringPhysicianName", "FrameOfReferenceUID"]:
        assert {str(dataset[keyword].value) for dataset in datasets} == {str(image[keyword].value)}
    assert CANARY in str(image.PatientName)


def test_the_objects_form_one_new_series_with_a_number_for_each_phase(datasets, source):
    images = [pydicom.dcmread(file, stop_before_pixels=True) for file in source.rglob("*.dcm")]
    (series,), instances = {dataset.SeriesInstanceUID for dataset in datasets}, {dataset.SOPInstanceUID for dataset in datasets}
    assert series not in {image.SeriesInstanceUID for image in images}
    assert len(instances) == 5
    assert not instances & {image.SOPInstanceUID for image in images}
    assert all(UID(uid).is_valid for uid in (series, *instances))
    assert [dataset.InstanceNumber for dataset in datasets] == [1, 2, 3, 4, 5]
    assert {dataset.SeriesNumber for dataset in datasets} == {1005}
    assert {dataset.SeriesDescription for dataset in datasets} == {"shortaxis RV, LV myocardium, LV"}
    assert datasets[2].ContentDescription == "Phase 3 of 5, 320 ms"
    for dataset in datasets:
        contents = [group.FrameContentSequence[0] for group in dataset.PerFrameFunctionalGroupsSequence]
        assert {content.TemporalPositionIndex for content in contents} == {dataset.InstanceNumber}
        assert len({tuple(content.DimensionIndexValues) for content in contents}) == 15


def test_a_structure_is_tracked_through_the_phases(datasets):
    tracks = {(item.SegmentNumber, item.TrackingUID) for dataset in datasets for item in dataset.SegmentSequence}
    assert sorted(number for number, _ in tracks) == [1, 2, 3]


@pytest.mark.parametrize("enhanced", [False, True])
def test_an_object_names_the_series_and_images_that_it_was_derived_from(tmp_path, cine, enhanced):
    sources = write_dicom(tmp_path / "in", cine, vendor="SIEMENS", enhanced=enhanced)
    images = {dataset.SOPInstanceUID: dataset for dataset in map(pydicom.dcmread, sources)}
    study = read_dicom(tmp_path / "in")
    (file,) = write_dicom_seg(blobs(study.pixels.shape), study, tmp_path / "out", model_name="m", phases=[1])
    dataset = pydicom.dcmread(file)
    assert len(dataset.ReferencedSeriesSequence) == 5, "Siemens makes a series of each slice"
    listed = [(series.SeriesInstanceUID, item) for series in dataset.ReferencedSeriesSequence for item in series.ReferencedInstanceSequence]
    for series, item in listed:
        image = images[item.ReferencedSOPInstanceUID]
        assert (image.SeriesInstanceUID, image.SOPClassUID) == (series, item.ReferencedSOPClassUID)
    derived = {uid for _, (uid, _), _, _ in frames_of(dataset)}
    assert {item.ReferencedSOPInstanceUID for _, item in listed} == derived
    assert {item.ReferencedSOPInstanceUID for item in dataset.SourceImageSequence} == derived
    assert {item.get("ReferencedFrameNumber") for item in dataset.SourceImageSequence} == {2 if enhanced else None}
    for group in dataset.PerFrameFunctionalGroupsSequence:
        item = group.DerivationImageSequence[0].SourceImageSequence[0]
        assert item.ReferencedSOPClassUID == images[item.ReferencedSOPInstanceUID].SOPClassUID
        assert item.SpatialLocationsPreserved == "YES"


def test_one_multi_frame_file_is_listed_once_with_its_frames(tmp_path, cine):
    (path,) = write_dicom(tmp_path / "in", cine, enhanced=True)
    study = read_dicom(path)
    (file,) = write_dicom_seg(blobs(study.pixels.shape), study, tmp_path / "out", model_name="m", phases=[1])
    dataset = pydicom.dcmread(file)
    (item,) = dataset.SourceImageSequence
    assert list(item.ReferencedFrameNumber) == [2, 7, 12, 17, 22], "the second of five phases, slice after slice"
    (series,) = dataset.ReferencedSeriesSequence
    (instance,) = series.ReferencedInstanceSequence
    assert "ReferencedFrameNumber" not in instance


def test_ed_and_es_alone_are_written_on_demand_in_the_order_asked_for(tmp_path, study, labels):
    known = replace(study, end_diastole=0, end_systole=3)
    files = write_dicom_seg(
        labels, known, tmp_path / "seg", model_name="m", phases=[3, 0, 3], series_description="corrected\\by " + "x" * 80
    )
    assert [file.name for file in files] == ["phase04.dcm", "phase01.dcm"]
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "seg", tmp_path / "seg" / "phase01.dcm", tmp_path / "seg" / "phase04.dcm"]
    es, ed = map(pydicom.dcmread, files)
    assert (ed.ContentDescription, es.ContentDescription) == ("Phase 1 of 5, 0 ms, end-diastole", "Phase 4 of 5, 480 ms, end-systole")
    assert ed.SeriesDescription.startswith("corrected/by xxx")
    assert len(ed.SeriesDescription) == 64, "the most that DICOM allows"
    assert ed.DeviceSerialNumber == "unknown"


def test_a_phase_that_stands_in_for_a_missing_one_refers_to_the_image_that_it_stands_for(tmp_path, cine):
    write_dicom(tmp_path / "in", cine, accidents=Accidents(drop=((1, 0),)))
    study = read_quietly(tmp_path / "in")
    labels = blobs(study.pixels.shape)
    twice = study.source.instances[0][1]
    both = [t for t, phase in enumerate(study.source.instances) if twice in phase]
    assert len(both) == 2
    for t, file in zip(both, write_dicom_seg(labels, study, tmp_path / "out", model_name="m", phases=both), strict=True):
        segmentation = highdicom.seg.segread(file)
        uids = [instance.sop_instance_uid for instance in study.source.instances[t]]
        assert np.array_equal(segmentation.get_pixels_by_source_instance(uids, combine_segments=True), labels[t])
        places = {(number, tuple(position)) for number, _, position, _ in frames_of(segmentation)}
        assert len(places) == 15, "no two frames of one structure lie at one place"


def test_a_phase_without_any_structure_is_written_as_such(tmp_path, study, labels):
    (file,) = write_dicom_seg(labels * 0, study, tmp_path, model_name="m", phases=[0])
    segmentation = highdicom.seg.segread(file)
    assert segmentation.NumberOfFrames == 15
    assert not segmentation.pixel_array.any()


def test_a_header_as_some_anonymisers_leave_it_still_gives_a_valid_object(tmp_path, cine):
    for number, file in enumerate(write_dicom(tmp_path / "in", cine)):
        dataset = pydicom.dcmread(file)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset.PatientBirthDate, dataset.StudyDate, dataset.StudyTime = "00000000", "20120000", "noon"
            dataset.PatientSex, dataset.SpecificCharacterSet = "X", "ISO_IR 100"
            dataset.PatientName = "Müller^Jörg"
            dataset.FrameOfReferenceUID = f"1.2.3.{number}"
            dataset.ImageOrientationPatient[0] = f"{float(dataset.ImageOrientationPatient[0]) + 1e-7 * (number % 3):.9f}"
            del dataset.PatientID, dataset.AccessionNumber, dataset.ReferringPhysicianName, dataset.SliceThickness
            dataset.PatientAge = "045Y"
            dataset.ProcedureCodeSequence = [pydicom.Dataset()]
            dataset.ProcedureCodeSequence[0].CodeMeaning = "Größe"
            dataset.save_as(file)
        spoilt = file.read_bytes().replace(b"\x10\x00\x30\x10DS\x02\x0070", b"\x10\x00\x30\x10DS\x02\x007?")
        file.write_bytes(spoilt.replace(b"AS\x04\x00045Y", b"ZZ\x04\x00045Y"))
    study = read_quietly(tmp_path / "in")
    (file,) = write_dicom_seg(blobs(study.pixels.shape), study, tmp_path / "out", model_name="", phases=[0])
    dataset = highdicom.seg.segread(file)
    assert (dataset.PatientBirthDate, dataset.StudyDate, dataset.StudyTime, dataset.PatientSex) == ("", "", "", "")
    assert (dataset.PatientID, dataset.AccessionNumber, dataset.ReferringPhysicianName) == ("", "", "")
    assert str(dataset.PatientName) == "Müller^Jörg"
    assert dataset.ProcedureCodeSequence[0].CodeMeaning == "Größe"
    assert "PatientWeight" not in dataset, "7? kg are none"
    assert "PatientAge" not in dataset, "of the unknown type ZZ"
    assert dataset.FrameOfReferenceUID.startswith("1.2.3.")
    assert dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SliceThickness == pytest.approx(8.0)
    assert dataset.ManufacturerModelName == "unknown"


def test_an_image_without_frame_of_reference_is_given_one(tmp_path, cine):
    for file in write_dicom(tmp_path / "in", cine):
        dataset = pydicom.dcmread(file)
        del dataset.FrameOfReferenceUID
        dataset.save_as(file)
    study = read_dicom(tmp_path / "in")
    files = write_dicom_seg(blobs(study.pixels.shape), study, tmp_path / "out", model_name="m", phases=[0, 1])
    (uid,) = {pydicom.dcmread(file).FrameOfReferenceUID for file in files}
    assert UID(uid).is_valid


def test_a_study_that_was_not_read_from_dicom_is_refused(tmp_path, cine):
    with pytest.raises(InputError, match=r"^DICOM-SEG needs .*read from DICOM"):
        write_dicom_seg(blobs(cine.pixels.shape), cine, tmp_path, model_name="m")


@pytest.mark.parametrize("phases", [[], [5], [-1, 0]])
def test_phases_that_the_study_lacks_are_refused(tmp_path, study, labels, phases):
    with pytest.raises(InputError, match=r"case7: .*phases 0 to 4"):
        write_dicom_seg(labels, study, tmp_path, model_name="m", phases=phases)


def test_labels_of_another_shape_are_refused(tmp_path, study, labels):
    with pytest.raises(ValueError, match="do not fit"):
        write_dicom_seg(labels[:, 1:], study, tmp_path, model_name="m")


def test_without_highdicom_one_sentence_says_what_to_install(tmp_path, study, labels, monkeypatch):
    monkeypatch.setitem(sys.modules, "highdicom", None)
    monkeypatch.setitem(sys.modules, "highdicom.seg", None)
    with pytest.raises(InputError, match=r"pip install 'shortaxis\[dicom\]'$"):
        write_dicom_seg(labels, study, tmp_path, model_name="m")


def test_importing_the_formats_does_not_import_highdicom():
    code = "import sys, shortaxis.io.dicom; print('highdicom' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip() == "False"


def test_where_one_object_cannot_be_written_none_is(tmp_path, study, labels, monkeypatch):
    save_as, calls = pydicom.Dataset.save_as, itertools.count()

    def full_disk(*arguments, **options):
        if next(calls) == 1:
            raise OSError(28, "No space left on device")
        return save_as(*arguments, **options)

    monkeypatch.setattr(pydicom.Dataset, "save_as", full_disk)
    with pytest.raises(InputError, match=r"seg: cannot be written \(No space"):
        write_dicom_seg(labels, study, tmp_path / "seg", model_name="m")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.data
def test_masks_of_a_real_ge_study_lie_on_its_images(tmp_path, sunnybrook):
    study = read_quietly(sunnybrook)
    labels = np.random.default_rng(0).integers(0, 4, study.pixels.shape, np.uint8)
    files = write_dicom_seg(labels, study, tmp_path / "seg", model_name="m", phases=[0, 13])
    for t, file in zip((0, 13), files, strict=True):
        for number, (uid, _), _, mask in frames_of(pydicom.dcmread(file)):
            (d,) = [d for d, instance in enumerate(study.source.instances[t]) if instance.sop_instance_uid == uid]
            assert np.array_equal(mask, labels[t, d] == number)
    assert_in_place(files, labels[[0, 13]], study, tmp_path)
    assert np.array_equal(read_dicom_seg(tmp_path / "seg", study).labels, labels[[0, 13]])
