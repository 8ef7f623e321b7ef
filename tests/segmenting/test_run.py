"""Segmenting from Python, and studies whose files fail on the way."""

from __future__ import annotations

import json

import pytest

from shortaxis.errors import InputError
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

    def test_where_ed_and_es_are_not_known_none_can_hold_them(self, segment, tmp_path):
        (failure,) = segment(dicom_seg="ed-es").failures
        assert "name them, or take --dicom-seg all" in failure.message
        assert not (tmp_path / "out").exists()

    def test_what_keeps_it_from_being_written_is_the_studys_own_trouble(self, segment, tmp_path, monkeypatch):
        def refuse(*_, **__):
            msg = "IM1: is gone"
            raise InputError(msg)

        monkeypatch.setattr(single, "write_dicom_seg", refuse)
        (failure,) = segment(dicom_seg="all").failures
        assert failure.message == "IM1: is gone"
