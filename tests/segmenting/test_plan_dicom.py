"""Which DICOM studies an input stands for, and what their outputs are called."""

from __future__ import annotations

import shutil
import sys

import pytest

from shortaxis.phantom import make_phantom
from shortaxis.phantom.dicom import write_dicom
from shortaxis.segmenting import plan_studies


@pytest.fixture(scope="session")
def studies(tmp_path_factory):
    root = tmp_path_factory.mktemp("dicom")
    for seed, name in enumerate(("one", "two")):
        study = make_phantom(seed, n_phases=2, n_slices=3, spacing=(12.0, 8.0, 8.0), identifier=name).study
        write_dicom(root / name, study)
    write_dicom(root / "enhanced", study, enhanced=True)
    return root


@pytest.fixture
def one(studies, tmp_path):
    return shutil.copytree(studies / "one", tmp_path / "one")


def rows(*inputs):
    return [(study.name, study.source, study.images[0].labels.as_posix(), study.indices.as_posix()) for study in plan_studies(inputs)]


def test_a_study_folder_gives_outputs_of_its_name(one):
    assert rows(one) == [("one", one, "one.nii.gz", "one.indices.json")]


def test_a_folder_may_be_named_by_dots(one, monkeypatch):
    monkeypatch.chdir(one / "series005")
    assert [row[0] for row in rows("..")] == ["one"]


def test_a_folder_of_studies_gives_each(one, studies, tmp_path):
    shutil.copytree(studies / "two", tmp_path / "two")
    assert [row[:2] for row in rows(tmp_path)] == [("one", one), ("two", tmp_path / "two")]


def test_studies_of_one_name_are_told_apart_by_the_folders_above(tmp_path):
    # anna has two studies and bert has two, so the folders below them are the studies' own; `first` is there twice.
    for place in ("anna/first", "anna/second", "bert/first", "bert/third"):
        study = make_phantom(0, n_phases=2, n_slices=3, spacing=(12.0, 8.0, 8.0), identifier=place).study
        write_dicom(tmp_path / place, study)
    assert [row[0] for row in rows(tmp_path)] == ["anna_first", "second", "bert_first", "third"]


@pytest.mark.parametrize("name", ["scan.dcm", "scan.IMA", "scan"])
def test_a_multi_frame_file_gives_outputs_of_its_name_without_the_ending(studies, tmp_path, name):
    file = next(path for path in (studies / "enhanced").rglob("*") if path.is_file())
    shutil.copy(file, tmp_path / name)
    assert rows(tmp_path / name) == [("scan", tmp_path / name, "scan.nii.gz", "scan.indices.json")]


def test_a_name_with_dots_that_are_no_ending_stays_whole(studies, tmp_path):
    file = next(path for path in (studies / "enhanced").rglob("*") if path.is_file())
    shutil.copy(file, tmp_path / "1.2.840")
    assert rows(tmp_path / "1.2.840")[0][0] == "1.2.840"


def test_without_pydicom_the_folder_is_a_problem_that_says_what_to_install(one, monkeypatch):
    monkeypatch.setitem(sys.modules, "pydicom", None)
    (study,) = plan_studies([one])
    assert "pip install 'shortaxis[dicom]'" in str(study.problem)
