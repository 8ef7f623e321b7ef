"""Segmenting from Python, and studies whose files fail on the way."""

from __future__ import annotations

import json
import os

import pytest

from shortaxis.errors import DataWarning, InputError
from shortaxis.phantom import make_phantom
from shortaxis.phantom.dicom import write_dicom
from shortaxis.segmenting import Wishes, run, segment_inputs, single


def test_without_a_command_line_the_report_tells_none(cohort, tiny_model, tmp_path):
    told = []
    outcome = segment_inputs(
        [cohort / "a.nii", cohort / "b.nii"],
        tmp_path / "out",
        model=tiny_model,
        device="cpu",
        on_progress=lambda done, total, name: told.append((done, total, name)),
    )
    assert (outcome.segmented, outcome.images, outcome.failures) == (2, 2, [])
    assert json.loads((tmp_path / "out" / "a.report.json").read_text())["provenance"]["command"] is None
    assert told == [(0, 2, "a"), (1, 2, "a"), (1, 2, "b"), (2, 2, "b")]


def test_a_file_that_cannot_be_read_any_more_is_the_studys_own_trouble(cohort, tiny_model, tmp_path, monkeypatch):
    whole = single.state_of

    def state_of(study):
        if study.name == "a":
            raise FileNotFoundError(2, "No such file or directory")
        return whole(study)

    monkeypatch.setattr(single, "state_of", state_of)
    outcome = segment_inputs([cohort], tmp_path / "out", model=tiny_model, device="cpu", wishes=Wishes(report=False))
    (failure,) = outcome.failures
    assert failure.message.startswith(f"{cohort / 'a.nii'}: cannot be read (No such file or directory)")
    assert not failure.internal
    assert outcome.segmented == 3


