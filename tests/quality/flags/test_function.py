from __future__ import annotations

import numpy as np
import pytest

from shortaxis.labels import Structure
from shortaxis.quality.flags import study_flags
from shortaxis.study import Segmentation, Study

LV, MYO, RV = Structure.LV, Structure.MYO, Structure.RV


def boxes(ed: dict[Structure, int], es: dict[Structure, int]) -> Segmentation:
    """Two frames of 10 slices in which each structure has so many ml, one voxel a ml, away from the border."""
    labels = np.zeros((2, 10, 8, 80), np.uint8)
    for frame, volumes in zip(labels, (ed, es), strict=True):
        for row, structure in ((1, LV), (3, MYO), (5, RV)):
            each = np.full(10, volumes[structure] // 10)
            each[: volumes[structure] % 10] += 1
            for part, n in zip(frame, each, strict=True):
                part[row, 1 : 1 + n] = structure
    pixels = np.broadcast_to(np.float32(0), labels.shape)
    return Segmentation(Study(pixels, (10.0, 10.0, 10.0), end_diastole=0, end_systole=1), labels)


def flags(ed, es):
    """Flags of the module, by name."""
    wanted = ("physiology", "disagree", "changes")
    return {flag.name: flag for flag in study_flags(boxes(ed, es)) if flag.name.endswith(wanted)}


GOOD_ED, GOOD_ES = {LV: 150, MYO: 120, RV: 160}, {LV: 60, MYO: 122, RV: 72}


def test_usual_volumes_have_no_flag():
    assert flags(GOOD_ED, GOOD_ES) == {}


@pytest.mark.parametrize(
    ("es", "name", "value", "limit"),
    [
        ({LV: 149, RV: 159}, "lv_ef_outside_physiology", 100 / 150, 5),
        ({LV: 15, RV: 22}, "lv_ef_outside_physiology", 90, 85),
        ({LV: 149, RV: 159}, "rv_ef_outside_physiology", 100 / 160, 5),
        ({LV: 165, RV: 160}, "lv_ef_outside_physiology", -10, 5),
    ],
)
def test_an_ef_that_no_living_heart_has(es, name, value, limit):
    flag = flags(GOOD_ED, GOOD_ES | es)[name]
    assert (flag.value, flag.limit, flag.unit) == (pytest.approx(value), limit, "%")


@pytest.mark.parametrize(
    ("ed", "es", "name", "value", "limit"),
    [
        ({LV: 39}, {LV: 20}, "lv_edv_outside_physiology", 39, 40),
        ({RV: 501}, {RV: 400}, "rv_edv_outside_physiology", 501, 500),
        ({LV: 20}, {LV: 4}, "lv_esv_outside_physiology", 4, 5),
        ({MYO: 20}, {MYO: 20}, "lv_mass_outside_physiology", 21, 30),
    ],
)
def test_a_volume_or_mass_that_hardly_any_adult_has(ed, es, name, value, limit):
    flag = flags(GOOD_ED | ed, GOOD_ES | es)[name]
    assert (flag.value, flag.limit) == (pytest.approx(value), limit)
    assert f"an {name[:2].upper()} " in flag.message


@pytest.mark.parametrize(("low", "high"), [(40, 500), (500, 40)])
def test_limits_of_volumes_belong_to_the_usual(low, high):
    found = flags({LV: low, MYO: 120, RV: high}, {LV: low - 20, MYO: 120, RV: high - 20})
    assert not {"lv_edv_outside_physiology", "rv_edv_outside_physiology"} & found.keys()


@pytest.mark.parametrize(
    ("rv_stroke", "flagged"),
    [(90, False), (54, False), (53, True), (151, True)],  # |90 - 54| is 50 % of 72, and no more than the limit
)
def test_stroke_volumes_that_disagree(rv_stroke, flagged):
    found = flags(GOOD_ED | {RV: 200}, GOOD_ES | {RV: 200 - rv_stroke})
    assert ("stroke_volumes_disagree" in found) is flagged
    if flagged:
        assert f"LV ejects 90 ml and the RV {rv_stroke} ml" in found["stroke_volumes_disagree"].message
        assert found["stroke_volumes_disagree"].value == pytest.approx(100 * abs(90 - rv_stroke) / ((90 + rv_stroke) / 2))


def test_a_few_ml_are_no_disagreement():
    assert "stroke_volumes_disagree" not in flags(GOOD_ED, {LV: 120, MYO: 120, RV: 150})  # 30 and 10 ml: 100 %


@pytest.mark.parametrize(("mass_es", "flagged"), [(120, False), (162, False), (163, True), (88, True)])
def test_mass_that_changes_over_the_heartbeat(mass_es, flagged):
    found = flags(GOOD_ED, GOOD_ES | {MYO: mass_es})  # 42 of a mean of 141 is 29.8 %
    assert list(found) == ["mass_changes"] * flagged


def test_without_myocardium_in_a_frame_its_mass_is_not_compared():
    assert "mass_changes" not in flags(GOOD_ED, GOOD_ES | {MYO: 0})


def test_one_frame_has_volumes_but_no_function():
    both = boxes(GOOD_ED | {LV: 30}, GOOD_ES)
    study = Study(both.study.pixels[:1], both.study.spacing, end_diastole=0)
    names = [flag.name for flag in study_flags(Segmentation(study, both.labels[:1]))]
    assert "lv_edv_outside_physiology" in names
    assert not [name for name in names if "ef" in name or "stroke" in name or "mass" in name]
