"""Slices in order along the true normal, and the affine of the stack, against positions worked out by hand."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from shortaxis.io.dicom.geometry import BASE_TO_APEX, apexward, by_position, normal, stack_affine, tilt, to_ras


def orientation_of(rotation) -> tuple[float, ...]:
    return tuple(np.concatenate([rotation.apply([1, 0, 0]), rotation.apply([0, 1, 0])]))


def test_the_normal_is_row_times_column_and_points_to_the_apex(make_plane):
    axial = make_plane(orientation=(1, 0, 0, 0, 1, 0))
    assert normal(axial).tolist() == [0, 0, 1]
    assert apexward(axial).tolist() == [0, 0, -1], "towards the feet"
    assert tilt(axial) == pytest.approx(np.rad2deg(np.arccos(0.45 / np.sqrt(0.65**2 + 0.6**2 + 0.45**2))))


def test_cosines_of_few_digits_are_brought_to_length_one(make_plane):
    plane = make_plane(orientation=(0.71, 0.7, -0.03, -0.31, 0.27, -0.91), spacing=(1.0, 1.0))
    affine, _, _ = stack_affine([plane])
    np.testing.assert_allclose(np.linalg.norm(affine[:3, :3], axis=0), [8.0, 1.0, 1.0], rtol=1e-12)


@given(st.integers(0, 2**32 - 1), st.integers(2, 14), st.floats(3, 12))
def test_the_affine_puts_every_slice_where_it_was(seed, n, distance):
    rng = np.random.default_rng(seed)
    rotation, first = Rotation.random(rng=rng), rng.uniform(-100, 100, 3)
    row, column, across = rotation.as_matrix().T
    shear = rng.uniform(-2, 2) * row
    plane = _plane_factory()
    slices = [plane(position=tuple(first + d * (distance * across + shear)), orientation=orientation_of(rotation)) for d in range(n)]
    affine, spacing, notes = stack_affine(slices)
    assert spacing == pytest.approx(distance)
    for d in range(n):
        for h, w in ((0, 0), (6, 8)):
            world = first + d * (distance * across + shear) + h * 1.5 * column + w * 1.25 * row
            np.testing.assert_allclose((affine @ (d, h, w, 1))[:3], world * [-1, -1, 1], atol=1e-9)
    assert [note for note in notes if "evenly" in note] == []


def _plane_factory():
    """The fixture is made anew for each test, hypothesis wants one for each example."""
    return lambda **given: SimpleNamespace(**{"spacing": (1.5, 1.25), "thickness": 8.0, **given})


def test_slices_go_from_base_to_apex_whatever_their_numbers(make_cine):
    planes = [plane for at in (16.0, 0.0, 8.0) for plane in make_cine(1, 2, start=at)]
    groups = by_position(planes)
    assert [len(group) for group in groups] == [2, 2, 2]
    assert [round(float(np.array(group[0].position) @ BASE_TO_APEX), 6) for group in groups] == [0, 8, 16]


def test_a_slice_planned_again_a_little_off_is_the_same_slice(make_cine):
    planes = make_cine(5, 2) + make_cine(1, 2, start=17.5)
    assert [len(group) for group in by_position(planes)] == [2, 2, 4, 2, 2]


def test_thin_slices_are_not_taken_for_repeats(make_cine):
    planes = make_cine(3, 1, step=8.0, thickness=2.0) + make_cine(1, 1, start=10.0, thickness=2.0)
    assert len(by_position(planes)) == 4


def test_without_a_telling_normal_slices_stay_as_numbered(make_plane):
    row = make_plane().orientation[:3]
    across = (*row, *BASE_TO_APEX)
    planes = [make_plane(orientation=across) for _ in range(3)]
    axis = apexward(planes[0])
    assert tilt(planes[0]) > 75
    for sign in (1, -1):
        placed = [make_plane(orientation=across, position=tuple(sign * 8.0 * number * axis)) for number in range(3)]
        assert [group[0] for group in by_position(placed)] == placed


def test_uneven_distances_are_named_and_the_median_taken(make_plane):
    affine, distance, notes = stack_affine([make_plane(at) for at in (0.0, 8.0, 24.0, 32.0)])
    assert distance == pytest.approx(8.0)
    assert "16.0 mm between 2 and 3" in " ".join(notes)
    np.testing.assert_allclose(affine[:3, 0], BASE_TO_APEX * 8.0 * [-1, -1, 1], atol=1e-9)


def test_slices_shifted_in_their_plane_are_named(make_plane):
    planes = [make_plane(at) for at in (0.0, 8.0, 16.0, 24.0)]
    row = np.array(planes[0].orientation[:3])
    planes[1] = make_plane(position=tuple(np.array(planes[1].position) + 3.0 * row))
    _, distance, notes = stack_affine(planes)
    assert distance == pytest.approx(8.0)
    assert "3.0 mm in their plane" in " ".join(notes)


def test_one_slice_is_as_thick_as_its_header_says(make_plane):
    assert stack_affine([make_plane(thickness=6.0)])[1] == 6.0
    assert stack_affine([make_plane(thickness=None)])[1] == 1.0


def test_ras_turns_two_axes_round():
    assert to_ras(np.array([[1.0, 2.0, 3.0]])).tolist() == [[-1.0, -2.0, 3.0]]
