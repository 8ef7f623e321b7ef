from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.path import Path

from shortaxis.reports.outlines import outline


def polygons(path):
    """Corners of each polygon in pixels."""
    found = []
    for start, steps in re.findall(r"M(-?\d+ ?-?\d+)l([-\d ]+)z", path):
        numbers = [int(number) for number in re.findall(r"-?\d+", f"{start} {steps}")]
        found.append(np.cumsum(np.reshape(numbers, (-1, 2)), axis=0) / 2)
    return found


def inside(path, points):
    """By the even-odd rule."""
    return np.sum([Path(np.vstack([corners, corners[:1]])).contains_points(points) for corners in polygons(path)], axis=0) % 2 == 1


def test_one_pixel_is_a_diamond_through_the_middles_of_its_sides():
    assert outline(np.array([[False, False], [False, True]])) == "M3 2l1 1-1 1-1-1z"
    assert [corners.tolist() for corners in polygons("M3 2l1 1-1 1-1-1z")] == [[[1.5, 1], [2, 1.5], [1.5, 2], [1, 1.5]]]


def test_straight_runs_are_one_step():
    assert outline(np.ones((2, 3), bool)) == "M1 0l4 0 1 1 0 2-1 1-4 0-1-1 0-2z"


def test_nothing_has_no_outline():
    assert outline(np.zeros((3, 4), bool)) == ""


def test_a_hole_is_a_polygon_of_its_own():
    ring = np.ones((5, 5), bool)
    ring[2, 2] = False
    assert len(polygons(outline(ring))) == 2


def test_pixels_that_touch_at_a_corner_stay_apart():
    assert len(polygons(outline(np.eye(2, dtype=bool)))) == 2
    assert len(polygons(outline(np.eye(2, dtype=bool)[::-1]))) == 2


@given(arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_exactly_the_pixels_of_the_mask_have_their_middle_inside(mask):
    rows, columns = np.indices(mask.shape)
    middles = np.stack([columns.ravel() + 0.5, rows.ravel() + 0.5], axis=1)
    path = outline(mask)
    found = inside(path, middles) if path else np.zeros(mask.size, bool)
    assert found.reshape(mask.shape).tolist() == mask.tolist()


@pytest.mark.parametrize("turn", range(4))
def test_an_outline_turns_with_its_mask(turn):
    mask = np.zeros((6, 6), bool)
    mask[1:3, 1:5] = mask[3, 1] = True

    def area(path):
        return sum(
            abs(np.dot(corners[:, 0], np.roll(corners[:, 1], 1)) - np.dot(corners[:, 1], np.roll(corners[:, 0], 1))) / 2
            for corners in polygons(path)
        )

    # 9 pixels; a convex corner cuts off an eighth, a concave one adds it: five less one.
    assert area(outline(np.rot90(mask, turn))) == pytest.approx(9 - 4 / 8)
