from __future__ import annotations

import shutil

import pytest
from pydicom import dcmread

from shortaxis.io.dicom import find_studies
from shortaxis.phantom.dicom import write_dicom


@pytest.fixture(scope="session")
def one_image(cine, tmp_path_factory):
    return write_dicom(tmp_path_factory.mktemp("cine"), cine)[0]


@pytest.fixture
def put(one_image, tmp_path):
    """Put an image of a study into a folder."""

    def put(place: str, study: str | None, name: str = "IM1"):
        header = dcmread(one_image)
        header.StudyInstanceUID = study
        folder = tmp_path / place
        folder.mkdir(parents=True, exist_ok=True)
        header.save_as(folder / name)

    return put


def names(folder):
    return [path.relative_to(folder).as_posix() for path in find_studies(folder)]


def test_series_in_folders_of_their_own_are_one_study(put, tmp_path):
    put("series1", "1.1")
    put("series2/deep", "1.1")
    assert names(tmp_path) == ["."]


def test_each_study_has_the_highest_folder_that_holds_no_other(put, tmp_path):
    put("anna/study/series1", "1.1")
    put("anna/study/series2", "1.1")
    put("bert/first/series1", "1.2")
    put("bert/second/series1", "1.3")
    (tmp_path / "notes").mkdir()
    assert names(tmp_path) == ["anna", "bert/first", "bert/second"]


def test_studies_that_share_a_folder_count_as_one(put, tmp_path):
    put(".", "1.1")
    put("series1", "1.2")
    assert names(tmp_path) == ["."]


def test_studies_whose_files_are_interleaved_count_as_one(put, tmp_path):
    for place, study in (("a/1", "1.1"), ("a/2", "1.2"), ("b/1", "1.1"), ("b/2", "1.2")):
        put(place, study)
    assert names(tmp_path) == ["."]


def test_a_study_uid_for_each_file_tells_no_study_whatever_lies_beside(put, tmp_path):
    for number in range(4):
        put("cine", f"1.{number}", name=f"IM{number}")
    put("scout", "1.8")
    put("report", "1.9")
    assert names(tmp_path) == ["."]


def test_a_folder_without_dicom_has_none(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    assert find_studies(tmp_path) == []


def test_files_without_study_belong_to_the_others(put, tmp_path, one_image):
    put("a", None)
    assert names(tmp_path) == ["."]
    put("b", "1.1")
    put("b", None, name="A_DICOMDIR")
    (tmp_path / "b" / "A_damaged").write_bytes(one_image.read_bytes()[:140])
    assert names(tmp_path) == ["."]
    put("c", "1.2")
    assert names(tmp_path) == ["b", "c"]


def test_a_file_that_breaks_the_reader_is_passed_over(put, tmp_path, monkeypatch):
    put("a", "1.1")

    def fail(*_arguments, **_options):
        raise ZeroDivisionError

    monkeypatch.setattr("pydicom.dcmread", fail)
    assert names(tmp_path) == ["."]


def test_the_top_need_not_be_absolute(put, tmp_path, monkeypatch):
    put("a", "1.1")
    put("b", "1.2")
    monkeypatch.chdir(tmp_path)
    assert [str(path) for path in find_studies(".")] == ["a", "b"]
    shutil.rmtree(tmp_path / "b")
    assert [str(path) for path in find_studies(".")] == ["."]
