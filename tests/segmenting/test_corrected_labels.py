"""Outputs that were corrected by hand: no run overwrites or removes them in silence, nor trusts the indices beside them."""

from __future__ import annotations

import csv
import json

import nibabel as nib
import numpy as np
import pytest

from shortaxis.errors import DataWarning, InputError
from shortaxis.segmenting import Wishes, journal, run, segment_inputs
from shortaxis.segmenting.plan import JOURNAL


@pytest.fixture
def segment(cohort, tiny_model, tmp_path):
    """Segment `a` and `b` of the cohort, or others."""

    def segment(*names, report=False, **how):
        inputs = [cohort / f"{name}.nii" for name in names or "ab"]
        return segment_inputs(inputs, tmp_path / "out", model=tiny_model, device="cpu", wishes=Wishes(report=report), **how)

    return segment


def correct(path):
    """Change one voxel, as a reader in a viewer does; give the new content."""
    image = nib.load(path)
    labels = np.asarray(image.dataobj).copy()
    labels.flat[0] = (labels.flat[0] + 1) % 4
    nib.save(nib.Nifti1Image(labels, image.affine, image.header), path)
    return path.read_bytes()


def row_of(out, name):
    return next(row for row in json.loads((out / "segment.json").read_text())["studies"] if row["study"] == name)


def left_out(outcome):
    (failure,) = outcome.failures
    return failure.message


def test_every_output_has_its_checksum_in_the_record(segment, tmp_path):
    segment("a", report=True)
    assert set(row_of(tmp_path / "out", "a")["sha256"]) == {"a.nii", "a.indices.json", "a.report.json", "a.report.html"}


@pytest.mark.parametrize("name", ["a.nii", "a.indices.json"])
def test_a_rerun_leaves_the_study_of_an_edited_file_out_and_says_how_to_replace_it(segment, tmp_path, name):
    segment()
    if name == "a.nii":
        corrected = correct(tmp_path / "out" / name)
    else:
        corrected = b"{}"
        (tmp_path / "out" / name).write_bytes(corrected)
    for _ in range(2):  # the second knows the checksums by the record of the first
        outcome = segment()
        assert outcome.segmented == 1
        assert name in left_out(outcome)
        assert "--overwrite" in left_out(outcome)
        assert (tmp_path / "out" / name).read_bytes() == corrected
    assert segment(overwrite=True).segmented == 2
    assert (tmp_path / "out" / name).read_bytes() != corrected
    assert segment().segmented == 2


def test_a_file_that_no_run_wrote_is_not_overwritten(segment, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.nii").write_bytes(b"mine")
    assert "not written by a run" in left_out(segment())
    assert (tmp_path / "out" / "a.nii").read_bytes() == b"mine"


def test_an_edited_file_is_not_removed_where_the_study_fails_or_the_file_is_not_wanted(segment, cohort, tmp_path):
    segment(report=True)
    (tmp_path / "out" / "a.report.html").write_text("my remarks")
    assert "a.report.html" in left_out(segment())
    corrected = correct(tmp_path / "out" / "a.nii")
    (cohort / "a.nii").write_bytes(b"no image")
    segment(overwrite=True)
    assert (tmp_path / "out" / "a.nii").read_bytes() == corrected
    assert (tmp_path / "out" / "a.report.html").read_text() == "my remarks"


def test_a_resumed_run_keeps_the_edited_file_and_says_that_indices_and_labels_may_disagree(segment, tmp_path):
    segment()
    corrected = correct(tmp_path / "out" / "a.nii")
    for _ in range(2):
        with pytest.warns(DataWarning, match=r"^a: a\.nii .*disagree"):
            outcome = segment(resume=True)
        assert (outcome.skipped, outcome.n_edited) == (2, 1)
        assert row_of(tmp_path / "out", "a")["edited"] == ["a.nii"]
        assert "edited" not in row_of(tmp_path / "out", "b")
    assert (tmp_path / "out" / "a.nii").read_bytes() == corrected
    table = csv.DictReader((tmp_path / "out" / "summary.csv").read_text().splitlines())
    assert [row["edited"] for row in table] == ["a.nii", ""]
    outcome = segment(resume=True, overwrite=True)
    assert (outcome.segmented, outcome.skipped, outcome.n_edited) == (1, 1, 0)
    assert "edited" not in row_of(tmp_path / "out", "a")


def test_a_correction_that_was_taken_back_is_none(segment, tmp_path):
    segment()
    before = (tmp_path / "out" / "a.nii").read_bytes()
    correct(tmp_path / "out" / "a.nii")
    with pytest.warns(DataWarning):
        segment(resume=True)
    (tmp_path / "out" / "a.nii").write_bytes(before)
    assert segment(resume=True).n_edited == 0
    assert "edited" not in row_of(tmp_path / "out", "a")


@pytest.mark.parametrize("change", ["input", "other output"])
def test_resuming_does_not_segment_a_corrected_study_again_on_its_own(segment, cohort, tmp_path, change):
    segment()
    corrected = correct(tmp_path / "out" / "a.nii")
    if change == "input":
        (cohort / "a.nii").write_bytes((cohort / "c.nii").read_bytes())
    else:
        (tmp_path / "out" / "a.indices.json").unlink()
    assert "--overwrite" in left_out(segment(resume=True))
    assert (tmp_path / "out" / "a.nii").read_bytes() == corrected


def test_files_of_a_run_over_other_inputs_stay_known(segment, tmp_path):
    segment("a")
    segment("b")
    assert segment("a").segmented == 1
    segment("b")
    corrected = correct(tmp_path / "out" / "a.nii")
    segment("b", resume=True)
    assert "edited" in left_out(segment("a", "b"))
    assert (tmp_path / "out" / "a.nii").read_bytes() == corrected


@pytest.mark.filterwarnings("ignore:.*interrupted run")
@pytest.mark.parametrize("where", ["before publishing", "before recording"])
@pytest.mark.parametrize("resume", [False, True])
def test_files_of_a_run_that_was_killed_are_not_taken_for_edited(segment, tmp_path, monkeypatch, where, resume):
    def kill(*_):
        raise KeyboardInterrupt

    segment("a", "b", report=True)
    with monkeypatch.context() as killed:
        if where == "before publishing":
            whole = journal.Journal.announce
            killed.setattr(run.Journal, "announce", lambda *words: (whole(*words), kill()))
        else:
            killed.setattr(run.Journal, "append", kill)
        with pytest.raises(KeyboardInterrupt):
            segment("b", "a")  # without reports: `b` has other files now
    outcome = segment("a", "b", resume=resume)
    assert (outcome.segmented, outcome.failures) == (2, [])


def test_a_first_run_that_cannot_publish_leaves_no_journal(segment, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shortaxis.io.staging._publish", refuse)
    with pytest.raises(InputError):
        segment()
    assert not (tmp_path / "out" / JOURNAL).exists()
