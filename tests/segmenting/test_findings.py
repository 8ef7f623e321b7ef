from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from shortaxis.endocardium import Endocardium
from shortaxis.indices import Index
from shortaxis.io.layout import Layout
from shortaxis.io.nifti_header import NiftiSource
from shortaxis.labels import Structure
from shortaxis.quality import FrameEvidence, TrustModel
from shortaxis.quality.appearance import APPEARANCE
from shortaxis.quality.calibration import Calibration
from shortaxis.quality.domain import KnownDomain
from shortaxis.quality.forest import Forest
from shortaxis.quality.intervals import Ends, IntervalModel
from shortaxis.quality.phase_signs import PhaseView
from shortaxis.segmenting.findings import Findings
from shortaxis.segmenting.trusting import Judged
from shortaxis.study import Segmentation, Study, Subject

K = len(APPEARANCE)
VOLUMES = ("lv_edv", "lv_esv", "lv_mass")
CALIBRATION = Calibration(
    "0" * 64,
    TrustModel(("softness",), Forest((0,), (-1,), (0.0,), (0,), (0,), (0.1,)), 1.0, 0.0, 0.5, (0.0,), {}),
    # The scale of a volume is a tenth of the evidence `volume`, and all of `at_risk`.
    IntervalModel(
        dict.fromkeys(VOLUMES, (0.1, 0.0, 0.0, 0.0, 1.0)),
        inside=dict.fromkeys(("lv_edv", "lv_esv", "lv_ef"), Ends(-1.0, 0.5, 20)),
        outside={"lv_edv": Ends(-3.0, 2.0, 20)},
    ),
    KnownDomain((0.0,) * K, (1.0,) * K, tuple(map(tuple, np.eye(K))), 3.0),
)
INTERVALS = ("lv_edv", "lv_esv", "lv_ef", "lv_mass", "rv_edv", "rv_esv", "rv_ef")
PIXEL = list(APPEARANCE).index("pixel")


def judged(segmentation, *, pixel=0.0, risk=0.0, figures=True):
    """What is thought of frames whose pixels are so many standard deviations from those that are known; LV sections as in the labels."""
    evidence = []
    for labels in segmentation.labels:
        areas = np.stack([100.0 * (labels == part).sum(axis=(1, 2)) for part in (1, 2, 3)])
        parts = np.zeros((4, 3))
        parts[0] = areas.sum(axis=1) / 100
        view = PhaseView(areas, np.zeros(areas.shape), basal_first=True)
        evidence.append(FrameEvidence({}, view, parts, np.full(2, 10.0), pixel * np.eye(K)[PIXEL] if figures else None))
    n = len(evidence)
    return Judged(segmentation, None, evidence, [[]] * n, [[risk, risk]] * n)


def found(*phases, **changes):
    """Findings of an ED frame of 80 ml and an ES frame of 50 ml."""
    findings = Findings("x")
    for phase in phases or ("ED", "ES"):
        segmentation = frame({"ED": 80, "ES": 50}[phase], phase=phase)
        findings.add(segmentation, f"{phase}.nii", 1, judged(segmentation, **changes))
    return findings


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
    rows = findings.index_rows(CALIBRATION)
    assert rows["lv_edv"]["value"] == pytest.approx(40)
    assert rows["lv_edv"]["lower_bound"] is True
    assert "lower_bound" not in rows["lv_ef"]
    assert not any("interval" in row for row in rows.values())
    assert "missing" in rows["lv_edv"]["interval_note"]
    assert findings.frames[0]["lv_ml"] == pytest.approx(40)


def test_an_interval_that_was_learnt_with_another_endocardium_is_not_given():
    findings = Findings("x")
    for n_lv, phase in ((80, "ED"), (50, "ES")):
        segmentation = replace(frame(n_lv, phase=phase), endocardium=Endocardium.COMPACT)
        findings.add(segmentation, f"{phase}.nii", 1, judged(segmentation))
    rows = findings.index_rows(CALIBRATION)
    for name in ("lv_edv", "lv_esv", "lv_ef", "lv_mass"):
        assert "interval" not in rows[name]
        assert "trabeculae" in rows[name]["interval_note"]
    assert "trabeculae" not in rows["rv_edv"].get("interval_note", "")


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


