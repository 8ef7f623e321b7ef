"""Where the AHA segments lie."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortaxis.indices.aha import SEGMENTS, AhaModel, aha_model, has_orientation, rv_contact, segment_masks
from shortaxis.indices.ring import trace_ring
from shortaxis.labels import Structure

SPACING = (8.0, 1.25, 1.25)
# Standard display: slices from base to apex (left, front, feet), rows to the feet and back, columns to the left.
APEXWARD = np.array([-0.6, 0.6, -0.529])
DOWN = np.cross(APEXWARD, np.cross([0.0, -0.7, -0.7], APEXWARD))


def heart(n_slices=9, rv_at=180.0, rv_width=120.0, size=80):
    """A cone of rings, larger at slice 0, with an RV of 12 mm over `rv_width` degrees around `rv_at` (from +W towards +H)."""
    y, x = np.ogrid[:size, :size]
    y, x = (y - 40) * 1.25, (x - 44) * 1.25
    radius, angle = np.hypot(y, x), np.rad2deg(np.arctan2(y, x))
    beside = np.abs((angle - rv_at + 180) % 360 - 180) < rv_width / 2
    labels = np.zeros((n_slices, size, size), np.uint8)
    for index, mask in enumerate(labels):
        epicardium = 32 - 14 * index / n_slices
        mask[(radius < epicardium + 12) & beside] = Structure.RV
        mask[radius < epicardium] = Structure.MYO
        mask[radius < epicardium - 8] = Structure.LV
    return labels


def at(numbered, slice_index, degrees, radius=None):
    """The segment half-way through the wall in some direction, in degrees from +W towards +H."""
    radius = (28 - 14 * slice_index / len(numbered)) if radius is None else radius
    angle = np.deg2rad(degrees)
    return numbered[slice_index, round(40 + radius * np.sin(angle) / 1.25), round(44 + radius * np.cos(angle) / 1.25)]


def oriented(down=DOWN, apexward=APEXWARD):
    down = down / np.linalg.norm(down)
    affine = np.eye(4)
    affine[:3, :3] = np.column_stack([apexward, down, np.cross(apexward, down)]) * SPACING
    return affine


def test_segments_stand_as_in_the_bulls_eye_of_the_statement():
    numbered = segment_masks(heart(), SPACING)
    # The RV lies to the left, its anterior insertion 60° above: clockwise from the top in the image as it is displayed.
    directions = [270, 210, 150, 90, 30, 330]
    assert [at(numbered, 1, degrees) for degrees in directions] == [1, 2, 3, 4, 5, 6]
    assert [at(numbered, 4, degrees) for degrees in directions] == [7, 8, 9, 10, 11, 12]
    assert [at(numbered, 7, degrees) for degrees in (270, 180, 90, 0)] == [13, 14, 15, 16]
    assert SEGMENTS[1] == "basal anteroseptal"
    assert SEGMENTS[15] == "apical lateral"


def test_all_muscle_of_the_measured_slices_is_numbered_and_nothing_else():
    labels = heart()
    numbered = segment_masks(labels, SPACING)
    assert numbered.dtype == np.uint8
    np.testing.assert_array_equal(numbered > 0, labels == Structure.MYO)
    assert set(np.unique(numbered)) == set(range(17))


@settings(max_examples=10)
@given(rv_at=st.floats(130, 230), rv_width=st.floats(80, 160))
def test_first_septal_segment_begins_at_the_anterior_insertion(rv_at, rv_width):
    model = aha_model(heart(6, rv_at, rv_width), SPACING)
    for insertion in model.insertions:
        assert np.rad2deg(insertion) % 360 == pytest.approx(rv_at + rv_width / 2, abs=4)
    assert model.turn == -1


def test_mirrored_image_keeps_the_septum_on_the_rv():
    labels = heart()[:, :, ::-1]
    numbered = segment_masks(labels, SPACING)
    np.testing.assert_array_equal(numbered[:, :, ::-1][1] == 5, segment_masks(heart(), SPACING)[1] == 5)


def test_stack_from_apex_to_base_gives_the_same_segments():
    np.testing.assert_array_equal(segment_masks(heart()[::-1], SPACING)[::-1], segment_masks(heart(), SPACING))


def test_thirds_of_ten_slices_are_four_three_and_three():
    levels = aha_model(heart(10), SPACING).levels
    assert [levels[index] for index in range(10)] == [0, 0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_open_slices_and_the_apical_cap_are_not_measured():
    labels = heart(6)
    labels[0, :36] = Structure.BACKGROUND
    labels[5][labels[5] == Structure.LV] = Structure.MYO
    model = aha_model(labels, SPACING)
    assert sorted(model.levels) == [1, 2, 3, 4]
    assert not segment_masks(labels, SPACING)[[0, 5]].any()


def test_affine_with_orientation_decides_what_is_anterior():
    upright = aha_model(heart(), SPACING, oriented())
    turned = aha_model(heart(), SPACING, oriented(down=-DOWN))
    assert upright.orientation == turned.orientation == "affine"
    assert upright.insertions[0] == pytest.approx(aha_model(heart(), SPACING).insertions[0])
    assert (upright.turn, turned.turn) == (-1, 1)
    assert np.rad2deg(turned.insertions[0]) == pytest.approx(120, abs=3)


def test_affine_with_orientation_decides_where_the_apex_is():
    # A stack that ends in the middle of the ventricle, where its outline no longer tells base from apex.
    labels = np.repeat(heart(9)[3:4], 3, axis=0)
    assert aha_model(labels, SPACING, oriented()).levels == {0: 0, 1: 1, 2: 2}
    assert aha_model(labels, SPACING, oriented(apexward=-APEXWARD)).levels == {0: 2, 1: 1, 2: 0}


@pytest.mark.parametrize("affine", [None, np.eye(4), np.diag([-1.0, 1.0, 8.0, 1.0]), np.eye(4)[[2, 1, 0, 3]] * 1.56])
def test_without_orientation_the_top_of_the_image_is_anterior(affine):
    assert affine is None or not has_orientation(affine)
    model = aha_model(heart(), SPACING, affine)
    assert model.orientation == "image"
    assert np.rad2deg(model.insertions[0]) % 360 == pytest.approx(240, abs=3)


def test_level_without_rv_takes_the_insertion_of_the_next():
    labels = heart()
    for without, same in (((3, 4, 5, 6, 7, 8), (0, 1, 2)), ((0, 1, 2), (0, 1)), ((0, 1, 2, 3, 4, 5), (0, 1, 2))):
        cut = labels.copy()
        part = cut[list(without)]
        part[part == Structure.RV] = Structure.BACKGROUND
        cut[list(without)] = part
        assert len({aha_model(cut, SPACING).insertions[level] for level in same}) == 1


def test_apex_takes_the_insertion_of_mid_since_the_rv_tapers():
    labels = heart()
    labels[6:] = heart(rv_width=70)[6:]
    insertions = aha_model(labels, SPACING).insertions
    assert np.rad2deg(insertions[2]) % 360 == pytest.approx(240, abs=3)
    assert insertions[2] == insertions[1]


def test_small_contact_says_nothing():
    labels = heart(rv_width=40)
    assert "less than 60°" in aha_model(labels, SPACING)
    assert not segment_masks(labels, SPACING).any()


def test_too_few_closed_slices_are_said():
    assert aha_model(heart(2), SPACING).startswith("2 slices have a closed ring")


def test_rv_that_lies_apart_touches_nothing():
    labels = heart()[0]
    ring = trace_ring(labels, SPACING[1:])
    labels[labels == Structure.RV] = Structure.BACKGROUND
    assert rv_contact(labels, SPACING[1:], ring) is None
    labels[:3, :3] = Structure.RV
    assert rv_contact(labels, SPACING[1:], ring) is None


def test_stray_pixels_of_rv_do_not_move_the_insertion():
    labels = heart()[0]
    ring = trace_ring(labels, SPACING[1:])
    expected = rv_contact(labels, SPACING[1:], ring)
    labels[40, 44 + 26] = Structure.RV
    assert rv_contact(labels, SPACING[1:], ring) == expected
    assert np.rad2deg(expected) == pytest.approx([120, -120], abs=3)


def test_every_angle_has_a_segment():
    model = aha_model(heart(), SPACING)
    assert isinstance(model, AhaModel)
    for level, count in ((0, 6), (1, 6), (2, 4)):
        numbers, sizes = np.unique(model.segment_at(level, np.deg2rad(np.arange(0.25, 360, 0.5))), return_counts=True)
        assert (len(numbers), numbers[0]) == (count, 1 + 6 * level)
        assert np.ptp(sizes) <= 1
