from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shortaxis.quality.intervals import Ends, IntervalModel, index_scales, parts_of

ONES = (1.0, 1.0, 0.0, 0.0, 0.0)
WEIGHTS = dict.fromkeys(("lv_edv", "lv_esv", "lv_mass", "rv_edv", "rv_esv"), ONES)


def evidence(**phases):
    """Of each phase the LV's parts; the myocardium's are twice, the RV's three times as large."""
    return {phase: np.array(parts, float)[:, None] * [3, 2, 1] for phase, parts in phases.items()}


BOTH = evidence(ED=(100, 8, 0, 0, 0), ES=(50, 6, 0, 0, 0))


def test_a_scale_is_the_root_of_the_weighted_squares():
    weights = {"lv_edv": (0.03, 0.5, 0.0, 0.0, 2.0)}
    scales = index_scales(weights, evidence(ED=(100, 8, 5, 5, 6)))
    assert scales == pytest.approx({"lv_edv": np.sqrt(3**2 + 4**2 + 12**2)})  # 13


def test_mass_is_in_grams():
    scales = index_scales({"lv_mass": (1.0, 0, 0, 0, 0)}, evidence(ED=(100, 0, 0, 0, 0)))
    assert scales["lv_mass"] == pytest.approx(200 * 1.05)


def test_the_scale_of_ef_follows_by_propagation_of_errors():
    scales = index_scales({"lv_edv": (0, 1.0, 0, 0, 0), "lv_esv": (0, 1.0, 0, 0, 0)}, BOTH)
    # EF = 100 (1 - ESV / EDV): the slopes are 100 · 50 / 100² = 0.5 by ml of EDV and -1 by ml of ESV.
    assert (scales["lv_edv"], scales["lv_esv"]) == pytest.approx((8, 6))
    assert scales["lv_ef"] == pytest.approx(np.hypot(0.5 * 8, 1.0 * 6))


def test_an_index_whose_phase_is_not_there_has_no_scale():
    assert set(index_scales(WEIGHTS, {"ES": BOTH["ES"]})) == {"lv_esv", "rv_esv"}
    assert index_scales(WEIGHTS, {}) == {}
    empty = evidence(ED=(0, 0, 0, 0, 0), ES=(0, 0, 0, 0, 0))
    assert "lv_ef" not in index_scales(WEIGHTS, empty)


def test_parts_are_those_of_the_structure_at_the_phase():
    assert parts_of("rv_esv", BOTH)[:2].tolist() == [150, 18]
    assert parts_of("lv_mass", BOTH)[:2] == pytest.approx([210, 16.8])
    assert parts_of("lv_ef", BOTH) is None
    assert parts_of("lv_edv", {"ES": BOTH["ES"]}) is None


MODEL = IntervalModel(
    WEIGHTS,
    inside={"lv_edv": Ends(-2.0, 1.0, 20), "lv_ef": Ends(0.5, 3.0, 20)},
    outside={"lv_edv": Ends(-4.0, 2.0, 20)},
)


def test_an_interval_reaches_as_many_scales_as_its_ends_say():
    assert MODEL.interval("lv_edv", 100.0, {"lv_edv": 5.0}, inside=True) == (90, 105)
    assert MODEL.interval("lv_edv", 100.0, {"lv_edv": 5.0}, inside=False) == (80, 110)


def test_an_index_without_ends_or_scale_has_no_interval():
    assert MODEL.interval("lv_ef", 50.0, {"lv_ef": 5.0}, inside=False) is None
    assert MODEL.interval("lv_edv", 100.0, {}, inside=True) is None
    assert MODEL.interval("lv_edv", 100.0, {"lv_edv": float("nan")}, inside=True) is None


@given(value=st.floats(-1e3, 1e3), scale=st.floats(0, 1e3), low=st.floats(-9, 9), high=st.floats(-9, 9))
def test_an_interval_holds_its_value(value, scale, low, high):
    model = IntervalModel({}, {"lv_ef": Ends(low, high, 9)}, {})
    first, last = model.interval("lv_ef", value, {"lv_ef": scale}, inside=True)
    assert first <= value <= last