def test_a_known_scan_has_the_intervals_of_its_own_evidence():
    content = found().to_dict({}, CALIBRATION)
    rows = content["indices"]
    # Scales of 8 and 5 ml; that of EF is 100 / 80 · √((50/80 · 8)² + 5²) = 100 / 80 · √50.
    assert rows["lv_edv"]["interval"] == pytest.approx([80 - 8, 80 + 4])
    assert rows["lv_esv"]["interval"] == pytest.approx([50 - 5, 50 + 2.5])
    scale = 1.25 * np.sqrt(50)
    assert rows["lv_ef"]["interval"] == pytest.approx([37.5 - scale, 37.5 + scale / 2], abs=1e-3)
    assert rows["lv_edv"]["interval_level"] == 0.9
    assert "interval_note" not in rows["lv_edv"]
    assert content["scan"] == {"known": True, "distance": 0.0, "limit": 3.0, "unlike": []}


def test_risky_slices_widen_the_interval():
    # All 80 ml lie in the first slice: half of them at risk, and as much again in the slice beyond it.
    row = found(risk=0.5).index_rows(CALIBRATION)["lv_edv"]
    assert row["interval"] == pytest.approx([max(0, 80 - np.hypot(8, 80)), 80 + np.hypot(8, 80) / 2], abs=1e-3)


def test_an_unknown_scan_has_a_wider_interval_or_none_and_a_note():
    content = found(pixel=-7.0).to_dict({}, CALIBRATION)
    rows = content["indices"]
    assert rows["lv_edv"]["interval"] == pytest.approx([80 - 24, 80 + 16])
    assert "wider" in rows["lv_edv"]["interval_note"]
    assert "interval" not in rows["lv_esv"]
    assert "does not look like" in rows["lv_esv"]["interval_note"]
    assert content["scan"] == {"known": False, "distance": 7.0, "limit": 3.0, "unlike": [APPEARANCE["pixel"]]}


def test_a_scan_that_cannot_be_described_is_not_a_known_one():
    content = found(figures=False).to_dict({}, CALIBRATION)
    assert content["scan"] == {"known": False, "distance": None, "limit": 3.0, "unlike": []}
    assert content["indices"]["lv_edv"]["interval"] == pytest.approx([56, 96])


def test_an_index_of_which_nothing_was_learnt_says_so_and_does_not_blame_the_scan():
    findings = found()
    row = findings.index_rows(replace(CALIBRATION, intervals=replace(CALIBRATION.intervals, inside={})))["lv_edv"]
    assert "interval" not in row
    assert "too few patients" in row["interval_note"]


def test_without_ed_the_interval_is_the_wider_one_and_says_why():
    beyond = {"lv_esv": Ends(-3.0, 2.0, 20)}
    findings = found("ES")
    calibration = replace(CALIBRATION, intervals=replace(CALIBRATION.intervals, outside=beyond))
    assert findings.to_dict({}, calibration)["scan"] is None
    row = findings.index_rows(calibration)["lv_esv"]
    assert row["interval"] == pytest.approx([35, 60])
    assert "without ED" in row["interval_note"]
    assert "without ED" in findings.index_rows(CALIBRATION)["lv_esv"]["interval_note"]


def test_without_evidence_there_is_no_interval():
    findings = Findings("x")
    findings.add(frame(80, phase="ED"), "a.nii")
    findings.add(frame(50, phase="ES"), "b.nii")
    content = findings.to_dict({}, CALIBRATION)
    assert content["scan"] is None
    assert not any("interval" in row for row in content["indices"].values())


def test_without_a_calibration_nothing_is_said_of_the_scan():
    content = found().to_dict({})
    assert content.get("scan") is None
    assert not any("interval" in row for row in content["indices"].values())


def test_the_evidence_is_that_of_the_frames_that_the_indices_rest_on():
    findings = found()
    cine = frame(70, phase="ED", n_phases=4)
    findings.add(cine, "cine.nii", 1, judged(cine, pixel=-7.0))
    assert findings.scan(CALIBRATION)["known"]
    assert findings.index_rows(CALIBRATION)["lv_edv"]["interval"] == pytest.approx([72, 84])


@pytest.mark.parametrize(
    ("value", "interval"), [(-3.0, None), (0.0, [0, 4.4194]), (5.0, [0, 9.4194]), (98.0, [89.1612, 100]), (100.5, None)]
)
def test_an_interval_stays_where_the_index_can_be_and_a_value_outside_has_none(monkeypatch, value, interval):
    findings = found()
    monkeypatch.setattr(findings, "indices", lambda: {name: Index(name, value, "%", "", "") for name in INTERVALS})
    row = findings.index_rows(CALIBRATION)["lv_ef"]
    assert row.get("interval") == (None if interval is None else pytest.approx(interval, abs=1e-3))
    assert ("outside what can be" in row.get("interval_note", "")) == (interval is None)
