from __future__ import annotations

import numpy as np
import pytest

from shortaxis.quality.phase_signs import PHASE_SIGNS, PhaseView, phase_signs


def view(lv, rv=None, doubt=0.0):
    """Areas in cm² of the LV, and of the RV where they are given, in each slice."""
    areas = np.zeros((3, len(lv)))
    areas[2] = np.array(lv) * 100
    areas[0] = 0 if rv is None else np.array(rv) * 100
    return PhaseView(areas, np.full(areas.shape, doubt), basal_first=True)


def test_every_sign_has_one_value_a_slice():
    found = phase_signs(view([1, 2, 3]), view([0, 2, 0]))
    assert tuple(found) == PHASE_SIGNS
    assert all(values.shape == (3,) for values in found.values())


def test_areas_are_compared_with_half_a_square_centimetre_added():
    found = phase_signs(view([4.0, 0, 1]), view([1.0, 0, 0.5], doubt=0.3))
    assert found["area_at_other_phase_lv"] == pytest.approx(np.log([1.5, 0.5, 1.0]))
    assert found["area_against_other_phase_lv"] == pytest.approx([np.log(3), 0, np.log(1.5)])
    assert found["doubt_at_other_phase_lv"] == pytest.approx([0.3] * 3)


def test_reach_counts_slices_beyond_the_other_phase_on_the_side_of_each_slice():
    ed, es = view([0, 1, 1, 1, 1, 1, 1, 0]), view([0, 0, 0, 1, 1, 1, 1, 1])
    # ED begins two slices earlier and ends one earlier.
    assert phase_signs(ed, es)["reach_against_other_phase_lv"].tolist() == [2, 2, 2, 2, -1, -1, -1, -1]
    assert phase_signs(es, ed)["reach_against_other_phase_lv"].tolist() == [-2] * 6 + [1, 1]


def test_reach_is_at_most_three_and_none_where_either_phase_lacks_the_structure():
    long, short = view([1] * 12), view([0] * 5 + [1] * 2 + [0] * 5)
    assert phase_signs(long, short)["reach_against_other_phase_lv"].tolist() == [3] * 12
    assert not phase_signs(long, view([0] * 12))["reach_against_other_phase_lv"].any()
    assert not phase_signs(long, short)["reach_against_other_phase_rv"].any()


def test_depth_counts_from_the_ends_of_what_either_phase_shows():
    found = phase_signs(view([0, 0, 0, 1, 1, 0, 0, 0, 0]), view([0, 0, 0, 0, 1, 0, 0, 0, 0], rv=[0, 0, 0, 0, 0, 1, 0, 0, 0]))
    assert found["depth_in_both"].tolist() == [-2, -1, 0, 1, 2, 1, 0, -1, -2]


def test_the_frame_of_the_smaller_cavity_is_known():
    ed, es = view([5, 5]), view([4, 3])
    assert phase_signs(ed, es)["smaller_cavity"].tolist() == [0, 0]
    assert phase_signs(es, ed)["smaller_cavity"].tolist() == [1, 1]


def test_a_lone_frame_is_compared_with_itself():
    lone = view([0, 4, 1, 0], rv=[1, 1, 0, 0], doubt=0.2)
    alone, itself = phase_signs(lone, None), phase_signs(lone, lone)
    for name, values in alone.items():
        assert values.tolist() == itself[name].tolist()
    for name in ("area_against_other_phase_lv", "area_against_other_phase_rv", "reach_against_other_phase_lv", "smaller_cavity"):
        assert not alone[name].any()
