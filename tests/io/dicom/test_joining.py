"""Which images make a stack: the slices that deviate from it belong to it where they complete it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from shortaxis.io.dicom.series import choose, stacks_of

SHAPE = (60, 70)
AXIS = np.array([0.65, -0.60, -0.45]) / np.linalg.norm([0.65, -0.60, -0.45])


def tilted(planes, degrees, about=0):
    """Turn planes about the middle of their images: 0 about a row, 1 about a column, 2 in the plane."""
    found = []
    for plane in planes:
        row, column = np.array(plane.orientation[:3]), np.array(plane.orientation[3:])
        half = row * plane.spacing[1] * (plane.shape[1] - 1) / 2, column * plane.spacing[0] * (plane.shape[0] - 1) / 2
        turn = Rotation.from_rotvec(np.deg2rad(degrees) * (row, column, np.cross(row, column))[about])
        corner = np.array(plane.position) + half[0] + half[1] - turn.apply(half[0] + half[1])
        found.append(replace(plane, orientation=(*turn.apply(row), *turn.apply(column)), position=tuple(corner)))
    return found


@pytest.fixture
def cine_of(make_cine):
    return lambda slices, start=0.0, **given: make_cine(slices, 6, start=start, shape=SHAPE, **given)


def taken(planes, folder):
    stack, notes = choose(folder, stacks_of(planes))
    return stack, " ".join(notes)


@pytest.mark.parametrize(("degrees", "about"), [(2, 2), (1, 0), (3, 1), (45, 2), (8, 0)])
def test_a_turned_or_tilted_slice_belongs_to_its_stack(cine_of, tmp_path, degrees, about):
    planes = cine_of(2) + tilted(cine_of(1, 16.0), degrees, about) + cine_of(3, 24.0)
    stack, _ = taken(planes, tmp_path)
    assert [len(images) for images in stack.slices] == [6] * 6
    assert [images[0].stored is not None for images in stack.slices] == [False, False, True, False, False, False]
    places = [np.array(images[0].position) @ AXIS for images in stack.slices]
    assert np.ptp(np.diff(places)) < 0.05


def test_two_deviating_slices_and_one_at_the_end_belong(cine_of, make_cine, tmp_path):
    finer = make_cine(1, 6, start=32.0, shape=(90, 88), spacing=(1.0, 1.0), series_uid="x")
    planes = cine_of(3) + tilted(cine_of(1, 24.0), 2) + finer + tilted(cine_of(1, 40.0), 3, 1)
    assert len(taken(planes, tmp_path)[0].slices) == 6


def test_a_fan_is_one_stack_around_its_middle(cine_of, tmp_path):
    planes = [plane for d in range(6) for plane in tilted(cine_of(1, 8.0 * d), 0.4 * (d - 2.5))]
    stack, _ = taken(planes, tmp_path)
    assert len(stack.slices) == 6
    (own,) = [d for d, images in enumerate(stack.slices) if images[0].stored is None]
    assert own in {2, 3}


def test_halves_planned_apart_are_joined(cine_of, tmp_path):
    planes = cine_of(3, series_uid="a") + tilted(cine_of(3, 24.0, series_uid="b"), 0.8)
    assert len(taken(planes, tmp_path)[0].slices) == 6


def test_every_other_slice_may_deviate(cine_of, make_cine, tmp_path):
    planes = cine_of(3) + make_cine(3, 6, start=4.0, shape=(90, 88), spacing=(1.0, 1.0))
    stack, _ = taken(planes, tmp_path)
    assert [round(float(np.array(images[0].position) @ AXIS)) for images in stack.slices] == [0, 4, 8, 12, 16, 20]


def test_a_whole_stack_of_another_series_between_the_slices_stays_apart(cine_of, tmp_path):
    planes = cine_of(6, series_uid="a", series_number=1) + tilted(cine_of(4, 4.0, series_uid="b", series_number=2), 2)
    stack, told = taken(planes, tmp_path)
    assert (len(stack.slices), stack.series) == (6, (1,))
    assert "series 2" in told


def test_a_deviating_slice_with_far_fewer_phases_does_not_join(cine_of, make_cine, tmp_path):
    assert len(taken(cine_of(4) + tilted(make_cine(1, 2, start=32.0, shape=SHAPE), 2), tmp_path)[0].slices) == 4
    assert len(taken(cine_of(4) + tilted(make_cine(1, 3, start=32.0, shape=SHAPE), 2), tmp_path)[0].slices) == 5


def test_a_whole_stack_planned_again_a_little_tilted_stays_apart(cine_of, tmp_path):
    planes = cine_of(5, series_uid="a", series_number=1) + tilted(cine_of(5, series_uid="b", series_number=2, acquired=9.0), 2)
    stack, told = taken(planes, tmp_path)
    assert (len(stack.slices), stack.series) == (5, (2,))
    assert "series 1" in told


def test_a_tilted_slice_at_a_place_that_has_one_is_left_out_by_name(cine_of, tmp_path):
    stack, told = taken(cine_of(5) + tilted(cine_of(1, 16.0), 2), tmp_path)
    assert len(stack.slices) == 5
    assert "2.0°" in told
    assert "left out" in told


def test_a_slice_tilted_too_far_is_left_out_by_name(cine_of, tmp_path):
    stack, told = taken(cine_of(4) + tilted(cine_of(1, 32.0), 14), tmp_path)
    assert len(stack.slices) == 4
    assert "14.0°" in told


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"start": 32.0}, True),
        ({"start": 16.0}, True),
        ({"start": 44.0}, False),
        ({"start": 32.0, "is_flow": True}, False),
        ({"start": 32.0, "description": "perfusion"}, False),
    ],
)
def test_only_what_the_stack_lacks_is_named_as_left_out(cine_of, tmp_path, change, named):
    home = cine_of(2) + cine_of(1, 24.0)
    slice_ = cine_of(1, **{"series_uid": "x", "series_number": 8, "echo_time": 9.0, **change})
    assert ("slice of series 8" in taken(home + slice_, tmp_path)[1]) == named


def test_a_slice_of_another_series_that_is_tilted_too_far_is_not_named(cine_of, tmp_path):
    planes = cine_of(4) + tilted(cine_of(1, 32.0, series_uid="x", series_number=8), 14)
    assert "series 8" not in taken(planes, tmp_path)[1]


def test_an_image_that_shows_another_part_of_the_body_does_not_belong(cine_of, tmp_path):
    aside = [replace(plane, position=tuple(np.array(plane.position) + 60)) for plane in cine_of(1, 32.0, spacing=(1.0, 1.0))]
    assert len(taken(cine_of(4) + aside, tmp_path)[0].slices) == 4


def test_pixel_sizes_of_more_or_fewer_digits_are_one(cine_of, tmp_path):
    planes = [replace(plane, spacing=(1.49951, 1.25) if d % 2 else (1.4995, 1.25)) for d in range(5) for plane in cine_of(1, 8.0 * d)]
    stack, _ = taken(planes, tmp_path)
    assert len(stack.slices) == 5
    assert all(plane.stored is None for plane in stack.planes)


def test_images_without_the_clock_of_the_phases_beside_them_are_left_out(cine_of, make_plane, tmp_path):
    extra = [make_plane(8.0 * d, shape=SHAPE) for d in range(4)]
    stack, told = taken(cine_of(4) + extra, tmp_path)
    assert (stack.n_phases, stack.clock) == (6, "TriggerTime")
    assert "4 images without TriggerTime" in told
