"""The images that a segmentation refers to are found again, or the user is told why not."""

from __future__ import annotations

import pydicom
import pytest

from shortaxis.errors import InputError
from shortaxis.io.dicom import read_dicom
from shortaxis.io.dicom.sources import dicom_source, patient_and_study, source_frames
from shortaxis.phantom.dicom import write_dicom


def test_each_instance_of_a_study_is_found_again(tmp_path, cine):
    write_dicom(tmp_path, cine, vendor="SIEMENS")
    source = read_dicom(tmp_path).source
    for phase, frames in zip(source.instances, source_frames(source.instances), strict=True):
        for instance, frame in zip(phase, frames, strict=True):
            assert (frame.plane.path, frame.plane.sop_instance_uid, frame.number) == (instance.path, instance.sop_instance_uid, None)


def test_frames_of_a_multi_frame_file_are_counted_from_one(tmp_path, cine):
    (path,) = write_dicom(tmp_path, cine, enhanced=True)
    source = read_dicom(path).source
    (frames,) = source_frames(source.instances[:1])
    assert [frame.number for frame in frames] == [1, 6, 11, 16, 21]


def test_a_file_that_went_away_is_named(tmp_path, cine):
    write_dicom(tmp_path, cine)
    source = read_dicom(tmp_path).source
    gone = source.instances[2][3].path
    gone.unlink()
    with pytest.raises(InputError, match=rf"{gone.name}: is gone"):
        source_frames(source.instances)


def test_a_file_that_was_replaced_is_named(tmp_path, cine):
    write_dicom(tmp_path, cine)
    source = read_dicom(tmp_path).source
    one, other = source.instances[0][0].path, source.instances[1][0].path
    one.write_bytes(other.read_bytes())
    with pytest.raises(InputError, match=rf"{one.name}: is gone or has changed"):
        source_frames(source.instances)


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "SOPClassUID"])
def test_an_image_without_uids_cannot_be_referred_to(tmp_path, cine, keyword):
    for file in write_dicom(tmp_path, cine):
        dataset = pydicom.dcmread(file)
        del dataset[keyword]
        pydicom.dcmwrite(file, dataset)
    source = read_dicom(tmp_path).source
    with pytest.raises(InputError, match=r"lacks one of the UIDs"):
        source_frames(source.instances)


def test_two_images_of_one_uid_cannot_be_told_apart(tmp_path, cine):
    for file in write_dicom(tmp_path, cine):
        dataset = pydicom.dcmread(file)
        dataset.SOPInstanceUID = "1.2.3"
        dataset.save_as(file)
    source = read_dicom(tmp_path).source
    with pytest.raises(InputError, match=r"SOPInstanceUID of \S+IM\d+\.dcm"):
        source_frames(source.instances)


def test_a_study_without_dicom_source_is_refused_for_what_needs_one(cine):
    with pytest.raises(InputError, match=r"^DICOM-SEG needs .*read from DICOM"):
        dicom_source(cine, "DICOM-SEG")


def test_private_tags_and_pixels_are_not_taken_from_a_header(tmp_path, cine):
    file = write_dicom(tmp_path, cine)[0]
    dataset = pydicom.dcmread(file)
    dataset.private_block(0x0019, "MAKER", create=True).add_new(1, "LO", "secret")
    dataset.save_as(file)
    header = patient_and_study(file)
    assert "secret" not in str(header)
    assert "PixelData" not in header
    assert header.PatientID == dataset.PatientID
