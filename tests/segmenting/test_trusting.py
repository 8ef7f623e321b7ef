from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from shortaxis.ensemble.model_file import ModelSpec, file_sha256, save_model
from shortaxis.errors import InputError
from shortaxis.indices import Index
from shortaxis.phantom import make_phantom
from shortaxis.quality import TrustModel, entropy
from shortaxis.quality.calibration import Calibration, calibration_path
from shortaxis.quality.forest import Forest
from shortaxis.segmenting import Wishes
from shortaxis.segmenting.findings import Findings
from shortaxis.segmenting.opening import open_model
from shortaxis.segmenting.trusting import segment_judged

SPEC = ModelSpec(
    "tiny",
    [{"network": "unet", "options": {"widths": [4, 8]}}] * 2,
    {"rule": "uncertainty", "outer_softmax": False},
    {"kind": "physical", "spacing_mm": 4.0, "size": 64},
)
# The deeper a slice stands at the end of the stack, the poorer: only the first and the last are above the threshold.
TRUST = TrustModel(
    features=("endness",),
    forest=Forest(roots=(0,), feature=(0, -1, -1), threshold=(0.6, 0, 0), left=(1, 0, 0), right=(2, 0, 0), value=(0, 0.1, 0.9)),
    slope=1.0,
    intercept=0.0,
    threshold=0.5,
    typical=(0.0,),
    provenance={},
)


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "m.safetensors"
    save_model(path, SPEC.build(), SPEC)
    return path


def calibrate(model, **changes):
    calibration = Calibration(file_sha256(model), TRUST, {"lv_edv": 10.0, "lv_ef": 5.0})
    replace(calibration, **changes).save(calibration_path(model))


def test_the_calibration_beside_the_model_judges_every_frame(model):
    calibrate(model)
    study = make_phantom(1, phases=("ED", "ES"), n_slices=6).study
    phases = []
    judged = segment_judged(open_model(model, "cpu"), study, phases.append)
    assert phases == [0, 1]
    assert len(judged.verdicts) == 2
    for rows in judged.verdicts:
        assert [(row["slice"], row["verdict"]) for row in rows] == [(1, "check"), (2, "trust"), (5, "trust"), (6, "check")]
        assert rows[0]["reasons"] in (["the slice may lie beyond the valve plane"], ["the slice may lie beyond the apex"])
        assert rows[1]["reasons"] == []
        assert json.loads(json.dumps(rows)) == rows


def test_without_a_calibration_nothing_is_judged(model):
    opened = open_model(model, "cpu")
    assert opened.calibration is None
    assert segment_judged(opened, make_phantom(1, phases=("ED",), n_slices=6).study, lambda _: None).verdicts == []


def test_a_calibration_of_another_model_is_refused(model):
    calibrate(model, model_sha256="0" * 64)
    with pytest.raises(InputError, match=r"m\.calibration\.json .*another model"):
        open_model(model, "cpu")


def test_indices_carry_their_intervals_and_frames_their_verdicts(model):
    calibrate(model)
    opened = open_model(model, "cpu")
    phantom = make_phantom(1, phases=("ED", "ES"), n_slices=6)
    judged = segment_judged(opened, phantom.study, lambda _: None)
    findings = Findings("x")
    findings.add(replace(judged.segmentation, labels=phantom.labels), "a.nii", verdicts=judged.verdicts, risks=judged.risks)
    content = findings.to_dict(opened.provenance, opened.calibration)
    edv = content["indices"]["lv_edv"]
    assert edv["interval"] == pytest.approx([edv["value"] - 10, edv["value"] + 10])
    assert edv["interval_level"] == 0.9
    assert "interval" not in content["indices"]["lv_mass"]
    assert [row["end_slices"] for row in content["frames"]] == judged.verdicts
    for row in content["frames"]:
        assert len(row["slice_risk"]) == 6
        for verdict in row["end_slices"]:
            assert row["slice_risk"][verdict["slice"] - 1] == verdict["probability"]


def test_an_interval_does_not_fall_below_zero(model):
    calibrate(model, half_widths={"lv_edv": 1e6})
    opened = open_model(model, "cpu")
    phantom = make_phantom(1, phases=("ED", "ES"), n_slices=6)
    findings = Findings("x")
    findings.add(replace(segment_judged(opened, phantom.study, lambda _: None).segmentation, labels=phantom.labels), "a.nii")
    assert findings.to_dict({}, opened.calibration)["indices"]["lv_edv"]["interval"][0] == 0


