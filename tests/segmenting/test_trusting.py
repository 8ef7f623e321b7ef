from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from shortaxis.ensemble.model_file import ModelSpec, file_sha256, save_model
from shortaxis.errors import InputError
from shortaxis.phantom import make_phantom
from shortaxis.quality import FrameEvidence, TrustModel, entropy
from shortaxis.quality.appearance import APPEARANCE
from shortaxis.quality.calibration import Calibration, calibration_path
from shortaxis.quality.domain import KnownDomain
from shortaxis.quality.forest import Forest
from shortaxis.quality.intervals import Ends, IntervalModel
from shortaxis.quality.phase_signs import PhaseView
from shortaxis.segmenting import Wishes
from shortaxis.segmenting.findings import Findings
from shortaxis.segmenting.opening import open_model
from shortaxis.segmenting.trusting import Judged, judged_together, segment_judged
from shortaxis.study import Segmentation, Study

SPEC = ModelSpec(
    "tiny",
    [{"network": "unet", "options": {"widths": [4, 8]}}] * 2,
    {"rule": "uncertainty", "outer_softmax": False},
    {"kind": "physical", "spacing_mm": 4.0, "size": 64},
)
# A slice is poor where the LV reaches farther out than at the other phase.
TRUST = TrustModel(
    features=("reach_against_other_phase_lv",),
    forest=Forest(roots=(0,), feature=(0, -1, -1), threshold=(0.5, 0, 0), left=(1, 0, 0), right=(2, 0, 0), value=(0, 0.1, 0.9)),
    slope=1.0,
    intercept=0.0,
    threshold=0.5,
    typical=(0.0,),
    provenance={},
)
K = len(APPEARANCE)
ENDS = {"lv_edv": Ends(-1.0, 1.0, 20), "lv_ef": Ends(-1.0, 1.0, 20)}
CALIBRATION = Calibration(
    "0" * 64,
    TRUST,
    IntervalModel({"lv_edv": (0.1, 0, 0, 0, 0), "lv_esv": (0.1, 0, 0, 0, 0)}, ENDS, ENDS),
    KnownDomain((0.0,) * K, (1.0,) * K, tuple(map(tuple, np.eye(K))), 3.0),
)


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "m.safetensors"
    save_model(path, SPEC.build(), SPEC)
    return path


def calibrate(model, **changes):
    replace(CALIBRATION, **{"model_sha256": file_sha256(model), **changes}).save(calibration_path(model))


def segmented(model, study, **options):
    """Segmented and judged, as `segment` does."""
    opened = open_model(model, "cpu", **options)
    return judged_together([segment_judged(opened, study, lambda _: None)], opened.calibration)[0]


def test_the_calibration_beside_the_model_judges_every_frame(model):
    calibrate(model)
    study = make_phantom(1, phases=("ED", "ES"), n_slices=6).study
    opened = open_model(model, "cpu")
    phases = []
    image = segment_judged(opened, study, phases.append)
    assert phases == [0, 1]
    assert [len(frame.slice_mm) for frame in image.evidence] == [6, 6]
    assert not image.verdicts
    (judged,) = judged_together([image], opened.calibration)
    assert [len(risks) for risks in judged.risks] == [6, 6]
    assert len(judged.verdicts) == 2
    for rows, risks in zip(judged.verdicts, judged.risks, strict=True):
        assert rows == sorted(rows, key=lambda row: row["slice"])
        assert all(row["probability"] == risks[row["slice"] - 1] for row in rows)
        assert json.loads(json.dumps(rows)) == rows


def evidence(lv, basal_first=True):
    """What a frame with these LV areas in cm² says of itself."""
    areas = np.zeros((3, len(lv)))
    areas[2] = np.array(lv) * 100.0
    view = PhaseView(areas, np.zeros(areas.shape), basal_first)
    return FrameEvidence({}, view, np.zeros((4, 3)), np.full(len(lv), 10.0), None)


ED, ES = [0, 0, 5, 6, 6, 5, 5, 0, 0, 0, 0], [0, 2, 3, 3, 3, 2, 0, 0, 0, 0, 0]
"""The LV of ES begins a slice before that of ED, which it must not."""


def image(*frames, **named):
    """An image of such frames, of which `end_diastole` and `end_systole` are named."""
    pixels = np.zeros((len(frames), len(frames[0]), 4, 4), np.float32)
    return Judged(Segmentation(Study(pixels, (10.0, 2.0, 2.0), **named), pixels.astype(np.uint8)), None, [evidence(lv) for lv in frames])


def checked(judged, frame=0):
    return [row["slice"] for row in judged.verdicts[frame] if row["verdict"] == "check"]


