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
