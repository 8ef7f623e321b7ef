from __future__ import annotations

import numpy as np
import pytest

from shortaxis.labels import Structure
from shortaxis.preprocessing import STANDARD_DEG, HeartPose, pose_of_labels, shows_mirrored


def test_an_rv_to_the_left_lies_at_180_degrees():
    # LV and RV on one row, 4 columns of 2 mm apart; the centre of all lies between them.
    labels = np.zeros((1, 9, 9), np.uint8)
    labels[0, 4, 6], labels[0, 4, 2] = Structure.LV, Structure.RV
    pose = pose_of_labels(labels, (1.0, 2.0))
    assert pose.direction_deg == pytest.approx(180)
    assert pose.centre_mm == pytest.approx((0.0, 0.0))
    assert pose.certainty == 1


def test_directions_are_counted_counter_clockwise_and_in_mm():
    # 3 rows of 1 mm up and 2 columns of 1.5 mm to the left: an angle of 135 degrees.
    labels = np.zeros((1, 9, 9), np.uint8)
    labels[0, 5, 5], labels[0, 2, 3] = Structure.LV, Structure.RV
    assert pose_of_labels(labels, (1.0, 1.5)).direction_deg == pytest.approx(135)


@pytest.mark.parametrize("missing", [Structure.RV, Structure.LV])
def test_without_both_ventricles_there_is_no_pose(missing):
    labels = np.zeros((1, 9, 9), np.uint8)
    labels[0, 4, 6] = Structure.LV if missing is Structure.RV else Structure.RV
    assert pose_of_labels(labels, (1.0, 1.0)) is None


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("direction", [1.0, 77.0, STANDARD_DEG, 301.0])
def test_the_standard_direction_of_the_grid_becomes_that_of_the_heart(direction, mirrored):
    to_image = HeartPose((0.0, 0.0), direction, mirrored).to_image()
    standard = np.deg2rad(STANDARD_DEG)
    down, right = to_image @ np.array([-np.sin(standard), np.cos(standard)])
    assert np.rad2deg(np.arctan2(-down, right)) % 360 == pytest.approx(direction, abs=1e-9)
    assert np.linalg.det(to_image) == pytest.approx(-1 if mirrored else 1)


def _affine(right, down):
    """RAS+ affine of slices whose columns run along `right` and whose rows run along `down`."""
    affine = np.eye(4)
    affine[:3, 2], affine[:3, 1], affine[:3, 0] = right, down, np.cross(right, down)
    return affine


def test_the_view_from_the_apex_is_not_mirrored_and_its_transpose_is():
    # Of a GE study of the Sunnybrook Cardiac Data, as its scanner stored it.
    down, right = np.array([0.397, -0.345, -1.177]), np.array([-0.918, -0.904, -0.044])
    assert not shows_mirrored(_affine(right, down))
    assert not shows_mirrored(_affine(-right, -down))
    assert shows_mirrored(_affine(down, right))
    assert shows_mirrored(_affine(-right, down))


@pytest.mark.parametrize("sign", [1, -1])
def test_axes_of_the_world_say_nothing(sign):
    assert not shows_mirrored(_affine(sign * np.array([1.0, 0, 0]), np.array([0, 1.0, 0])))


def test_a_stack_across_the_heart_axis_says_nothing():
    right = np.array([0.65, 0.6, 0.0])
    down = np.array([-0.65, 0.6, -0.45])  # along the heart axis itself
    assert not shows_mirrored(_affine(right, down))
    assert not shows_mirrored(_affine(down, right))