def test_ed_and_es_of_two_files_are_judged_against_each_other():
    ed, es = judged_together([image(ED, end_diastole=0), image(ES, end_systole=0)], CALIBRATION)
    # The heart lies in slices 2 to 7 at either phase: two slices on either side, and the one beyond; ED reaches farther at the apex.
    assert [row["slice"] for row in ed.verdicts[0]] == [1, 2, 3, 6, 7, 8]
    assert checked(ed) == [6, 7, 8]
    # ES reaches too far at the base, by the sign of the whole basal half: slice 4 lies between the ends and is named for its risk.
    assert [row["slice"] for row in es.verdicts[0]] == [1, 2, 3, 4, 6, 7, 8]
    assert checked(es) == [1, 2, 3, 4]
    assert [row["level"] for row in es.verdicts[0]] == ["basal"] * 3 + ["middle"] + ["apical"] * 3
    assert es.risks[0] == pytest.approx([0.9] * 4 + [0.1] * 7)


def test_a_frame_without_its_companion_is_judged_alone():
    (alone,) = judged_together([image(ES, end_systole=0)], CALIBRATION)
    assert [row["slice"] for row in alone.verdicts[0]] == [1, 2, 3, 5, 6, 7]
    assert checked(alone) == []
    (unnamed,) = judged_together([image(ES)], CALIBRATION)
    assert unnamed.verdicts == alone.verdicts


def test_frames_of_different_depth_are_judged_alone():
    ed, es = judged_together([image([*ED, 0], end_diastole=0), image(ES, end_systole=0)], CALIBRATION)
    assert checked(ed) == checked(es) == []
    assert [row["slice"] for row in es.verdicts[0]] == [1, 2, 3, 5, 6, 7]


def test_the_frames_of_a_cine_are_judged_against_its_own_ed_and_ed_against_es():
    cine = image(ED, ES, ES, ED, end_diastole=0, end_systole=2)
    other = image([1] * 11, end_diastole=0)
    judged, _ = judged_together([cine, other], CALIBRATION)
    assert [checked(judged, frame) for frame in range(4)] == [[6, 7, 8], [1, 2, 3, 4], [1, 2, 3, 4], []]


def test_a_frame_that_shows_nothing_has_risks_and_no_verdict():
    (blank,) = judged_together([image([0] * 5, end_diastole=0)], CALIBRATION)
    assert blank.verdicts == [[]]
    assert len(blank.risks[0]) == 5


def test_without_a_calibration_all_stays_as_it_is():
    images = [image(ED, end_diastole=0), image(ES, end_systole=0)]
    assert judged_together(images, None) == images


def test_without_a_calibration_nothing_is_judged(model):
    opened = open_model(model, "cpu")
    assert opened.calibration is None
    assert segment_judged(opened, make_phantom(1, phases=("ED",), n_slices=6).study, lambda _: None).evidence == []


def test_a_calibration_of_another_model_is_refused(model):
    calibrate(model, model_sha256="0" * 64)
    with pytest.raises(InputError, match=r"m\.calibration\.json .*another model"):
        open_model(model, "cpu")


def test_indices_carry_their_intervals_and_frames_their_verdicts(model):
    calibrate(model)
    opened = open_model(model, "cpu")
    phantom = make_phantom(1, phases=("ED", "ES"), n_slices=6)
    judged = segmented(model, phantom.study)
    findings = Findings("x")
    findings.add(replace(judged.segmentation, labels=phantom.labels), "a.nii", judged=judged)
    content = findings.to_dict(opened.provenance, opened.calibration)
    edv = content["indices"]["lv_edv"]
    assert edv["interval"][0] <= edv["value"] <= edv["interval"][1]
    assert edv["interval_level"] == 0.9
    assert "interval" not in content["indices"]["lv_mass"]
    assert content["scan"]["limit"] == 3.0
    assert [row["end_slices"] for row in content["frames"]] == judged.verdicts
    assert [row["slice_risk"] for row in content["frames"]] == judged.risks


def test_intervals_where_phases_had_to_be_found_say_so(model):
    calibrate(model)
    phantom = make_phantom(1, n_phases=6, n_slices=6)
    judged = segmented(model, replace(phantom.study, end_diastole=None, end_systole=None))
    findings = Findings("x")
    findings.add(replace(judged.segmentation, labels=phantom.labels), "a.nii", judged=judged)
    row = findings.to_dict({}, CALIBRATION)["indices"]["lv_edv"]
    assert "interval" in row
    assert "found on the LV volume curve" in row["interval_note"]


def test_intervals_of_several_views_say_that_they_were_learnt_with_one(model):
    calibrate(model)
    phantom = make_phantom(1, phases=("ED", "ES"), n_slices=6)
    judged = segmented(model, replace(phantom.study, end_diastole=0, end_systole=1), views=2)
    for views in (1, 2):
        findings = Findings("x", views=views)
        findings.add(replace(judged.segmentation, labels=phantom.labels), "a.nii", judged=judged)
        row = findings.to_dict({}, CALIBRATION)["indices"]["lv_edv"]
        assert "interval" in row
        assert ("learnt with one view" in row.get("interval_note", "")) == (views == 2)


def test_an_unknown_index_has_no_interval(model):
    calibrate(model)
    judged = segmented(model, replace(make_phantom(1, phases=("ED",), n_slices=6).study, end_diastole=None))
    findings = Findings("x")
    findings.add(judged.segmentation, "a.nii", judged=judged)
    assert "interval" not in findings.to_dict({}, CALIBRATION)["indices"]["lv_edv"]


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
