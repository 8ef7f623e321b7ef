"""The table of a whole study."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

import shortaxis
from shortaxis.errors import InputError
from shortaxis.indices import Index, indices, ventricular_indices
from shortaxis.labels import Structure
from shortaxis.study import Segmentation, Study, Subject

SPACING = (10.0, 10.0, 10.0)  # one voxel is 1 ml
LV = [100, 88, 60, 41, 40, 55, 78, 84, 88, 96]
RV = [110, 98, 72, 52, 50, 66, 88, 94, 98, 106]
TIMES = tuple(80.0 * phase for phase in range(10))


def cine(lv=LV, rv=RV, **known):
    labels = np.zeros((len(lv), 2, 20, 20), np.uint8)
    for frame, left, right in zip(labels.reshape(len(lv), -1), lv, rv, strict=True):
        frame[:left], frame[300 : 300 + right], frame[600:680] = Structure.LV, Structure.RV, Structure.MYO
    return Segmentation(Study(np.zeros(labels.shape, np.float32), SPACING, **known), labels)


def test_phases_and_body_size_are_those_of_the_study():
    known = cine(end_diastole=9, end_systole=3, subject=Subject(height_cm=160, weight_kg=57.6))
    found = indices(known)
    known_own = {"rv_edv_own": 110.0, "rv_esv_own": 50.0}
    expected = ventricular_indices(known.labels[9], known.labels[3], SPACING, height_cm=160, weight_kg=57.6, **known_own)
    assert {name: found[name].value for name in expected} == {name: index.value for name, index in expected.items()}
    assert (found["lv_edv"].value, found["lv_esv"].value) == (96, 41)
    assert (found["ed_frame"].value, found["es_frame"].value) == (10, 4)
    assert found["ed_frame"].definition.endswith("counted from 1; named by the study")


def test_phases_that_a_cine_does_not_name_are_found_and_said_to_be_found():
    found = indices(cine(end_diastole=9))
    assert (found["lv_edv"].value, found["lv_esv"].value) == (96, 40)
    assert found["ed_frame"].definition.endswith("named by the study")
    assert (found["es_frame"].value, found["es_frame"].unit) == (5, "frame")
    assert found["es_frame"].definition.endswith("counted from 1; found on the LV volume curve")


def test_a_short_study_without_tags_has_reasons_only():
    found = indices(cine(LV[:2], RV[:2]))
    assert all(isinstance(index, Index) and index.value is None and index.reason for index in found.values())
    assert found["ed_frame"].reason == found["lv_edv"].reason == "the end-diastolic phase is not known"


def test_cardiac_output_rests_on_the_phase_times():
    found = indices(cine(phase_times=TIMES))
    assert found["heart_rate"].value == pytest.approx(75)
    assert found["lv_co"].value == pytest.approx(60 * 75 / 1000)
    assert found["rv_co"].value == pytest.approx(60 * 75 / 1000)
    assert "cycle length" in found["heart_rate"].definition
    assert found["lv_per"].unit == "ml/s"
    # Between the mean slope of systole and the steepest step between two phases.
    assert 60 / 0.32 < found["lv_per"].value < 28 / 0.08
    assert found["sv_difference"].value == 0


def test_a_given_heart_rate_overrides_the_phase_times():
    found = indices(cine(phase_times=TIMES), heart_rate=60)
    assert (found["heart_rate"].value, found["heart_rate"].definition) == (60, "beats a minute, as given")
    assert found["lv_co"].value == pytest.approx(3.6)
    assert shortaxis.indices(cine(), heart_rate=60)["lv_co"].value == pytest.approx(3.6)
    with pytest.raises(InputError, match="heart_rate must be positive"):
        indices(cine(), heart_rate=-60)


def test_without_times_output_and_rates_say_why_they_are_missing():
    found = indices(cine())
    for name in ("heart_rate", "lv_pfr", "rv_per"):
        assert (found[name].value, found[name].reason) == (None, "the times of the phases are not known")
    assert found["lv_co"].reason == "the heart rate is not known"


@pytest.mark.parametrize("known", [{}, {"phase_times": TIMES}, {"subject": Subject(height_cm=170, weight_kg=70)}])
def test_every_index_is_whole_and_goes_through_json(known):
    for segmentation in (cine(**known), cine(LV[:1], RV[:1])):
        for name, index in indices(segmentation).items():
            assert index.name == name
            assert index.unit
            assert index.definition
            assert index.source
            assert (index.value is None) == (index.reason is not None)
            assert json.loads(json.dumps(asdict(index), allow_nan=False))["value"] == index.value


LATE_RV = RV[-2:] + RV[:-2]  # the RV turns two phases after the LV


def test_the_rv_is_measured_at_the_phases_of_the_lv_and_at_its_own():
    found = indices(cine(rv=LATE_RV, subject=Subject(height_cm=160, weight_kg=57.6)))  # 1.6 m²
    assert (found["rv_edv"].value, found["rv_esv"].value) == (98, 72)
    assert found["rv_ef"].value == pytest.approx(100 * 26 / 98)
    assert (found["rv_ed_frame"].value, found["rv_es_frame"].value) == (3, 7)
    assert [found[f"rv_{kind}_own"].value for kind in ("edv", "esv", "sv")] == [110, 50, 60]
    assert found["rv_ef_own"].value == pytest.approx(100 * 60 / 110)
    assert found["rv_sv_own_indexed"].value == pytest.approx(60 / 1.6)
    assert "RV volume curve" in found["rv_ed_frame"].definition


def test_phases_of_the_rv_that_are_named_are_those_of_its_own_values_only():
    found = indices(cine(rv=LATE_RV, rv_end_diastole=1, rv_end_systole=5))
    assert (found["rv_edv_own"].value, found["rv_esv_own"].value) == (106, 52)
    assert (found["rv_edv"].value, found["rv_esv"].value) == (98, 72)
    assert "named" in found["rv_es_frame"].definition


def test_extents_and_gaps_act_on_the_rv_at_its_own_phases():
    segmentation = cine(rv=LATE_RV, slice_extents=(5.0, 20.0), gaps=(0,))
    found = indices(segmentation)  # 100 voxels of 0.5 ml in the first slice and 10 of 2 ml in the other; 50 of 0.5 ml
    assert (found["rv_edv_own"].value, found["rv_esv_own"].value) == (70, 25)
    bounds = {name for name, index in found.items() if index.lower_bound and "own" in name}
    assert bounds == {"rv_edv_own", "rv_esv_own"}