def test_an_interval_ends_at_100_percent(model):
    calibrate(model, half_widths={"lv_ef": 200.0})
    opened = open_model(model, "cpu")
    phantom = make_phantom(1, phases=("ED", "ES"), n_slices=6)
    findings = Findings("x")
    findings.add(replace(segment_judged(opened, phantom.study, lambda _: None).segmentation, labels=phantom.labels), "a.nii")
    assert findings.to_dict({}, opened.calibration)["indices"]["lv_ef"]["interval"] == [0, 100]


@pytest.mark.parametrize(
    ("value", "half_width", "interval"),
    [(-141.6, 6.0, None), (-3.0, 5.0, None), (0.0, 5.0, [0, 5]), (2.0, 5.0, [0, 7]), (100.5, 5.0, None)],
)
def test_a_value_that_cannot_be_has_no_interval_and_others_lie_in_theirs(model, monkeypatch, value, half_width, interval):
    calibrate(model, half_widths={"lv_ef": half_width})
    findings = Findings("x")
    monkeypatch.setattr(findings, "indices", lambda: {name: Index(name, value, "%", "", "") for name in ("lv_ef", "lv_edv", "lv_esv")})
    row = findings.index_rows(open_model(model, "cpu").calibration)["lv_ef"]
    assert row.get("interval") == interval
    assert ("outside what can be" in row.get("interval_note", "")) == (interval is None)


def test_intervals_where_phases_had_to_be_found_say_so(model):
    calibrate(model)
    opened = open_model(model, "cpu")
    phantom = make_phantom(1, n_phases=6, n_slices=6)
    unknown = replace(phantom.study, end_diastole=None, end_systole=None)
    findings = Findings("x")
    findings.add(replace(segment_judged(opened, unknown, lambda _: None).segmentation, labels=phantom.labels), "a.nii")
    row = findings.to_dict({}, opened.calibration)["indices"]["lv_edv"]
    assert row["interval"] == pytest.approx([row["value"] - 10, row["value"] + 10])
    assert "found on the LV volume curve" in row["interval_note"]


def test_intervals_of_several_views_say_that_they_were_learnt_with_one(model):
    calibrate(model)
    opened = open_model(model, "cpu", views=2)
    phantom = make_phantom(1, phases=("ED", "ES"), n_slices=6)
    for views in (1, 2):
        findings = Findings("x", views=views)
        study = replace(phantom.study, end_diastole=0, end_systole=1)
        findings.add(replace(segment_judged(opened, study, lambda _: None).segmentation, labels=phantom.labels), "a.nii")
        row = findings.to_dict({}, opened.calibration)["indices"]["lv_edv"]
        assert "interval" in row
        assert ("learnt with one view" in row.get("interval_note", "")) == (views == 2)


def test_an_unknown_index_has_no_interval(model):
    calibrate(model)
    findings = Findings("x")
    study = make_phantom(1, phases=("ED",), n_slices=6).study
    opened = open_model(model, "cpu")
    findings.add(segment_judged(opened, replace(study, end_diastole=None), lambda _: None).segmentation, "a.nii")
    assert "interval" not in findings.to_dict({}, opened.calibration)["indices"]["lv_edv"]


def test_wishes_and_verdicts_do_not_meddle_with_the_labels(model):
    study = make_phantom(1, phases=("ED",), n_slices=6).study
    before = segment_judged(open_model(model, "cpu"), study, lambda _: None, clean=Wishes().clean).segmentation.labels
    calibrate(model)
    after = segment_judged(open_model(model, "cpu"), study, lambda _: None, clean=Wishes().clean).segmentation.labels
    assert np.array_equal(before, after)


def test_entropy_is_that_of_the_probabilities_in_one_byte(model):
    study = make_phantom(1, phases=("ED", "ES"), n_slices=6).study
    opened = open_model(model, "cpu")
    judged = segment_judged(opened, study, lambda _: None, keep_entropy=True, keep_probabilities=True)
    assert judged.entropy.dtype == np.uint8
    assert judged.entropy.shape == study.pixels.shape
    for seen, said in zip(judged.entropy, judged.segmentation.probabilities, strict=True):
        assert np.abs(seen / 255 - entropy(said)).max() <= 0.5 / 255 + 1e-6
    assert segment_judged(opened, study, lambda _: None).entropy is None
