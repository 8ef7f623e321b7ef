"""What a run has done survives a kill at any byte, and is told from what it has not."""

from __future__ import annotations

import json

import pytest

from shortaxis.errors import InputError
from shortaxis.segmenting.journal import DONE, FAILED, Journal
from shortaxis.segmenting.plan import JOURNAL, MANIFEST

HEAD = {"shortaxis_version": "1", "model": {"sha256": "a"}, "options": {}, "date": "today"}


def done(name, state="s"):
    return {"study": name, "indices": f"{name}.indices.json", "status": DONE, "state": state}


def failed(name, **more):
    return {"study": name, "status": FAILED, "error": "é", **more}


def names(journal):
    return [row["study"] for row in journal.rows()]


def resumed(folder):
    journal = Journal(folder, HEAD, resume=True)
    try:
        return names(journal)
    finally:
        journal.close()


def test_a_killed_run_goes_on_from_the_last_whole_line_wherever_it_was_cut(tmp_path):
    journal = Journal(tmp_path, HEAD)
    for row in (done("a"), failed("b"), done("ü")):
        journal.append(row)
    journal.close()
    whole = (tmp_path / JOURNAL).read_bytes()
    ends = [offset + 1 for offset, byte in enumerate(whole) if byte == ord("\n")]
    kept = {0: [], 1: [], 2: ["a"], 3: ["a"], 4: ["a", "ü"]}
    for cut in range(len(whole) + 1):
        (tmp_path / JOURNAL).write_bytes(whole[:cut])
        journal = Journal(tmp_path, HEAD, resume=True)
        expected = kept[sum(end <= cut for end in ends)]
        assert names(journal) == expected, cut
        journal.append(done("z"))
        assert names(journal) == [*expected, "z"], cut
        journal.close()
        assert resumed(tmp_path) == [*expected, "z"], cut


def test_nothing_is_written_before_the_first_success_and_the_failures_before_it_are_kept(tmp_path):
    journal = Journal(tmp_path, HEAD)
    journal.append(failed("a"))
    assert not journal.is_open
    assert list(tmp_path.iterdir()) == []
    journal.append(done("b"))
    assert names(journal) == ["a", "b"]
    journal.close()


def test_the_manifest_holds_one_study_a_line_and_takes_the_place_of_the_journal(tmp_path):
    journal = Journal(tmp_path, HEAD)
    for row in (done("a"), failed("b")):
        journal.append(row)
    journal.fold({"segmented": 1})
    assert [path.name for path in tmp_path.iterdir()] == [MANIFEST]
    text = (tmp_path / MANIFEST).read_text(encoding="utf-8")
    assert json.loads(text) == HEAD | {"segmented": 1, "studies": [done("a"), failed("b")]}
    assert sum('"study"' in line for line in text.splitlines()) == 2


def test_a_finished_run_is_resumed_by_its_manifest_however_it_is_laid_out(tmp_path):
    journal = Journal(tmp_path, HEAD)
    journal.append(done("a"))
    journal.fold({})
    (tmp_path / MANIFEST).write_text(json.dumps(json.loads((tmp_path / MANIFEST).read_text()), indent=4))
    journal = Journal(tmp_path, HEAD | {"date": "tomorrow"}, resume=True)
    assert journal.finished("a.indices.json") == done("a")
    assert journal.finished("b.indices.json") is None
    journal.append(done("b"))
    journal.fold({})
    content = json.loads((tmp_path / MANIFEST).read_text())
    assert [row["study"] for row in content["studies"]] == ["a", "b"]
    assert content["date"] == "tomorrow"


def test_the_last_row_of_a_study_counts_and_old_failures_do_not(tmp_path):
    journal = Journal(tmp_path, HEAD)
    for row in (done("a", "old"), failed("b"), failed("c", indices="c.indices.json"), done("d")):
        journal.append(row)
    journal.close()
    journal = Journal(tmp_path, HEAD, resume=True)
    assert names(journal) == ["a", "d"]
    journal.append(done("a", "new"))
    journal.append(failed("d", indices="d.indices.json"))
    assert [(row["study"], row["status"]) for row in journal.rows()] == [("a", DONE), ("d", FAILED)]
    assert journal.finished("a.indices.json") == done("a", "new")
    assert journal.finished("d.indices.json") is None
    journal.close()
    assert resumed(tmp_path) == ["a"]


