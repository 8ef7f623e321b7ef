from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from shortaxis.io.layout import Layout
from shortaxis.io.nifti_header import NiftiSource
from shortaxis.labels import Endocardium, Structure
from shortaxis.segmenting.findings import Findings
from shortaxis.study import Segmentation, Study, Subject


def frame(n_lv, *, phase=None, n_phases=1):
    """Frames with so many voxels of 1 ml in the LV."""
    labels = np.zeros((n_phases, 2, 10, 10), np.uint8)
    labels[:, 0].reshape(n_phases, -1)[:, :n_lv] = Structure.LV
    named = {"end_diastole": 0} if phase == "ED" else {"end_systole": 0} if phase == "ES" else {}
    subject = Subject(height_cm=180, weight_kg=80)
    return Segmentation(Study(np.ones(labels.shape, np.float32), (10.0, 10.0, 10.0), subject=subject, **named), labels)


def test_ed_and_es_come_from_two_files():
    findings = Findings("x")
    findings.add(frame(50, phase="ES"), "b.nii", 9)
    findings.add(frame(80, phase="ED"), "a.nii", 1)
    assert findings.indices()["lv_ef"].value == pytest.approx(100 * 30 / 80)
    assert findings.indices()["lv_edv_indexed"].value == pytest.approx(80 / 2)  # √(180 · 80 ÷ 3600) = 2 m²
    assert [(row["image"], row["frame"], row["phase"], row["lv_ml"]) for row in findings.frames] == [
        ("b.nii", 9, "ES", 50),
        ("a.nii", 1, "ED", 80),
    ]


def test_frames_of_their_own_go_before_the_cine():
    findings = Findings("x")
    findings.add(frame(80, phase="ED"), "a.nii")
    findings.add(frame(50, phase="ES"), "b.nii")
    findings.add(frame(70, phase="ED", n_phases=4), "cine.nii")
    assert findings.indices()["lv_edv"].value == 80


def test_the_cine_serves_where_one_of_the_frames_is_absent():
    findings = Findings("x")
    findings.add(frame(80, phase="ED"), "a.nii")
    findings.add(frame(70, phase="ED", n_phases=4), "cine.nii")
    assert findings.indices()["lv_edv"].value == 70


def test_what_is_not_known_is_null_with_a_reason():
    findings = Findings("x")
    findings.add(frame(80, phase="ED"), "a.nii")
    row = findings.to_dict({"name": "m"})["indices"]["lv_esv"]
    assert row["value"] is None
    assert "end-systolic" in row["reason"]


@pytest.mark.parametrize("n_phases", [1, 5])
def test_where_slices_are_missing_values_are_lower_bounds_without_interval(n_phases):
    findings = Findings("x")
    for number, (phase, n_lv) in enumerate((("ED", 80), ("ES", 50))):
        segmentation = frame(n_lv, phase=phase, n_phases=n_phases)
        study = replace(segmentation.study, slice_extents=(5.0, 10.0), gaps=(0,), end_systole=None if phase == "ED" else 0)
        if n_phases == 1 or number == 0:
            findings.add(replace(segmentation, study=study), f"{phase}.nii")
    rows = findings.index_rows(SimpleNamespace(half_widths={"lv_edv": 5.0, "lv_ef": 3.0}, level=0.9))
    assert rows["lv_edv"]["value"] == pytest.approx(40)
    assert rows["lv_edv"]["lower_bound"] is True
    assert "lower_bound" not in rows["lv_ef"]
    assert not any("interval" in row for row in rows.values())
    assert "missing" in rows["lv_edv"]["interval_note"]
    assert findings.frames[0]["lv_ml"] == pytest.approx(40)


