from __future__ import annotations

import numpy as np
import pytest

from shortaxis.quality.grid_frame import grid_frame
from shortaxis.quality.structure_signs import (
    STRUCTURE_SIGNS,
    away_from_neighbour,
    doubt_inside,
    doubt_of_presence,
    log_area,
    member_areas_apart,
    members_apart,
    shrinking,
)

SIZE, MM = 40, 2.0
LV = 2


def frame(*lv_sides: int, sure: float = 1.0, members: tuple[tuple[int, ...], ...] = ()):
    """Slices with a square LV of the given sides in pixels; all else is background."""

    def probabilities(sides):
        p = np.zeros((4, len(sides), SIZE, SIZE), np.float32)
        p[0] = 1
        for index, side in enumerate(sides):
            p[0, index, :side, :side], p[3, index, :side, :side] = 1 - sure, sure
        return p

    return grid_frame(probabilities(lv_sides), np.stack([probabilities(m) for m in (members or (lv_sides,))]), (MM, MM))


def test_doubt_inside_is_one_less_the_mean_probability_of_the_mask():
    assert doubt_inside(frame(10, 0, sure=0.7))[LV] == pytest.approx([0.3, 0], abs=1e-6)


def test_presence_is_most_doubtful_where_the_strongest_square_centimetre_is_undecided():
    # 25 pixels of 4 mm² are a cm². A 5 by 5 square at 0.45 is nearly undecided, at 0.1 it is not there, at 1 it is.
    for sure, doubt in ((0.45, 0.9), (0.1, 0.2), (1.0, 0.0)):
        assert doubt_of_presence(frame(5, sure=sure))[LV] == pytest.approx([doubt], abs=1e-5)
    # A single sure pixel is 1/25 of a cm².
    assert doubt_of_presence(frame(1))[LV] == pytest.approx([2 / 25], abs=1e-5)


def test_members_are_apart_by_their_dsc_and_by_their_areas():
    seen = frame(10, 10, members=((10, 10), (10, 5)))
    assert members_apart(seen)[LV] == pytest.approx([0, 1 - 2 * 25 / 125])
    assert member_areas_apart(seen)[LV] == pytest.approx([0, np.log(450 / 150)])
    assert members_apart(frame(10))[LV].tolist() == [0]
    assert members_apart(seen)[0].tolist() == [0, 0]


def test_a_structure_shrinks_against_its_largest_section():
    assert shrinking(frame(10, 5, 0))[LV] == pytest.approx([0, 0.75, 1])
    assert shrinking(frame(10, 5, 0))[0].tolist() == [1, 1, 1]


def test_the_neighbour_towards_the_middle_is_looked_at():
    away = away_from_neighbour(frame(10, 5, 5, 5, 0))[LV]
    assert away == pytest.approx([1 - 50 / 125, 0, 0, 0, 1])


def test_log_area_is_in_square_centimetres():
    assert log_area(frame(5, 0))[LV] == pytest.approx([np.log(1.5), np.log(0.5)])


def test_signs_do_not_depend_on_where_the_heart_lies():
    def shifted(by):
        p = np.zeros((4, 3, 64, 64), np.float32)
        p[0] = 1
        for index, side in enumerate((9, 8, 4)):
            p[0, index, by : by + side, by : by + side], p[3, index, by : by + side, by : by + side] = 0.2, 0.8
        return grid_frame(p, np.stack([p, p]), (MM, MM))

    for name, sign in STRUCTURE_SIGNS.items():
        np.testing.assert_array_equal(sign(shifted(3)), sign(shifted(40)), err_msg=name)


def test_an_empty_frame_is_cut_to_one_pixel_and_has_finite_signs():
    empty = frame(0, 0)
    assert empty.pooled.shape == (4, 2, 1, 1)
    for name, sign in STRUCTURE_SIGNS.items():
        assert np.isfinite(sign(empty)).all(), name