@pytest.mark.parametrize("folded", [False, True])
def test_without_resume_an_earlier_record_counts_no_more_from_the_first_publishing_on(tmp_path, folded):
    journal = Journal(tmp_path, HEAD)
    journal.append(done("a"))
    journal.fold({}) if folded else journal.close()
    other = HEAD | {"options": {"clean": False}}
    journal = Journal(tmp_path, other)
    journal.append(failed("b"))
    assert resumed(tmp_path) == ["a"]
    journal.begin()  # a kill from here on: files of the earlier run may have been replaced already
    with pytest.raises(InputError, match="other options"):
        resumed(tmp_path)
    journal.append(done("c"))
    assert names(journal) == ["b", "c"]
    journal.close()
    journal = Journal(tmp_path, other, resume=True)
    assert names(journal) == ["c"]
    journal.close()


def test_a_name_that_is_not_utf_8_keeps_no_run_from_being_recorded(tmp_path):
    journal = Journal(tmp_path, HEAD)
    journal.append(done("M\udcfcller") | {"indices": "a"})
    journal.fold({})
    (row,) = json.loads((tmp_path / MANIFEST).read_bytes().decode())["studies"]
    assert row["study"] == "M?ller"


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"model": {"sha256": "b"}}, "another model"),
        ({"options": {"clean": False}}, "other options"),
        ({"shortaxis_version": "2"}, "version"),
        ({"plugins": [{"plugin": "own.py", "sha256": "a"}]}, "other plug-ins"),
    ],
)
@pytest.mark.parametrize("folded", [False, True])
def test_another_model_version_or_other_options_are_refused_and_nothing_is_lost(tmp_path, change, word, folded):
    journal = Journal(tmp_path, HEAD)
    journal.append(done("a"))
    journal.fold({}) if folded else journal.close()
    with pytest.raises(InputError, match=word):
        Journal(tmp_path, HEAD | change, resume=True)
    assert resumed(tmp_path) == ["a"]


@pytest.mark.parametrize("folded", [False, True])
def test_a_run_with_a_plugin_does_not_go_on_without_it(tmp_path, folded):
    own = {"plugins": [{"plugin": "own.py", "sha256": "a"}]}
    journal = Journal(tmp_path, HEAD | own)
    journal.append(done("a"))
    journal.fold({}) if folded else journal.close()
    with pytest.raises(InputError, match="was segmented with other plug-ins"):
        Journal(tmp_path, HEAD, resume=True)
    journal = Journal(tmp_path, HEAD | own, resume=True)
    assert names(journal) == ["a"]
    journal.close()


@pytest.mark.parametrize("content", ["{", "[]", '{"studies": 3}', "{}"])
def test_a_manifest_that_is_none_is_refused(tmp_path, content):
    (tmp_path / MANIFEST).write_text(content)
    with pytest.raises(InputError, match="segment without --resume"):
        Journal(tmp_path, HEAD, resume=True)


@pytest.mark.parametrize("line", ["{", "3", "{}"])
def test_a_journal_with_a_damaged_line_is_refused(tmp_path, line):
    (tmp_path / JOURNAL).write_text(json.dumps(HEAD) + f"\n{line}\n")
    with pytest.raises(InputError, match="is damaged"):
        Journal(tmp_path, HEAD, resume=True)


def test_a_journal_that_cannot_be_written_is_an_error_of_the_folder(tmp_path):
    journal = Journal(tmp_path / "absent", HEAD)
    with pytest.raises(InputError, match="cannot be written"):
        journal.append(done("a"))


def test_a_closed_journal_gives_no_rows(tmp_path):
    journal = Journal(tmp_path, HEAD)
    journal.append(done("a"))
    journal.close()
    with pytest.raises(ValueError, match="closed"):
        names(journal)
