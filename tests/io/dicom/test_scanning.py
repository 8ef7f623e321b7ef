"""Junk in the folder: it is told apart from images, named when it matters, and never crashes the scan."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pydicom.data
import pytest

from shortaxis.errors import DataWarning, InputError
from shortaxis.io.dicom import is_dicom, read_dicom, survey_dicom
from shortaxis.io.dicom.scanning import scan_headers
from shortaxis.phantom.dicom import write_dicom


def edit(file, change):
    dataset = pydicom.dcmread(file)
    change(dataset)
    dataset.save_as(file)


def test_an_absent_path_and_an_empty_folder_are_named(tmp_path):
    with pytest.raises(InputError, match=r"none: no such folder"):
        read_dicom(tmp_path / "none")
    with pytest.raises(InputError, match="holds no DICOM image"):
        read_dicom(tmp_path)


def test_a_folder_of_text_holds_no_dicom_image(tmp_path):
    (tmp_path / "a.txt").write_text("text")
    (tmp_path / "b.dcm").write_text("x" * 500)
    with pytest.raises(InputError, match="holds no DICOM image"):
        read_dicom(tmp_path)


def test_another_modality_is_named(tmp_path, cine):
    for file in write_dicom(tmp_path, cine):
        edit(file, lambda dataset: setattr(dataset, "Modality", "CT"))
    with pytest.raises(InputError, match=r"IM00000\.dcm: .*modality is CT"):
        read_dicom(tmp_path)


def test_files_cut_short_are_left_out_by_name_and_the_rest_is_read(tmp_path, cine):
    files = write_dicom(tmp_path, cine)
    files[7].write_bytes(files[7].read_bytes()[:-10])
    files[13].write_bytes(files[13].read_bytes()[:400])
    with pytest.warns(DataWarning) as said:
        study = read_dicom(tmp_path)
    told = " ".join(str(one.message) for one in said)
    assert "IM00007.dcm is cut short; it is left out" in told
    assert "IM00013.dcm ends before its pixels" in told
    assert study.pixels.shape == cine.pixels.shape


def test_many_damaged_files_are_counted_not_listed(tmp_path, cine):
    files = write_dicom(tmp_path, cine)
    for file in files[:7]:
        file.write_bytes(file.read_bytes()[:-10])
    with pytest.warns(DataWarning) as said:
        read_dicom(tmp_path)
    told = [str(one.message) for one in said]
    assert sum("it is left out" in one for one in told) == 5
    assert any("and 2 more files are damaged" in one for one in told)


def test_a_file_cut_short_is_lost_to_the_chosen_series(tmp_path, cine):
    files = write_dicom(tmp_path, cine)
    files[7].write_bytes(files[7].read_bytes()[:-100])
    with pytest.warns(DataWarning):
        (lost,) = [note for note in read_dicom(tmp_path).source.lost if "cut short" in note]
    assert lost.startswith("1 image of")


def test_a_folder_of_damaged_files_names_the_first(tmp_path, cine):
    for file in write_dicom(tmp_path, cine):
        file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(InputError, match=r"IM00000\.dcm: is cut short"):
        read_dicom(tmp_path)


@pytest.mark.parametrize("where", ["meta", "body"])
def test_a_header_of_random_bytes_does_not_crash_the_scan(tmp_path, cine, where):
    rng = np.random.default_rng(3)
    for number, file in enumerate(write_dicom(tmp_path, cine)):
        content = bytearray(file.read_bytes())
        start = 132 if where == "meta" else 330 + 5 * number
        content[start : start + 40] = rng.integers(0, 256, 40, np.uint8).tobytes()
        file.write_bytes(content)
    scan = scan_headers(tmp_path)
    assert len(scan.planes) + len(scan.damaged) + len(scan.others) == 25


def test_the_oddities_that_pydicom_collects_do_not_crash_the_scan():
    folder = Path(pydicom.data.data_manager.DATA_ROOT) / "test_files"
    scan = scan_headers(folder)
    named = {path.name: reason for path, reason in (scan.damaged | scan.others).items()}
    assert named["CT_small.dcm"] == "its modality is CT"
    assert named["MR_truncated.dcm"] == "is cut short"
    assert {plane.path.name for plane in scan.planes} >= {"MR_small.dcm", "MR_small_bigendian.dcm", "MR_small_RLE.dcm"}


def test_an_unreadable_file_counts_as_damaged(tmp_path, cine, monkeypatch):
    file = write_dicom(tmp_path, cine)[0]

    def fail(*_, **__):
        raise ValueError

    monkeypatch.setattr(pydicom, "dcmread", fail)
    assert scan_headers(file).damaged == {file: "cannot be read (ValueError)"}


def test_a_file_that_may_not_be_opened_is_no_dicom(tmp_path):
    assert not is_dicom(tmp_path)


def test_images_without_pixels_or_place_are_told_apart(tmp_path, cine):
    files = write_dicom(tmp_path, cine)
    edit(files[0], lambda dataset: dataset.__delitem__("PixelData"))
    edit(files[1], lambda dataset: dataset.__delitem__("ImagePositionPatient"))
    edit(files[2], lambda dataset: setattr(dataset, "PixelSpacing", [0, 0]))
    edit(files[3], lambda dataset: setattr(dataset, "ImageOrientationPatient", [1, 0, 0, 1, 0, 0]))
    edit(files[4], lambda dataset: dataset.__delitem__("Rows"))
    scan = scan_headers(tmp_path)
    assert scan.damaged == {files[0]: "ends before its pixels, or never had any"}
    words = {files[1]: "no position", files[2]: "PixelSpacing", files[3]: "no position", files[4]: "not an image"}
    assert scan.others.keys() == words.keys()
    assert all(word in scan.others[file] for file, word in words.items())


def test_several_frames_without_functional_groups_have_no_place(tmp_path, cine):
    (file,) = write_dicom(tmp_path, cine, enhanced=True)
    edit(file, lambda dataset: dataset.__delitem__("PerFrameFunctionalGroupsSequence"))
    with pytest.raises(InputError, match="classic multi-frame"):
        read_dicom(file)


def test_an_enhanced_file_without_shared_groups_is_read_if_each_frame_says_all(tmp_path, cine):
    (file,) = write_dicom(tmp_path, cine, enhanced=True)

    def unshare(dataset):
        shared = dataset.SharedFunctionalGroupsSequence[0]
        for frame in dataset.PerFrameFunctionalGroupsSequence:
            frame.update(shared)
        del dataset.SharedFunctionalGroupsSequence

    edit(file, unshare)
    assert np.array_equal(read_dicom(file).pixels, cine.pixels)


def test_files_without_preamble_are_read(tmp_path, cine):
    for file in write_dicom(tmp_path, cine):
        dataset = pydicom.dcmread(file)
        plain = pydicom.Dataset(dataset)
        plain.save_as(file, implicit_vr=True, little_endian=True, enforce_file_format=False)
        assert file.read_bytes()[128:132] != b"DICM"
    assert np.array_equal(read_dicom(tmp_path).pixels, cine.pixels)


def test_values_that_break_the_standard_pass(tmp_path, cine):
    for file in write_dicom(tmp_path, cine):
        content = file.read_bytes()
        file.write_bytes(content.replace(b"20200101", b"20120000"))
    assert np.array_equal(read_dicom(tmp_path).pixels, cine.pixels)


def test_pydicoms_own_settings_are_left_as_they_were(tmp_path, cine):
    write_dicom(tmp_path, cine)
    before = pydicom.config.settings.reading_validation_mode
    survey_dicom(tmp_path)
    assert pydicom.config.settings.reading_validation_mode == before


def test_images_of_the_cine_that_lack_their_place_are_counted(tmp_path, cine):
    files = write_dicom(tmp_path, cine)
    for file in files[20:]:
        edit(file, lambda dataset: dataset.__delitem__("ImagePositionPatient"))
    with pytest.warns(DataWarning, match="5 images of its series cannot be used"):
        assert read_dicom(tmp_path).n_slices == 4


def test_decimal_commas_are_read(tmp_path, cine):
    for file in write_dicom(tmp_path, cine):
        content = file.read_bytes()
        for text in (b"1.5\\1.25", b"17.5"):
            content = content.replace(text, text.replace(b".", b","))
        file.write_bytes(content)
    study = read_dicom(tmp_path)
    assert np.array_equal(study.pixels, cine.pixels)
    assert study.spacing == pytest.approx(cine.spacing)


def test_a_link_to_nothing_is_left_out_by_name(tmp_path, cine):
    write_dicom(tmp_path, cine)
    (tmp_path / "gone.dcm").symlink_to("nowhere")
    with pytest.warns(DataWarning, match=r"gone\.dcm"):
        assert np.array_equal(read_dicom(tmp_path).pixels, cine.pixels)


def test_a_folder_with_an_archive_says_to_unpack_it(tmp_path):
    (tmp_path / "study.zip").write_bytes(b"PK\x03\x04" + bytes(60))
    with pytest.raises(InputError, match="unpack"):
        read_dicom(tmp_path)
