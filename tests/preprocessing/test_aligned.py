from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortaxis.errors import InputError
from shortaxis.preprocessing import AlignedGrid, HeartPose, PhysicalGrid, build_grid, grid_to_dict, pose_of_labels
from shortaxis.preprocessing.aligned import interpolation_matrix

UPRIGHT = HeartPose((0.0, 0.0), 195.0)


def test_an_upright_pose_in_the_middle_samples_as_the_physical_grid_does():
    image = np.random.default_rng(0).random((2, 40, 30))
    for spacing in ((1.5, 1.5), (0.8, 2.1)):
        seen = AlignedGrid(1.25, 24).at(UPRIGHT).sample(image, spacing)
        assert np.allclose(seen, PhysicalGrid(1.25, 24).sample(image, spacing), atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(
    direction=st.floats(0, 360),
    mirrored=st.booleans(),
    centre=st.tuples(st.floats(-15, 15), st.floats(-15, 15)),
    spacing=st.tuples(st.floats(0.9, 2.0), st.floats(0.9, 2.0)),
)
def test_a_linear_ramp_returns_as_it_was(direction, mirrored, centre, spacing):
    rows, columns = np.mgrid[0:140, 0:150]
    ramp = (0.7 * rows - 0.3 * columns)[None]
    grid = AlignedGrid(0.9, 64).at(HeartPose(centre, direction, mirrored))
    back = grid.restore(grid.sample(ramp, spacing), ramp.shape[1:], spacing)
    # Two pixels from the border of the grid nothing but pixels of the image was averaged.
    inner = AlignedGrid(0.9, 58).at(grid.pose).covers(ramp.shape[1:], spacing)
    assert inner.sum() > 200
    assert np.allclose(back[0][inner], ramp[0][inner], atol=0.12)


def test_the_centre_of_the_heart_is_the_middle_of_the_grid():
    image = np.zeros((1, 41, 41))
    image[0, 12, 30] = 1  # 8 rows above and 10 columns right of the middle
    grid = AlignedGrid(1.0, 9).at(HeartPose((-8.0, 10.0), 66.0))
    seen = grid.sample(image, (1.0, 1.0))[0]
    assert np.unravel_index(seen.argmax(), seen.shape) == (4, 4)
    assert seen[4, 4] == pytest.approx(1)


def test_every_heart_lies_in_the_standard_direction():
    rows, columns = np.mgrid[-30:31, -30:31]
    for degrees in (20.0, 140.0, 300.0):
        turn = np.deg2rad(degrees)
        labels = np.zeros((1, 61, 61), np.uint8)
        labels[0][np.hypot(rows, columns) < 6] = 3
        labels[0][np.hypot(rows + 14 * np.sin(turn), columns - 14 * np.cos(turn)) < 5] = 1
        pose = pose_of_labels(labels, (1.0, 1.0))
        assert pose.direction_deg == pytest.approx(degrees, abs=1)
        grid = AlignedGrid(1.0, 61).at(pose)
        seen = np.stack([grid.sample(labels == value, (1.0, 1.0)) for value in range(4)]).argmax(axis=0).astype(np.uint8)
        assert pose_of_labels(seen, (1.0, 1.0)).direction_deg == pytest.approx(195, abs=1)


def test_what_the_grid_does_not_reach_is_not_covered_and_zero():
    grid = AlignedGrid(1.0, 10).at(HeartPose((0.0, 0.0), 240.0))
    covered = grid.covers((30, 30), (1.0, 1.0))
    assert 85 <= covered.sum() <= 115  # 100 pixels, turned by 45 degrees
    back = grid.restore(np.ones((1, 10, 10)), (30, 30), (1.0, 1.0))[0]
    assert np.allclose(back[covered], 1, atol=1e-6)
    assert (back[~covered] == 0).all()


def test_weights_add_up_to_one_beyond_the_border_too():
    points = [np.array([-9.0, 0.2, 3.9, 50.0]), np.array([1.0, -2.0, 7.0, 2.5])]
    matrix = interpolation_matrix(points, (5, 6), (2.3, 0.4))
    assert np.allclose(matrix.sum(axis=1), 1)
    assert matrix.toarray().min() >= 0


def test_pixels_finer_than_any_scan_are_refused():
    with pytest.raises(InputError, match="spacing"):
        AlignedGrid(1.25, 16).at(UPRIGHT).sample(np.zeros((1, 8, 8)), (0.001, 0.001))


def test_its_name_and_options_rebuild_it():
    grid = AlignedGrid(1.0, 96, 160)
    table = grid_to_dict(grid)
    assert table == {"kind": "aligned", "spacing_mm": 1.0, "size": 96, "fallback_size": 160}
    assert build_grid(**table) == grid
    assert grid.upright() == PhysicalGrid(1.0, 160)


def test_an_edge_that_is_no_number_of_pixels_is_refused():
    with pytest.raises(InputError, match="0"):
        AlignedGrid(1.0, 96, 0)
