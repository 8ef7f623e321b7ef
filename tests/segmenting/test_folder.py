"""One run at a time works in a folder, and nothing half-written stays in it."""

from __future__ import annotations

import errno

import pytest

from shortaxis.errors import InputError
from shortaxis.segmenting.folder import working_in


def test_a_folder_that_stays_empty_goes_again_with_those_above_it(tmp_path):
    with working_in(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b").is_dir()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_there_or_is_filled_stays(tmp_path):
    with working_in(tmp_path):
        pass
    with working_in(tmp_path / "new"):
        (tmp_path / "new" / "file").touch()
    assert (tmp_path / "new" / "file").is_file()


def test_a_second_run_is_refused_while_the_first_is_at_work_and_welcome_after(tmp_path):
    with working_in(tmp_path), pytest.raises(InputError, match="another run is writing there"), working_in(tmp_path):
        pass
    with working_in(tmp_path):
        pass


def test_what_a_killed_run_left_goes_and_nothing_else(tmp_path):
    (tmp_path / ".partial-x" / "patient").mkdir(parents=True)
    (tmp_path / ".partial-x" / "patient" / "labels.nii").touch()
    (tmp_path / ".before-y").mkdir()
    (tmp_path / ".partial-z.json").touch()
    for name in (".hidden", "labels.nii"):
        (tmp_path / name).touch()
    with working_in(tmp_path):
        assert sorted(path.name for path in tmp_path.iterdir()) == [".hidden", "labels.nii"]


def test_a_link_named_like_a_leftover_is_not_followed(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "dear").touch()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".partial-x").symlink_to(tmp_path / "elsewhere")
    with working_in(tmp_path / "out"):
        pass
    assert (tmp_path / "elsewhere" / "dear").is_file()


def test_a_file_in_the_place_of_the_folder_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"), working_in(tmp_path / "file" / "out"):
        pass


def test_a_file_system_without_locks_is_no_hindrance(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    with working_in(tmp_path):
        pass


def test_a_system_without_locks_is_no_hindrance(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.platform", "win32")
    with working_in(tmp_path), working_in(tmp_path):
        pass