@pytest.mark.parametrize("learnt_with", [None, Endocardium.COMPACT])
def test_an_interval_that_was_learnt_with_another_endocardium_is_not_given(learnt_with):
    calibration = SimpleNamespace(half_widths={"lv_edv": 5.0, "lv_ef": 3.0, "rv_edv": 4.0}, level=0.9)
    if learnt_with is not None:
        calibration.endocardium = learnt_with
    for endocardium in (None, *Endocardium):
        findings = Findings("x")
        for n_lv, phase in ((80, "ED"), (50, "ES")):
            findings.add(replace(frame(n_lv, phase=phase), endocardium=endocardium), f"{phase}.nii")
        content = findings.to_dict({}, calibration)
        rows = content["indices"]
        holds = endocardium in {None, learnt_with or Endocardium.TRABECULAE}
        assert content["endocardium"] == endocardium
        assert "interval" in rows["rv_edv"]
        for name in ("lv_edv", "lv_ef"):
            assert ("interval" in rows[name]) == holds
            assert ("endocardium" in rows[name].get("interval_note", "")) != holds


def test_with_an_implausible_spacing_ratios_stay_and_volumes_have_the_reason():
    layout = Layout((10, 10, 2))
    source = NiftiSource(Path("a.nii"), None, layout.shape, layout, None, no_volumes="its spacing is odd")
    findings = Findings("x")
    for n_lv, phase in ((80, "ED"), (50, "ES")):
        image = frame(n_lv, phase=phase)
        findings.add(replace(image, study=replace(image.study, source=source)), f"{phase}.nii")
    found = findings.indices()
    assert found["lv_ef"].value == pytest.approx(100 * 30 / 80)
    assert findings.phases == "named"
    for name in ("lv_edv", "lv_esv", "lv_sv", "lv_mass", "lv_edv_indexed", "sv_difference"):
        assert found[name].value is None
        assert found[name].reason == "its spacing is odd"


def test_a_pair_of_frames_gives_no_rv_at_its_own_phases_but_a_reason():
    findings = Findings("x")
    for n_lv, phase in ((80, "ED"), (50, "ES")):
        findings.add(frame(n_lv, phase=phase), f"{phase}.nii")
    rows = findings.index_rows(None)
    for kind in ("edv", "esv", "sv", "ef", "edv_indexed"):
        row = rows[f"rv_{kind.removesuffix('_indexed')}_own{'_indexed' * kind.endswith('_indexed')}"]
        assert row["value"] is None
        assert "cine" in row["reason"]


def test_a_single_frame_that_is_named_is_the_rvs_own_phase():
    labels = np.full((1, 1, 5, 5), Structure.RV, np.uint8)
    findings = Findings("x")
    findings.add(Segmentation(Study(np.ones(labels.shape, np.float32), (10.0, 10.0, 10.0), rv_end_diastole=0), labels), "a.nii")
    assert findings.indices()["rv_edv_own"].value == pytest.approx(25)
    assert (findings.frames[0]["phase"], findings.frames[0]["rv_phase"]) == (None, "ED")


def test_frames_of_a_cine_name_the_rvs_own_phases_and_an_odd_spacing_leaves_its_ef():
    layout = Layout((10, 10, 1))
    labels = np.zeros((6, 1, 10, 10), np.uint8)
    for volume, left, right in zip(labels.reshape(6, -1), (40, 30, 20, 25, 35, 38), (36, 40, 30, 20, 25, 30), strict=True):
        volume[:left], volume[50 : 50 + right] = Structure.LV, Structure.RV
    source = NiftiSource(Path("a.nii"), None, layout.shape, layout, None, no_volumes="its spacing is odd")
    findings = Findings("x")
    findings.add(Segmentation(Study(np.ones(labels.shape, np.float32), (10.0, 10.0, 10.0), source=source), labels), "a.nii")
    assert [row["phase"] for row in findings.frames] == ["ED", None, "ES", None, None, None]
    assert [row["rv_phase"] for row in findings.frames] == [None, "ED", None, "ES", None, None]
    found = findings.indices()
    assert found["rv_ef_own"].value == pytest.approx(50)
    assert (found["rv_ed_frame"].value, found["rv_es_frame"].value) == (2, 4)
    assert (found["rv_edv_own"].value, found["rv_edv_own"].reason) == (None, "its spacing is odd")
