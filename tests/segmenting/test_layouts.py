"""Which files of a folder are one study, and what the study is called."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from shortaxis.datasets.acdc import INFO
from shortaxis.errors import DataWarning
from shortaxis.phantom import make_phantom
from shortaxis.phantom.dicom import write_dicom
from shortaxis.segmenting import plan_studies
from shortaxis.segmenting.plan import LONGEST_NAME


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def plan(*inputs, **how):
    """Name of each fit study with the phases and labels of its images, in order."""
    return {study.name: [(image.phase, image.labels.as_posix()) for image in study.images] for study in plan_studies(inputs, **how)}


def problems(*inputs):
    return {study.source.name: str(study.problem) for study in plan_studies(inputs) if study.problem}


@pytest.mark.parametrize(("ed", "es"), [("X_ED", "X_ES"), ("X_ed", "X_es"), ("X_ED", "X_es"), ("X-ED", "X-ES"), ("a.b_ED", "a.b_ES")])
def test_a_pair_of_ed_and_es_is_one_study_with_both_known(tmp_path, ed, es):
    touch(tmp_path, f"{ed}.nii.gz", f"{es}.nii.gz", f"{ed}_gt.nii.gz", f"{es}_gt.nii.gz")
    stem = ed[:-3]
    assert plan(tmp_path) == {stem: [("ED", f"{ed}.nii.gz"), ("ES", f"{es}.nii.gz")]}
    with pytest.warns(DataWarning, match="2 label files"):
        assert list(plan(*sorted(tmp_path.iterdir()))) == [stem]


def test_pairs_beside_each_other_stay_apart_and_a_lone_frame_keeps_its_phase(tmp_path):
    touch(tmp_path, "A_ED.nii", "A_ES.nii", "B_ED.nii", "B_ES.nii", "C_ES.nii", "shoED.nii")
    assert {name: [phase for phase, _ in images] for name, images in plan(tmp_path).items()} == {
        "A": ["ED", "ES"],
        "B": ["ED", "ES"],
        "C_ES": ["ES"],
        "shoED": [None],
    }


def test_the_cine_beside_a_pair_belongs_to_its_study_and_comes_when_asked_for(tmp_path):
    touch(tmp_path, "X_ED.nii", "X_ES.nii", "X.nii")
    assert plan(tmp_path) == {"X": [("ED", "X_ED.nii"), ("ES", "X_ES.nii")]}
    whole = {"X": [("ED", "X_ED.nii"), ("ES", "X_ES.nii"), (None, "X.nii")]}
    assert plan(tmp_path, cine=True) == whole
    assert plan(*sorted(tmp_path.iterdir())) == whole, "what was given by name is not left out"


def test_images_in_folders_of_their_own_are_named_after_these(tmp_path):
    touch(tmp_path, "1000001/sa.nii.gz", "1000002/sa.nii.gz", "1000002/seg_sa.nii.gz", "more/1000003/sa.nii.gz", "empty/notes.txt")
    expected = {name: [(None, f"{name}.nii.gz")] for name in ("1000001", "1000002", "1000003")}
    assert plan(tmp_path) == expected
    files = sorted(path for path in tmp_path.rglob("sa.nii.gz"))
    assert plan(*files) == expected
    assert plan(*(file.parent for file in files)) == expected


def test_folders_of_one_name_and_folders_of_several_images_give_longer_names(tmp_path):
    touch(tmp_path, "a/scan/x.nii", "b/scan/x.nii", "c/x.nii", "c/y.nii", "d/d_x.nii", "d/y.nii", "e/ED.nii", "e/ES.nii")
    found = plan(tmp_path)
    assert set(found) == {"a_scan", "b_scan", "c_x", "c_y", "d_x", "d_y", "e"}
    assert found["e"] == [("ED", "e_ED.nii"), ("ES", "e_ES.nii")]


def test_long_axis_images_beside_short_axis_ones_are_left_out_in_one_sentence(tmp_path):
    touch(tmp_path, *(f"{patient}/{name}.nii.gz" for patient in "12" for name in ("sa", "la_2ch", "la_4ch")))
    with pytest.warns(DataWarning, match="4 long-axis"):
        assert set(plan(tmp_path)) == {"1", "2"}


def test_outputs_of_an_earlier_run_are_no_inputs(tmp_path):
    touch(tmp_path, "1/sa.nii.gz", "labels/segment.json", "labels/1.nii.gz", "labels/p/p.nii.gz")
    assert set(plan(tmp_path)) == {"1"}


def test_a_link_in_a_circle_ends(tmp_path):
    touch(tmp_path, "1/sa.nii.gz")
    (tmp_path / "1" / "up").symlink_to("..")
    (tmp_path / "2").symlink_to("1")
    assert set(plan(tmp_path)) == {"1"}


class TestInfo:
    @pytest.fixture
    def info(self, tmp_path):
        (tmp_path / INFO).write_text("ED: 1\nES: 3\nHeight: 170\nWeight: 70\n")
        return tmp_path

    @pytest.mark.parametrize("name", ["cine.nii.gz", "patient_4d.nii.gz", "patient_frame03.nii.gz"])
    def test_it_holds_for_a_file_beside_it_that_is_given_alone(self, info, name):
        touch(info, name)
        (study,) = plan_studies([info / name])
        assert (study.images[0].labels, study.indices.suffixes) == (Path(name), [".indices", ".json"])
        assert study.images[0].acdc.patient.end_systole == 3
        assert study.images[0].acdc.frame == (3 if "frame03" in name else None)

    def test_the_one_image_of_its_folder_may_have_any_name(self, info):
        touch(info, "cine.nii.gz", "cine_gt.nii.gz")
        (study,) = plan_studies([info])
        assert [(image.path.name, image.acdc.patient.end_diastole) for image in study.images] == [("cine.nii.gz", 1)]
        touch(info, "other.nii.gz")
        assert "several images" in problems(info)[info.name]

    def test_a_broken_one_is_a_problem_of_the_file_beside_it(self, info):
        touch(info, "cine.nii.gz")
        (info / INFO).write_text("ED: none\n")
        assert INFO in problems(info / "cine.nii.gz")["cine.nii.gz"]


class TestLeftOut:
    """What is wrong with one entry of a folder does not hinder the others."""

    def test_a_dangling_link_and_a_pipe_are_named(self, tmp_path):
        touch(tmp_path, "a.nii.gz")
        os.mkfifo(tmp_path / "pipe.nii.gz")
        (tmp_path / "gone.nii").symlink_to("nowhere.nii")
        found = problems(tmp_path)
        assert set(found) == {"pipe.nii.gz", "gone.nii"}
        assert "a pipe" in found["pipe.nii.gz"]
        assert "nowhere.nii" in found["gone.nii"]
        assert "a" in plan(tmp_path)
        assert problems(tmp_path / "pipe.nii.gz", tmp_path / "gone.nii") == found

    def test_so_they_are_in_folders_below(self, tmp_path):
        touch(tmp_path, "1/sa.nii.gz")
        (tmp_path / "2").mkdir()
        (tmp_path / "2" / "sa.nii.gz").symlink_to("gone.nii.gz")
        assert "gone" in problems(tmp_path)["sa.nii.gz"]
        assert "1" in plan(tmp_path)

    def test_a_folder_that_cannot_be_read_is_named(self, tmp_path, monkeypatch):
        touch(tmp_path, "1/sa.nii.gz", "2/sa.nii.gz")
        whole = Path.iterdir

        def iterdir(path):
            if path.name == "2":
                raise PermissionError(13, "Permission denied")
            return whole(path)

        monkeypatch.setattr(Path, "iterdir", iterdir)
        assert "Permission denied" in problems(tmp_path)["2"]
        assert "1" in plan(tmp_path)

    @pytest.mark.parametrize("stem", ["a" * 243, "é" * 121, f"a.{'b' * 240}", "a" * (LONGEST_NAME - len(".probabilities.nii.gz") + 1)])
    def test_a_name_that_is_too_long_for_its_outputs_says_to_rename_it(self, tmp_path, stem):
        touch(tmp_path, "b.nii.gz", f"{stem}.nii.gz")
        (problem,) = problems(tmp_path).values()
        assert "rename" in problem
        assert "b" in plan(tmp_path)

    def test_the_longest_name_that_fits_is_taken(self, tmp_path):
        touch(tmp_path, f"{'a' * (LONGEST_NAME - len('.probabilities.nii.gz'))}.nii")
        assert problems(tmp_path) == {}

    def test_a_name_that_no_disk_takes_is_a_problem_of_its_own(self, tmp_path):
        touch(tmp_path, "a.nii")
        assert list(plan(tmp_path / ("b" * 300 + ".nii"), tmp_path / "a.nii")) == ["b" * 300 + ".nii", "a"]


class TestReasons:
    @pytest.mark.parametrize(
        ("name", "start"), [("a.zip", b""), ("scan", b"\x1f\x8b\x08"), ("a.7z", b"7z\xbc\xaf\x27\x1c"), ("a.rar", b"Rar!")]
    )
    def test_an_archive_is_to_be_unpacked(self, tmp_path, name, start):
        (tmp_path / name).write_bytes(start + bytes(600))
        if name == "a.zip":
            with zipfile.ZipFile(tmp_path / name, "w") as archive:
                archive.writestr("IM1", b"")
        assert "unpack" in problems(tmp_path / name)[name]

    def test_so_it_is_in_a_folder_with_nothing_else(self, tmp_path):
        touch(tmp_path, "a.zip")
        assert "unpack" in problems(tmp_path)[tmp_path.name]


@pytest.fixture(scope="module")
def dicom(tmp_path_factory):
    """A study, `one`, and the same in one multi-frame file, `whole`."""
    folder = tmp_path_factory.mktemp("dicom")
    study = make_phantom(0, n_phases=2, n_slices=3, spacing=(12.0, 8.0, 8.0), identifier="one").study
    write_dicom(folder / "one", study)
    write_dicom(folder / "whole", study, enhanced=True)
    return folder


class TestPieces:
    def test_all_files_of_a_study_are_one_problem_that_says_to_give_the_folder(self, dicom, tmp_path):
        files = sorted(path for path in (dicom / "one").rglob("*") if path.is_file())
        touch(tmp_path, "a.nii")
        studies = plan_studies([tmp_path / "a.nii", *files])
        assert [study.name for study in studies if study.problem is None] == ["a"]
        (problem,) = [str(study.problem) for study in studies if study.problem]
        assert f"{len(files)} files" in problem
        assert "give the folder" in problem

    def test_one_file_of_many_names_its_folder(self, dicom):
        file = min(path for path in (dicom / "one").rglob("*") if path.is_file())
        assert str(file.parent) in problems(file)[file.name]

    def test_files_of_two_studies_are_two_problems(self, dicom, tmp_path):
        write_dicom(tmp_path / "two", make_phantom(1, n_phases=2, n_slices=3, spacing=(12.0, 8.0, 8.0), identifier="two").study)
        files = [path for root in (dicom / "one", tmp_path) for path in sorted(root.rglob("*")) if path.is_file()]
        assert [study.problem is None for study in plan_studies(files)] == [False, False]

    def test_multi_frame_files_are_studies(self, dicom, tmp_path):
        file = next(path for path in (dicom / "whole").rglob("*") if path.is_file())
        for name in ("x", "y"):
            shutil.copy(file, tmp_path / name)
        assert set(plan(tmp_path / "x", tmp_path / "y")) == {"x", "y"}

    def test_studies_in_folders_of_one_name_are_named_after_those_above(self, dicom, tmp_path):
        for patient in "12":
            shutil.copytree(dicom / "one", tmp_path / patient / "dicom")
        assert set(plan(*(tmp_path / patient / "dicom" for patient in "12"))) == {"1", "2"}

    def test_images_beside_dicom_studies_are_found_and_those_within_are_the_studys_own(self, dicom, tmp_path):
        shutil.copytree(dicom / "one", tmp_path / "all" / "one")
        touch(tmp_path / "all", "1/sa.nii.gz", "one/converted/x.nii")
        assert set(plan(tmp_path / "all" / "one")) == {"one"}
        write_dicom(tmp_path / "all" / "two", make_phantom(1, n_phases=2, n_slices=3, spacing=(12.0, 8.0, 8.0), identifier="b").study)
        assert set(plan(tmp_path / "all")) == {"1", "one", "two"}


def test_labels_of_a_folder_are_told_by_the_image_they_stand_beside(tmp_path):
    touch(tmp_path, "x.nii", "x_gt.nii", "x_seg.nii", "label_x.nii", "mask_y.nii", "y_pred.nii")
    assert set(plan(tmp_path)) == {"x", "mask_y", "y_pred"}


def test_no_pixels_are_read_of_a_plan(tmp_path):
    (tmp_path / "a.nii").write_bytes(np.zeros(10, np.uint8).tobytes())
    assert problems(tmp_path) == {}
