"""The three protocols on hand-worked cases, and where they must differ."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from shortaxis.errors import InputError
from shortaxis.metrics.bootstrap import Resampling
from shortaxis.metrics.case import Case
from shortaxis.metrics.end_coefficient import end_coefficient
from shortaxis.metrics.protocols import INDICES, PROTOCOLS, protocols_named, stretch
from shortaxis.study import Frame

SPACING = (10.0, 2.0, 1.0)
BG, RV, MYO, LV = range(4)


def labels(*rows, depth=1):
    """The same slice `depth` times."""
    return np.repeat(np.array([rows], np.uint8), depth, axis=0)


def case(truth, prediction, name="a_frame01", patient="a", phase=None, **more):
    return Case(name, patient, truth, prediction, SPACING, phase, **more)


def summarise(protocol, cases, rounds=50):
    chosen = PROTOCOLS[protocol]
    return chosen.summarise([chosen.score(each) for each in cases], Resampling(rounds=rounds))


def value(figure):
    return figure.to_dict()["value"]


# Big: LV 6 voxels, all found. Small: LV 2 voxels, one found. RV and MYO always found.
BIG = case(labels([RV, MYO, LV, LV, LV, LV, LV, LV]), labels([RV, MYO, LV, LV, LV, LV, LV, LV]), "a", "a")
SMALL = case(labels([RV, MYO, LV, LV, BG, BG, BG, BG]), labels([RV, MYO, LV, BG, BG, BG, BG, BG]), "b", "b")


def test_paper_pools_voxels_over_frames():
    assert summarise("paper", [BIG, SMALL])["dsc_lv"].value == pytest.approx(100 * 2 * 7 / (8 + 7))


def test_clinical_averages_frames():
    assert summarise("clinical", [BIG, SMALL])["dsc_lv"].value == pytest.approx(100 * (1 + 2 / 3) / 2)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_average_is_the_mean_of_the_three_structures(protocol):
    found = summarise(protocol, [BIG, SMALL])
    assert found["dsc_average"].value == pytest.approx(np.mean([found[f"dsc_{name}"].value for name in ("rv", "myo", "lv")]))


def test_reference_gives_every_frame_the_same_number_of_pixels():
    # A frame four times as wide and high, with the same picture, weighs as much as the small one only on the stretched grid.
    truth, prediction = labels([RV, MYO, LV, BG]), labels([RV, MYO, BG, BG])
    large = case(truth.repeat(4, 1).repeat(4, 2), truth.repeat(4, 1).repeat(4, 2), "b", "b")
    small = case(truth, prediction)
    assert summarise("reference", [small, large])["dsc_lv"].value == pytest.approx(100 * 2 / 3)
    assert summarise("paper", [small, large])["dsc_lv"].value == pytest.approx(100 * 2 * 16 / (17 + 16))


def test_reference_counts_every_frame_and_paper_only_annotated_ones():
    unannotated = case(labels([BG, BG, LV, LV]), labels([BG, BG, LV, LV]), "c", "c")
    for protocol, n, undefined in (("reference", 3, 0), ("paper", 2, 1), ("clinical", 2, 1)):
        found = summarise(protocol, [BIG, SMALL, unannotated])["ec"]
        assert (found.n, found.undefined) == (n, undefined)


def test_end_coefficient_is_the_share_of_passing_frames_in_per_cent():
    # SMALL: LV 2/3, so paper (1 + 1 + 2/3)/3 = 0.89 passes; BAD finds only the RV and fails.
    bad = case(SMALL.truth, labels([RV, BG, BG, BG, BG, BG, BG, BG]), "c", "c")
    for protocol in ("reference", "paper", "clinical"):
        assert summarise(protocol, [BIG, SMALL, bad])["ec"].value == pytest.approx(200 / 3)


def frame_of_end_dsc(share, name="a"):
    """A frame of 224 × 224 in which every class, background too, has this DSC: a share of each is taken for the next class."""
    n = 224 * 224 // 4
    truth = np.arange(4, dtype=np.uint8).repeat(n).reshape(1, 224, 224)
    wrong = np.arange(4 * n).reshape(truth.shape) % n >= round(share * n)
    return case(truth, np.where(wrong, (truth + 1) % 4, truth).astype(np.uint8), name, name)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(("share", "ec"), [(0.79, 0.0), (0.81, 100.0)])
def test_a_frame_passes_above_an_end_slice_dsc_of_80_per_cent_under_every_protocol(protocol, share, ec):
    score = PROTOCOLS[protocol].score(frame_of_end_dsc(share))
    assert score.values["end_dsc"] == pytest.approx(100 * share, abs=0.01)
    assert score.values["ec"] == ec
    assert PROTOCOLS[protocol].summarise([score], Resampling(rounds=0))["ec"].value == ec


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_end_coefficient_of_a_protocol_is_equation_6_over_its_frames(protocol):
    unannotated = case(labels([BG, BG, LV, LV]), labels([BG, BG, LV, BG]), "c", "c")
    shares = (0.5, 0.79, 0.81, 0.95, 0.7)
    scores = [PROTOCOLS[protocol].score(each) for each in [*(frame_of_end_dsc(share, str(share)) for share in shares), unannotated]]
    found = PROTOCOLS[protocol].summarise(scores, Resampling(rounds=0))["ec"]
    assert found.value == pytest.approx(100 * end_coefficient([score.values["end_dsc"] / 100 for score in scores]))


def test_stretching_is_pillows_nearest_neighbour():
    picture = np.random.default_rng(0).integers(0, 4, (2, 47, 300)).astype(np.uint8)
    oracle = [np.asarray(Image.fromarray(each).resize((224, 224), Image.Resampling.NEAREST)) for each in picture]
    np.testing.assert_array_equal(stretch(picture), oracle)


def test_stretching_repeats_pixels_evenly():
    np.testing.assert_array_equal(stretch(labels([0, 1], [2, 3]), 4)[0], [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [2, 2, 3, 3]])


def test_a_structure_that_no_frame_has_is_undefined_when_pooled():
    nothing = case(labels([BG, BG, MYO, LV]), labels([BG, BG, MYO, LV]))
    for protocol in ("reference", "paper", "clinical"):
        found = summarise(protocol, [nothing])
        assert value(found["dsc_rv"]) is None
        assert value(found["dsc_average"]) is None
        assert value(found["dsc_lv"]) == 100.0


def test_an_empty_prediction_scores_zero_and_its_distances_are_undefined_and_counted():
    empty = case(SMALL.truth, np.zeros_like(SMALL.truth), "c", "c")
    found = summarise("clinical", [SMALL, empty])
    assert found["dsc_rv"].value == 50.0
    assert (found["hd95_rv"].value, found["hd95_rv"].n, found["hd95_rv"].undefined) == (0.0, 1, 1)
    assert (found["assd_rv"].n, found["assd_rv"].undefined) == (1, 1)
    assert summarise("reference", [empty])["dsc_average"].value == 0.0


def test_distances_are_in_mm():
    shifted = case(labels([RV, MYO, LV, BG]), labels([RV, MYO, BG, LV]))
    found = summarise("clinical", [shifted])
    assert (found["hd95_lv"].value, found["assd_lv"].value, found["hd95_lv"].unit) == (1.0, 1.0, "mm")


def patient(name, ed, es, predicted_ed, predicted_es):
    """ED and ES frame with these numbers of LV voxels of 0.02 ml, of 100."""

    def lv(n):
        return (np.arange(100) < n).astype(np.uint8).reshape(1, 10, 10) * np.uint8(LV)

    return [case(lv(ed), lv(predicted_ed), f"{name}_ED", name, "ED"), case(lv(es), lv(predicted_es), f"{name}_ES", name, "ES")]


def test_agreement_of_indices_is_over_patients():
    cases = [*patient("a", 100, 50, 90, 45), *patient("b", 80, 20, 90, 45), *patient("c", 60, 30, 60, 24)]
    found = summarise("clinical", cases)
    volumes, fractions = np.array([-0.2, 0.2, 0]), np.array([0.0, -25.0, 10.0])
    assert found["lv_edv_bias"].value == pytest.approx(volumes.mean(), abs=1e-12)
    assert found["lv_edv_sd"].value == pytest.approx(volumes.std(ddof=1))
    assert found["lv_ef_bias"].value == pytest.approx(fractions.mean())
    assert found["lv_ef_mae"].value == pytest.approx(np.abs(fractions).mean())
    assert found["lv_ef_r"].value == pytest.approx(np.corrcoef([50, 75, 50], [50, 50, 60])[0, 1])
    assert (found["lv_ef_sd"].n, found["lv_ef_sd"].unit, found["lv_ef_r"].unit) == (3, "%", "")


def test_indices_of_patients_without_both_phases_are_undefined_and_counted():
    cases = [*patient("a", 100, 50, 90, 45), patient("b", 80, 20, 90, 45)[0], case(BIG.truth, BIG.prediction, "c", "c")]
    found = summarise("clinical", cases)
    assert (found["lv_edv_bias"].n, found["lv_edv_bias"].undefined) == (2, 1)
    assert (found["lv_ef_bias"].n, found["lv_ef_bias"].undefined) == (1, 2)
    assert (found["rv_ef_bias"].n, found["rv_ef_bias"].undefined) == (0, 3)  # EDV is zero


def test_patient_rows_hold_both_sides_in_order_of_the_patients():
    protocol = PROTOCOLS["clinical"]
    scores = [protocol.score(each) for each in [patient("b", 80, 20, 90, 45)[0], *patient("a", 100, 50, 90, 45)]]
    rows = protocol.patient_rows(scores)
    assert [row["patient"] for row in rows] == ["a", "b"]
    assert (rows[0]["lv_ef_truth"], rows[0]["lv_edv_prediction"]) == (pytest.approx(50), pytest.approx(1.8))
    assert rows[1]["lv_ef_truth"] is None
    assert PROTOCOLS["paper"].patient_rows(scores) == []


def test_two_frames_of_one_phase_of_a_patient_are_refused():
    ed = patient("a", 100, 50, 90, 45)[0]
    with pytest.raises(InputError, match=r"a_ED: .*another ED frame"):
        summarise("clinical", [ed, ed])


def test_share_of_trusted_slices_is_stated_when_the_quality_control_looked():
    looked = case(labels([RV, MYO, LV], depth=4), labels([RV, MYO, LV], depth=4), trusted=np.array([True, True, False, True]))
    found = summarise("clinical", [looked, SMALL])
    assert (found["trusted_slices"].value, found["trusted_slices"].n, found["trusted_slices"].undefined) == (75.0, 1, 1)
    assert "trusted_slices" not in summarise("clinical", [SMALL])


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_short_frames_equal_to_the_truth_score_full_marks(protocol, depth):
    truth = labels([RV, MYO, LV, BG], depth=depth)
    found = summarise(protocol, [case(truth, truth)])
    assert {name: figure.value for name, figure in found.items() if name.startswith("dsc") or name == "ec"} == dict.fromkeys(
        ("dsc_average", "dsc_rv", "dsc_myo", "dsc_lv", "ec"), 100.0
    )


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_one_patient_has_no_interval(protocol):
    assert all(figure.to_dict()["low"] is None for figure in summarise(protocol, [BIG]).values())


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_interval_holds_the_value(protocol):
    for figure in summarise(protocol, [BIG, SMALL], rounds=200).values():
        content = figure.to_dict()
        assert content["low"] is None or content["low"] <= content["value"] <= content["high"]


def test_rows_of_cases_are_json_without_nan():
    row = PROTOCOLS["clinical"].score(case(labels([BG, LV]), labels([BG, BG]), group="NOR")).to_dict()
    assert json.loads(json.dumps(row, allow_nan=False)) == row
    assert (row["name"], row["group"], row["hd95_lv"], row["dsc_lv"], row["ec"]) == ("a_frame01", "NOR", None, 0.0, None)


def test_protocols_are_found_by_name_each_once():
    assert [protocol.name for protocol in protocols_named(["paper", "all"])] == ["paper", *(name for name in PROTOCOLS if name != "paper")]
    assert [protocol.name for protocol in protocols_named("reference")] == ["reference"]


@pytest.mark.parametrize("names", ["challenge", ["paper", "challenge"]])
def test_an_unknown_protocol_is_refused_with_the_known_ones(names):
    with pytest.raises(InputError, match=r"'challenge'; known are .*paper.* all"):
        protocols_named(names)


def test_no_protocol_at_all_is_refused():
    with pytest.raises(InputError, match="known are"):
        protocols_named([])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"prediction": np.zeros((1, 2, 3), np.uint8)}, r"truth has shape \(1, 2, 2\) and the prediction \(1, 2, 3\)"),
        ({"truth": np.zeros((2, 2), np.uint8), "prediction": np.zeros((2, 2), np.uint8)}, "must be one"),
        ({"truth": np.zeros((0, 2, 2), np.uint8), "prediction": np.zeros((0, 2, 2), np.uint8)}, "must be one"),
        ({"prediction": np.full((1, 2, 2), 4, np.uint8)}, "the prediction must be uint8 labels 0 to 3"),
        ({"truth": np.zeros((1, 2, 2))}, "the truth must be uint8 labels 0 to 3"),
        ({"spacing": (10.0, 0.0, 1.0)}, "three positive lengths"),
        ({"trusted": np.ones(2, bool)}, "one entry for each of the 1 slices"),
    ],
)
def test_a_malformed_case_is_refused_by_name(wrong, message):
    right = {"truth": np.zeros((1, 2, 2), np.uint8), "prediction": np.zeros((1, 2, 2), np.uint8), "spacing": SPACING}
    with pytest.raises(InputError, match=f"^x_frame01: .*{message}"):
        Case("x_frame01", "x", **right | wrong)


def test_a_case_of_an_annotated_frame_takes_over_what_the_frame_knows():
    truth = labels([RV, LV])
    frame = Frame("p_frame01", "p", "ED", "DCM", np.zeros(truth.shape, np.float32), truth, SPACING)
    made = Case.of_frame(frame, truth)
    assert (made.name, made.patient, made.phase, made.group, made.spacing) == ("p_frame01", "p", "ED", "DCM", SPACING)
    assert made.truth is truth
    assert set(INDICES) >= {"lv_edv", "lv_esv", "lv_ef", "lv_mass"}