def test_a_study_whose_files_cannot_be_looked_at_is_not_skipped(cohort, tiny_model, tmp_path, monkeypatch):
    ask = {"model": tiny_model, "device": "cpu", "wishes": Wishes(report=False)}
    segment_inputs([cohort / "a.nii"], tmp_path / "out", **ask)

    def refuse(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(run, "state_of", refuse)
    outcome = segment_inputs([cohort / "a.nii"], tmp_path / "out", **ask, resume=True)
    assert (outcome.segmented, outcome.skipped) == (1, 0)


def rows(out):
    return json.loads((out / "segment.json").read_text())["studies"]


def test_a_name_that_is_not_utf_8_hinders_no_other_study(cohort, tiny_model, tmp_path):
    (cohort / "b.nii").rename(os.fsdecode(os.fsencode(cohort) + b"/M\xfcller.nii"))
    ask = {"model": tiny_model, "device": "cpu", "wishes": Wishes(report=False)}
    for resume in (False, True):
        outcome = segment_inputs([cohort], tmp_path / "out", **ask, resume=resume)
        assert (outcome.segmented + outcome.skipped, len(outcome.failures)) == (3, 1)
    assert {row["study"] for row in rows(tmp_path / "out") if row["status"] == "failed"} == {"M?ller"}


def test_a_run_with_other_options_that_was_killed_is_not_taken_for_the_one_before(cohort, tiny_model, tmp_path, monkeypatch):
    ask = {"model": tiny_model, "device": "cpu"}
    segment_inputs([cohort / "a.nii"], tmp_path / "out", **ask, wishes=Wishes(report=False))

    def kill(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr(run.Journal, "append", kill)
        with pytest.raises(KeyboardInterrupt):
            segment_inputs([cohort / "a.nii"], tmp_path / "out", **ask, wishes=Wishes(report=False, clean=False))
    with pytest.raises(InputError, match="was segmented with other options"):
        segment_inputs([cohort / "a.nii"], tmp_path / "out", **ask, wishes=Wishes(report=False), resume=True)


def test_outputs_that_a_new_run_does_not_write_go_and_no_other_file(cohort, tiny_model, tmp_path):
    ask = {"model": tiny_model, "device": "cpu"}
    out, sources = tmp_path / "out", [cohort / "a.nii", cohort / "b.nii"]
    segment_inputs(sources, out, **ask, wishes=Wishes(uncertainty=True, probabilities=True))
    others = {"a.mine.nii.gz", "c.nii", "a.nii.gz"}
    for name in others:
        (out / name).touch()
    (cohort / "a.nii").write_bytes(b"junk")
    assert len(segment_inputs(sources[:1], out, **ask).failures) == 1
    assert (out / "a.nii").exists(), "nothing goes in a run that segments nothing"
    assert len(segment_inputs(sources, out, **ask, wishes=Wishes(report=False)).failures) == 1
    assert {path.name for path in out.iterdir()} == {"b.nii", "b.indices.json", "segment.json", "summary.csv"} | others


class TestDicomSeg:
    @pytest.fixture
    def folder(self, tmp_path):
        phantom = make_phantom(3, phases=("ED", "ES"), n_slices=4, spacing=(10.0, 3.0, 3.0))
        write_dicom(tmp_path / "heart", phantom.study)
        return tmp_path / "heart"

    @pytest.fixture
    def segment(self, folder, tiny_model, tmp_path):
        return lambda **wishes: segment_inputs(
            [folder], tmp_path / "out", model=tiny_model, device="cpu", wishes=Wishes(report=False, **wishes)
        )

    def test_where_ed_and_es_are_not_known_there_are_labels_and_it_is_said_why_there_is_none(self, segment, tmp_path):
        with pytest.warns(DataWarning, match="ED and ES .*--dicom-seg all"):
            assert segment(dicom_seg="ed-es").segmented == 1
        assert (tmp_path / "out" / "heart.nii.gz").is_file()
        assert not (tmp_path / "out" / "heart.seg").exists()
        (image,) = rows(tmp_path / "out")[0]["images"]
        assert image["dicom_seg"] == []
        assert image["dicom_seg_reason"].startswith("ED and ES are not known")

    def test_one_of_an_earlier_run_does_not_stay(self, segment, tmp_path):
        segment(dicom_seg="all")
        assert len(list((tmp_path / "out" / "heart.seg").iterdir())) == 2
        segment()
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
            "heart.indices.json",
            "heart.nii.gz",
            "segment.json",
            "summary.csv",
        ]

    @pytest.mark.parametrize("place", ["heart", "heart/results", "heart/a/b"])
    def test_outputs_may_not_lie_in_the_study(self, folder, tiny_model, tmp_path, place):
        with pytest.raises(InputError, match=r"lies in the DICOM study .*--out"):
            segment_inputs([folder], tmp_path / place, model=tiny_model, device="cpu")

    def test_a_table_of_failures_names_no_file_of_a_study(self, folder, tiny_model, cohort, tmp_path):
        cut = min(folder.rglob("*.dcm"))
        (cut.parent / "CANARY^JANE").mkdir()
        for number, path in enumerate(sorted(folder.rglob("*.dcm"))):
            content = path.read_bytes()
            path.unlink()
            (cut.parent / "CANARY^JANE" / f"CANARY_{number}.dcm").write_bytes(content[:-2000])
        outcome = segment_inputs([folder, cohort / "a.nii"], tmp_path / "out", model=tiny_model, device="cpu", wishes=Wishes(report=False))
        assert "CANARY" in outcome.failures[0].message
        assert rows(tmp_path / "out")[0]["error"].startswith("a file of heart: ")
        for path in (tmp_path / "out").glob("s*.*"):
            assert "CANARY" not in path.read_text()

    def test_what_keeps_it_from_being_written_is_the_studys_own_trouble(self, segment, tmp_path, monkeypatch):
        def refuse(*_, **__):
            msg = "IM1: is gone"
            raise InputError(msg)

        monkeypatch.setattr(single, "write_dicom_seg", refuse)
        (failure,) = segment(dicom_seg="all").failures
        assert failure.message == "IM1: is gone"
