"""A folder of studies: what fails does not stop the rest, and a run that was killed goes on."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from shortaxis.errors import InputError
from shortaxis.io import write_like
from shortaxis.segmenting import run as at_work
from shortaxis.segmenting.plan import JOURNAL, MANIFEST, SUMMARY


@pytest.fixture
def cohort(_phantoms, tmp_path):
    """Frames `a` to `d`, of which none is like another."""
    study = _phantoms[0].study
    for index, name in enumerate("abcd"):
        write_like(study.pixels[index], study, tmp_path / "cohort" / f"{name}.nii", dtype=np.float32)
    return tmp_path / "cohort"


@pytest.fixture
def segment(run, cohort, tmp_path):
    """Run the command on the cohort."""
    return lambda *options: run("segment", cohort, "--out", tmp_path / "out", "--no-report", *options)


@pytest.fixture
def worked_on(monkeypatch):
    """Names of the studies that the networks saw."""
    names = []
    whole = at_work.segment_study
    monkeypatch.setattr(at_work, "segment_study", lambda planned, *rest: names.append(planned.name) or whole(planned, *rest))
    return names


def break_at(monkeypatch, name, error):
    """Let an error arise in one study."""
    whole = at_work.segment_study

    def segment_study(planned, *rest):
        if planned.name == name:
            raise error
        return whole(planned, *rest)

    monkeypatch.setattr(at_work, "segment_study", segment_study)


def manifest(folder):
    return json.loads((folder / MANIFEST).read_text(encoding="utf-8"))


def statuses(folder):
    return {row["study"]: row["status"] for row in manifest(folder)["studies"]}


def table(folder):
    with (folder / SUMMARY).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_every_study_is_a_row_of_the_table_with_the_figures_of_its_indices(segment, tmp_path):
    assert segment().exit_code == 0
    rows = table(tmp_path / "out")
    assert [row["study"] for row in rows] == ["a", "b", "c", "d"]
    for row in rows:
        indices = json.loads((tmp_path / "out" / f"{row['study']}.indices.json").read_text())["indices"]
        known = {name: str(index["value"]) for name, index in indices.items() if name in row and index["value"] is not None}
        assert {name: row[name] for name in known} == known


def test_resuming_does_only_what_is_not_done(segment, cohort, tmp_path, worked_on):
    (cohort / "b.nii").rename(tmp_path / "kept.nii")
    (cohort / "c.nii").write_bytes(b"no image")
    assert segment("--resume").exit_code == 1
    assert statuses(tmp_path / "out") == {"a": "done", "c": "failed", "d": "done"}
    (tmp_path / "kept.nii").rename(cohort / "b.nii")
    worked_on.clear()
    result = segment("--resume")
    assert result.exit_code == 1
    assert worked_on == ["b", "c"]
    assert "1 study, 1 image" in result.stdout
    assert "2 skipped" in " ".join(result.stdout.split())
    assert statuses(tmp_path / "out") == {"a": "done", "b": "done", "c": "failed", "d": "done"}
    assert {name: manifest(tmp_path / "out")[name] for name in ("segmented", "failed", "skipped")} == {
        "segmented": 3,
        "failed": 1,
        "skipped": 2,
    }
    assert sorted(row["status"] for row in table(tmp_path / "out")) == ["done", "done", "done", "failed"]


def test_resuming_what_is_all_done_does_nothing_and_is_no_failure(segment, tmp_path, worked_on):
    segment()
    before = (tmp_path / "out" / "a.nii").stat().st_mtime_ns
    worked_on.clear()
    result = segment("--resume")
    assert (result.exit_code, worked_on) == (0, [])
    assert "4 skipped" in result.stdout
    assert (tmp_path / "out" / "a.nii").stat().st_mtime_ns == before


@pytest.mark.parametrize("change", ["input", "output"])
def test_a_changed_input_or_a_lost_output_is_segmented_anew(segment, cohort, tmp_path, worked_on, change):
    segment()
    worked_on.clear()
    if change == "input":
        os.utime(cohort / "b.nii", ns=(0, 7))
    else:
        (tmp_path / "out" / "b.nii").unlink()
    assert segment("--resume").exit_code == 0
    assert worked_on == ["b"]


def test_an_input_that_vanished_is_tried_and_told(run, segment, cohort, tmp_path):
    segment()
    (cohort / "b.nii").unlink()
    result = run("segment", *(cohort / f"{name}.nii" for name in "abcd"), "--out", tmp_path / "out", "--no-report", "--resume")
    assert result.exit_code == 1
    assert "b.nii: no such file" in result.stderr


def test_resuming_with_other_wishes_is_refused_in_one_sentence(segment, tmp_path):
    segment()
    before = (tmp_path / "out" / MANIFEST).read_bytes()
    result = segment("--resume", "--no-clean")
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "other options; resume with the same" in result.stderr
    assert (tmp_path / "out" / MANIFEST).read_bytes() == before


@pytest.mark.parametrize("error", [ZeroDivisionError("SECRET"), MemoryError("SECRET"), RuntimeError("SECRET")], ids=repr)
def test_a_fault_of_the_program_in_one_study_does_not_lose_the_rest(segment, tmp_path, monkeypatch, error):
    break_at(monkeypatch, "b", error)
    result = segment()
    assert result.exit_code == 1
    assert f"b.nii: internal error ({type(error).__name__})" in result.stderr
    assert statuses(tmp_path / "out") == {"a": "done", "b": "failed", "c": "done", "d": "done"}
    assert table(tmp_path / "out")[1]["error"].startswith("b.nii: internal error")
    # What an error of a library says may be a value of a header.
    assert "SECRET" not in result.output + (tmp_path / "out" / MANIFEST).read_text() + (tmp_path / "out" / SUMMARY).read_text()


def test_where_the_program_fails_in_all_studies_the_exit_code_is_3_and_nothing_is_written(run, cohort, tmp_path, monkeypatch):
    break_at(monkeypatch, "a", ZeroDivisionError())
    result = run("segment", cohort / "a.nii", tmp_path / "absent.nii", "--out", tmp_path / "out")
    assert result.exit_code == 3
    assert not (tmp_path / "out").exists()


def test_with_debug_a_fault_of_the_program_stops_the_run(segment, monkeypatch):
    break_at(monkeypatch, "b", ZeroDivisionError("a bug"))
    assert isinstance(segment("--debug").exception, ZeroDivisionError)


def test_a_full_disk_stops_the_run_and_what_was_done_is_kept(segment, tmp_path, monkeypatch, worked_on):
    with monkeypatch.context() as broken:
        break_at(broken, "c", InputError("out: cannot be written (No space left on device)"))
        assert segment().exit_code == 2
    assert (tmp_path / "out" / JOURNAL).is_file()
    worked_on.clear()
    assert segment("--resume").exit_code == 0
    assert worked_on == ["c", "d"]
    assert not (tmp_path / "out" / JOURNAL).exists()


def test_starting_anew_over_an_interrupted_run_says_so(segment, tmp_path, monkeypatch, worked_on):
    with monkeypatch.context() as broken:
        break_at(broken, "c", KeyboardInterrupt())
        result = segment()
        assert result.exit_code == 130
        assert "--resume" in result.stderr
    worked_on.clear()
    result = segment()
    assert result.exit_code == 0
    assert "it starts anew without --resume" in result.stderr
    assert worked_on == ["a", "b", "c", "d"]


def test_more_studies_than_are_shown_are_counted(segment, monkeypatch):
    monkeypatch.setattr(at_work, "MOST_SHOWN", 3)
    assert "1 more in summary.csv" in " ".join(segment().stdout.split())


def test_a_failure_is_recorded_by_its_name_and_not_its_place(segment, cohort, tmp_path):
    (cohort / "c.nii").write_bytes(b"no image")
    result = segment()
    assert str(cohort / "c.nii") in result.stderr
    (row,) = (row for row in manifest(tmp_path / "out")["studies"] if row["status"] == "failed")
    assert row["error"].startswith("c.nii: ")
    for name in (MANIFEST, SUMMARY):
        assert str(tmp_path) not in (tmp_path / "out" / name).read_text()


def test_with_identifiers_kept_places_are_recorded(segment, cohort, tmp_path):
    segment("--keep-identifiers")
    (row, *_) = manifest(tmp_path / "out")["studies"]
    assert row["source"] == row["images"][0]["input"] == str(cohort / "a.nii")


@pytest.fixture
def larger(_phantoms, tmp_path):
    """Eight frames, `0` to `7`."""
    study = _phantoms[0].study
    for index in range(8):
        write_like(study.pixels[index % 6] + index, study, tmp_path / "larger" / f"{index}.nii", dtype=np.float32)
    return tmp_path / "larger"


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_and_ends_as_if_it_had_not_been(run, larger, model_file, tmp_path):
    line = ["segment", larger, "--model", model_file]
    killed = subprocess.Popen(
        [sys.executable, "-m", "shortaxis", *map(str, line), "--out", str(tmp_path / "out"), "--threads", "1"],
        env={name: value for name, value in os.environ.items() if not name.startswith(("COV_", "COVERAGE_"))},
    )
    journal = tmp_path / "out" / JOURNAL
    while killed.poll() is None and not (journal.is_file() and journal.read_bytes().count(b"\n") > 2):
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    done = journal.read_bytes().count(b"\n") - 1
    assert 2 <= done < 8
    assert not (tmp_path / "out" / MANIFEST).exists()

    result = run(*line, "--out", tmp_path / "out", "--resume")
    assert result.exit_code == 0, result.stderr
    assert f"{8 - done} stud" in result.stdout
    assert run(*line, "--out", tmp_path / "whole").exit_code == 0
    outputs, expected = ({path.name for path in (tmp_path / name).rglob("*")} for name in ("out", "whole"))
    assert outputs == expected
    assert statuses(tmp_path / "out") == statuses(tmp_path / "whole")
    for index in range(8):
        assert (tmp_path / "out" / f"{index}.nii").read_bytes() == (tmp_path / "whole" / f"{index}.nii").read_bytes()
