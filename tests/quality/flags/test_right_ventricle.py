"""The RV turns at other phases than the LV."""

from __future__ import annotations

import numpy as np
import pytest

from shortaxis.labels import Structure
from shortaxis.quality.flags import study_flags
from shortaxis.study import Segmentation, Study

LV = [100, 92, 75, 50, 42, 40, 55, 78, 84, 96]


def cine(rv, **known) -> Segmentation:
    """Ten phases in which the RV has these volumes in ml; one voxel is 1 ml."""
    labels = np.zeros((10, 1, 20, 20), np.uint8)
    for frame, left, right in zip(labels.reshape(10, -1), LV, rv, strict=True):
        frame[:left], frame[200 : 200 + right] = Structure.LV, Structure.RV
    return Segmentation(Study(np.zeros(labels.shape, np.float32), (10.0, 10.0, 10.0), **known), labels)


def found(segmentation):
    return {flag.name: flag for flag in study_flags(segmentation)}


def test_an_ef_that_differs_between_the_phases_is_flagged_with_both_values_and_frames():
    rv = [90, 96, 100, 92, 75, 60, 52, 50, 66, 80]  # largest in frame 3 and smallest in frame 8; at ED and ES of the LV 90 and 60 ml
    flag = found(cine(rv))["rv_phases_differ"]
    assert (flag.value, flag.limit, flag.unit) == (pytest.approx(50 - 100 / 3), 5, "points")
    for part in ("33 %", "frames 1 and 6", "50 %", "frames 3 and 8"):
        assert part in flag.message
    assert "--rv-ed" in flag.remedy


@pytest.mark.parametrize(("rv_ed", "flagged"), [(95, False), (90, True)])
def test_up_to_five_points_are_no_matter(rv_ed, flagged):
    """At ED and ES of the LV the EF is 100 × (95 − 50) ÷ 95 = 47.4 or 44.4 %, at the RV's own 50 %."""
    rv = [rv_ed, 100, 88, 66, 53, 50, 64, 72, 80, 84]
    assert ("rv_phases_differ" in found(cine(rv))) is flagged


def test_without_phases_of_its_own_the_rv_is_not_compared():
    whole = cine([90, 96, 100, 92, 75, 60, 52, 50, 66, 80])
    pair = Study(whole.study.pixels[:2], whole.study.spacing, end_diastole=0, end_systole=1)
    assert "rv_phases_differ" not in found(Segmentation(pair, whole.labels[[0, 5]]))


def test_a_phase_of_the_rv_that_is_named_is_held_against_the_curve_of_the_rv():
    names = found(cine(LV, rv_end_diastole=3, rv_end_systole=5))
    flag = names["rv_named_phase_not_extreme"]
    assert flag.value == pytest.approx(50)
    assert "frame 4" in flag.message
    assert "named_phase_not_extreme" not in names


def test_the_rvs_own_es_may_come_at_an_odd_distance_too():
    names = found(cine(LV, rv_end_diastole=5, rv_end_systole=0))
    assert "rv_implausible_systole" not in names  # 50 %
    assert found(cine(LV, rv_end_diastole=0, rv_end_systole=1))["rv_implausible_systole"].value == pytest.approx(10)


def test_an_impossible_ef_of_the_rv_is_flagged_once():
    """90 % at the RV's own phases; at those of the LV it is either within its limits or flagged itself."""
    within = [80, 90, 100, 80, 60, 40, 10, 10, 12, 40]
    beyond = [100, 90, 80, 60, 30, 10, 12, 30, 60, 90]
    for rv, name in ((within, "rv_ef_own_outside_physiology"), (beyond, "rv_ef_outside_physiology")):
        assert {flag for flag in found(cine(rv)) if "rv_ef" in flag} == {name}
