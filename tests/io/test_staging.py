from __future__ import annotations

from pathlib import Path

import pytest

from shortaxis.errors import InputError
from shortaxis.io.staging import staged


def below(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def fill(stage, *names, fail=False):
    for name in names:
        (stage / name).write_text("after")
    if fail:
        raise ZeroDivisionError


def test_files_appear_together_in_their_subfolders(tmp_path):
    with staged(tmp_path / "a" / "out") as stage:
        (stage / "sub").mkdir()
        (stage / "sub" / "one").write_text("1")
        (stage / "two").write_text("2")
        assert not (tmp_path / "a" / "out" / "two").exists()
    assert below(tmp_path) == ["a/out/sub/one", "a/out/two"]


def test_an_error_leaves_the_folder_as_it_was(tmp_path):
    (tmp_path / "two").write_text("before")
    with pytest.raises(ZeroDivisionError), staged(tmp_path) as stage:
        fill(stage, "two", fail=True)
    assert below(tmp_path) == ["two"]
    assert (tmp_path / "two").read_text() == "before"


def test_an_error_takes_a_folder_that_was_not_there_away_again(tmp_path):
    with pytest.raises(ZeroDivisionError), staged(tmp_path / "a" / "b"):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_what_stands_there_is_replaced(tmp_path):
    (tmp_path / "two").write_text("before")
    with staged(tmp_path) as stage:
        (stage / "two").write_text("after")
    assert (tmp_path / "two").read_text() == "after"


def test_a_place_that_cannot_be_written_is_an_input_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file/out: cannot be written .*--out"), staged(tmp_path / "file" / "out"):
        pass


def test_a_file_that_cannot_be_moved_takes_the_others_with_it(tmp_path):
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "inside").write_text("")
    with pytest.raises(InputError, match="cannot be written"), staged(tmp_path) as stage:
        fill(stage, "one", "two")
    assert below(tmp_path) == ["two/inside"]


def test_a_system_error_inside_the_block_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="No such file"), staged(tmp_path):
        Path(tmp_path / "absent").read_text()


def test_what_was_replaced_returns_when_a_later_file_cannot_be_moved(tmp_path):
    (tmp_path / "one").write_text("before")
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "inside").write_text("")
    with pytest.raises(InputError, match="cannot be written"), staged(tmp_path) as stage:
        fill(stage, "one", "two")
    assert below(tmp_path) == ["one", "two/inside"]
    assert (tmp_path / "one").read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]
