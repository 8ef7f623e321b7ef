"""Deviating slices on the grid of their stack: what is drawn in the patient is found where it was drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from shortaxis.io.dicom.alignment import Grid, covers, describe, is_aligned, resample, tilt_between
from shortaxis.io.dicom.geometry import directions, normal

SHAPE, SPACING = (61, 71), (1.5, 1.25)


@pytest.fixture
def stack(make_plane):
    return [make_plane(at, shape=SHAPE, spacing=SPACING) for at in (0.0, 8.0, 24.0, 32.0)]


def about_middle(plane, rotation):
    """Turn a plane about the middle of its image."""
    row, column = directions(plane)
    (rows, columns), (down, across) = plane.shape, plane.spacing
    half = np.array([across * (columns - 1) / 2, down * (rows - 1) / 2])
    middle = np.array(plane.position) + half[0] * row + half[1] * column
    row, column = rotation.apply(row), rotation.apply(column)
    return replace(plane, orientation=(*row, *column), position=tuple(middle - half[0] * row - half[1] * column))


def draw(plane, axis, other):
    """A smooth pattern that runs through the patient along `axis`, sampled on the pixels of a plane."""
    row, column = directions(plane)
    h, w = np.indices(plane.shape)
    points = np.array(plane.position) + h[..., None] * plane.spacing[0] * column + w[..., None] * plane.spacing[1] * row
    aside = points - (points @ axis)[..., None] * axis
    return 100 + 50 * np.sin(aside @ directions(other)[0] / 9) * np.cos(aside @ directions(other)[1] / 7)


def changes(plane):
    row, column = directions(plane)
    across = normal(plane)
    yield "turned 2", about_middle(plane, Rotation.from_rotvec(np.deg2rad(2) * across)), "2.0°"
    yield "tilted 3", about_middle(plane, Rotation.from_rotvec(np.deg2rad(3) * row)), "3.0°"
    yield "tilted aslant", about_middle(plane, Rotation.from_rotvec(np.deg2rad(5) * (row + column) / 2**0.5)), "5.0°"
    swapped = replace(plane, orientation=(*column, *row), shape=SHAPE[::-1], spacing=SPACING[::-1])
    yield "rows and columns swapped", swapped, "71 × 61"
    outwards = np.array(plane.position) - 8 * (SPACING[0] * column + SPACING[1] * row)
    yield "larger", replace(plane, shape=(77, 87), position=tuple(outwards)), "77 × 87"
    yield "finer", replace(plane, shape=(121, 141), spacing=(0.75, 0.625)), "0.75 × 0.625"


@pytest.mark.parametrize("number", range(6))
def test_a_pattern_along_the_stack_is_found_in_place_on_its_grid(stack, make_plane, number):
    name, plane, told = list(changes(make_plane(16.0, shape=SHAPE, spacing=SPACING)))[number]
    grid = Grid(stack)
    adopted = grid.adopt(plane)
    assert grid.place(plane) == pytest.approx(16.0, abs=0.02), name
    assert (adopted.shape, adopted.spacing, adopted.orientation) == (SHAPE, SPACING, stack[0].orientation)
    found = resample(draw(plane, grid.axis, stack[0]), adopted)
    inner = slice(4, -4), slice(4, -4)
    assert np.abs(found - draw(adopted, grid.axis, stack[0]))[inner].max() < 0.7
    assert told in describe(adopted)
    assert covers(adopted)


@pytest.mark.parametrize("number", [3, 4])
def test_pixels_that_coincide_keep_their_values(stack, make_plane, number):
    plane = list(changes(make_plane(16.0, shape=SHAPE, spacing=SPACING)))[number][1]
    image = np.random.default_rng(0).integers(0, 999, plane.shape)
    expected = image.T if number == 3 else image[8:-8, 8:-8]
    np.testing.assert_allclose(resample(image, Grid(stack).adopt(plane)), expected, atol=1e-6)


def test_an_image_beside_the_heart_does_not_cover_the_grid(stack, make_plane):
    plane = make_plane(16.0, shape=(20, 20), spacing=SPACING)
    assert not covers(Grid(stack).adopt(plane))


def test_outside_the_image_the_smallest_value_stands(stack, make_plane):
    plane = make_plane(16.0, shape=(31, 71), spacing=SPACING)
    found = resample(np.full((31, 71), 7.0), Grid(stack).adopt(plane))
    assert set(np.unique(found)) == {7.0}
    image = np.full((31, 71), 9.0)
    image[0, 0] = 2.0
    assert (resample(image, Grid(stack).adopt(plane))[40:] == 2.0).all()


def test_the_grid_follows_a_sheared_stack_beyond_its_ends(make_plane):
    row = np.array(make_plane().orientation[:3])
    stack = [make_plane(position=tuple(np.array(make_plane(at).position) + 0.2 * at * row)) for at in (0.0, 8.0, 16.0)]
    np.testing.assert_allclose(Grid(stack).corner(24.0), np.array(make_plane(24.0).position) + 0.2 * 24.0 * row, atol=1e-9)


def test_digits_do_not_part_images_and_a_quarter_of_a_degree_does(make_plane):
    plane = make_plane()
    rounded = replace(plane, orientation=tuple(round(cosine, 4) for cosine in plane.orientation), spacing=(1.5004, 1.25))
    assert is_aligned(plane, rounded)
    assert not is_aligned(plane, about_middle(plane, Rotation.from_rotvec(np.deg2rad(0.25) * np.array(plane.orientation[:3]))))
    assert not is_aligned(plane, replace(plane, spacing=(1.52, 1.25)))


def test_a_plane_seen_from_behind_is_not_tilted(make_plane):
    plane = make_plane()
    assert tilt_between(plane, replace(plane, orientation=plane.orientation[3:] + plane.orientation[:3])) == pytest.approx(0, abs=1e-6)
