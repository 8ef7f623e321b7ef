from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from shortaxis.inference import keep_largest
from shortaxis.labels import FOREGROUND, Structure

RV, MYO, LV = FOREGROUND


def stack(*slices: list[str]) -> np.ndarray:
    """Slices drawn with a digit for each pixel."""
    return np.array([[[int(pixel) for pixel in row] for row in rows] for rows in slices], np.uint8)


def test_the_smaller_of_two_islands_becomes_background() -> None:
    labels = stack(["33000", "33003", "00000"])
    assert np.array_equal(keep_largest(labels), stack(["33000", "33000", "00000"]))


def test_each_structure_is_looked_at_on_its_own() -> None:
    labels = stack(["11020", "10022", "00301"])
    assert np.array_equal(keep_largest(labels), stack(["11020", "10022", "00300"]))


def test_parts_that_touch_at_a_corner_are_one() -> None:
    labels = stack(["300", "030", "000"], ["000", "000", "003"])
    assert np.array_equal(keep_largest(labels), labels)


def test_parts_are_bodies_and_not_slices() -> None:
    """Two pixels on each of three slices outweigh five on one."""
    column, island = ["3300000", "0000000"], ["3303330", "0000330"]
    assert np.array_equal(keep_largest(stack(column, island, column)), stack(column, column, column))


def test_a_slice_without_the_structure_parts_two_bodies() -> None:
    full, empty = ["33", "33"], ["00", "00"]
    assert np.array_equal(keep_largest(stack(full, full, empty, full)), stack(full, full, empty, empty))


def test_a_hole_is_left_open() -> None:
    labels = stack(["222", "202", "222"])
    assert np.array_equal(keep_largest(labels), labels)


@pytest.mark.parametrize("structure", [None, *FOREGROUND])
def test_nothing_or_everything_is_kept(structure: Structure | None) -> None:
    labels = np.full((2, 3, 3), structure or 0, np.uint8)
    assert np.array_equal(keep_largest(labels), labels)


@settings(max_examples=60)
@given(arrays(np.uint8, st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 5)), elements=st.integers(0, 3)))
def test_what_is_left_is_one_part_of_each_structure_that_was_there(labels: np.ndarray) -> None:
    before = labels.copy()
    cleaned = keep_largest(labels)
    assert cleaned.dtype == np.uint8
    assert np.array_equal(labels, before)
    assert np.array_equal(keep_largest(cleaned), cleaned)
    assert np.isin(cleaned[cleaned != labels], [Structure.BACKGROUND]).all()
    for structure in FOREGROUND:
        parts = ndimage.label(cleaned == structure, np.ones((3, 3, 3)))[1]
        assert parts == int((labels == structure).any())
