"""Outputs tell names, not places."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shortaxis.segmenting.naming import shown_message, shown_notes, shown_path
from shortaxis.segmenting.plan import PlannedStudy


@pytest.mark.parametrize("path", ["/data/SMITH/heart", "SMITH/heart", "SMITH/../heart", "heart/", "./heart"])
def test_of_a_path_its_name_is_told(path):
    assert shown_path(Path(path), keep=False) == "heart"


def test_the_current_folder_has_a_name(tmp_path, monkeypatch):
    (tmp_path / "heart").mkdir()
    monkeypatch.chdir(tmp_path / "heart")
    assert shown_path(Path(), keep=False) == "heart"


def test_where_identifiers_are_kept_the_path_is_told_in_full(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shown_path(Path("heart"), keep=True) == str(tmp_path / "heart")


def test_messages_lose_the_folders_however_they_are_written(tmp_path, monkeypatch):
    (tmp_path / "SMITH" / "heart").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "SMITH")
    monkeypatch.chdir(tmp_path)
    study = PlannedStudy("heart", Path("link/heart"))
    for folder in ("link", str(tmp_path / "link"), os.path.realpath("link")):
        message = f"{folder}/heart/IM1: is damaged; get {folder}/heart anew"
        assert shown_message(message, study, keep=False) == "a file of heart: is damaged; get heart anew"
        assert shown_message(message, study, keep=True) == message


@pytest.mark.parametrize("place", ["", "series005/", "series005/SMITH^JANE 2/"])
@pytest.mark.parametrize("gone", [False, True])
def test_messages_do_not_name_what_lies_in_a_study_whether_it_is_still_there_or_not(tmp_path, monkeypatch, place, gone):
    study = PlannedStudy("heart", tmp_path / "heart")
    path = tmp_path / "heart" / (place + ("SMITH JANE.dcm" if gone else "SMITH: JANE.dcm"))
    path.parent.mkdir(parents=True)
    for other in (path.with_name("SMITH"), *([] if gone else [path])):
        other.touch()
    assert shown_message(f"{path}: is cut short; get it anew", study, keep=False) == "a file of heart: is cut short; get it anew"
    monkeypatch.chdir(tmp_path / "heart")
    if not gone:
        message = f"{path.relative_to(tmp_path / 'heart')}: is cut short"
        assert shown_message(message, PlannedStudy("heart", Path()), keep=False) == "a file of heart: is cut short"


def test_a_message_without_a_colon_ends_where_a_file_is_named_that_is_gone(tmp_path):
    (tmp_path / "heart").mkdir()
    assert shown_message(f"see {tmp_path}/heart/SMITH", PlannedStudy("heart", tmp_path / "heart"), keep=False) == "see a file of heart"


def test_notes_do_not_name_files_that_may_be_called_like_a_patient(tmp_path):
    (tmp_path / "heart").mkdir()
    for name in ("SMITH", "SMITH 2", "1"):
        (tmp_path / "heart" / name).touch()
    study = PlannedStudy("heart", tmp_path / "heart")
    notes = ("SMITH 2 is cut short; it is left out", "1 phase is missing", "12 images are there twice", "the slices are 10 mm apart")
    assert shown_notes(notes, study, keep=False) == [
        "a file is cut short; it is left out",
        "1 phase is missing",
        "12 images are there twice",
        "the slices are 10 mm apart",
    ]
    assert shown_notes(notes, study, keep=True) == list(notes)
