"""Which file axis is slice, row and column."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shortaxis.io.layout import Layout, choose_layout

layouts = st.builds(
    Layout,
    shape=st.tuples(*[st.integers(1, 4)] * 3),
    axes=st.permutations(range(3)).map(tuple),
    flips=st.tuples(*[st.booleans()] * 3),
)


@given(layouts, st.integers(1, 3))
def test_to_file_undoes_to_study(layout, n_phases):
    array = np.arange(np.prod(layout.shape) * n_phases).reshape(*layout.shape, n_phases)
    study = layout.to_study(array)
    assert study.shape == (n_phases, *(layout.shape[axis] for axis in layout.axes))
    np.testing.assert_array_equal(layout.to_file(study), array)


@given(layouts)
def test_index_matrix_finds_the_voxel_that_to_study_moved(layout):
    array = np.arange(np.prod(layout.shape)).reshape(*layout.shape, 1)
    study = layout.to_study(array)[0]
    for index in itertools.product(*(range(n) for n in study.shape)):
        i, j, k, one = (layout.index_matrix() @ (*index, 1)).astype(int)
        assert one == 1
        assert array[i, j, k, 0] == study[index]


@pytest.mark.parametrize(
    ("shape", "spacing", "through"),
    [
        ((1, 64, 64), (1.0, 1.0, 9.0), 0),  # the only single axis, though another has the larger spacing
        ((64, 10, 64), (1.4, 8.0, 1.4), 1),  # slices lie far apart
        ((8, 64, 64), (8.0, 1.4, 10.0), 0),  # 10 mm is not 1.5 times 8 mm: the shortest axis
        ((64, 12, 60), (1.5, 1.5, 1.5), 1),  # equal spacing: the shortest axis
        ((32, 32, 32), (1.5, 1.5, 1.5), 2),  # nothing tells: the last
        ((12, 12, 60), (2.0, 2.0, 2.0), 2),  # two shortest axes tell nothing: the last
        ((1, 1, 5), (1.0, 1.0, 5.0), 2),  # two single axes tell nothing: the spacing
    ],
)
def test_through_plane_axis_follows_the_written_order_of_rules(shape, spacing, through):
    assert choose_layout(shape, spacing, None).axes[0] == through


@pytest.mark.parametrize("through", [0, 1, 2])
def test_without_orientation_the_first_in_plane_axis_is_the_column_and_nothing_flips(through):
    spacing = [1.5, 1.5, 1.5]
    spacing[through] = 8.0
    layout = choose_layout((20, 20, 20), tuple(spacing), None)
    rest = [axis for axis in range(3) if axis != through]
    assert layout == Layout((20, 20, 20), (through, rest[1], rest[0]))


# Columns of unit vectors in RAS+. W shall run to the left (-x), H to posterior (-y) or inferior (-z).
@pytest.mark.parametrize(
    ("directions", "axes", "flips"),
    [
        ([[-1, 0, 0], [0, -1, 0], [0, 0, 1]], (2, 1, 0), (False, False, False)),  # LPS, as DICOM has it
        ([[1, 0, 0], [0, 1, 0], [0, 0, 1]], (2, 1, 0), (False, True, True)),  # RAS
        ([[0, -1, 0], [-1, 0, 0], [0, 0, 1]], (2, 0, 1), (False, False, False)),  # first axis posterior, second left
        ([[-1, 0, 0], [0, 0, 1], [0, 1, 0]], (2, 1, 0), (False, True, False)),  # coronal, second axis up
    ],
)
def test_in_plane_axes_turn_to_the_radiological_display(directions, axes, flips):
    layout = choose_layout((20, 20, 10), (1.5, 1.5, 8.0), np.array(directions, float))
    assert (layout.axes, layout.flips) == (axes, flips)


def test_a_usual_short_axis_dicom_orientation_is_left_as_it_is():
    """Row and column directions of a public cine (Sunnybrook), turned from LPS to RAS: the scanner's own rows and columns stay."""
    row, column = np.array([-0.712, -0.701, -0.034]), np.array([0.308, -0.268, -0.913])
    layout = choose_layout((256, 256, 10), (1.3, 1.3, 8.0), np.column_stack([row, column, np.cross(row, column)]))
    assert layout == Layout((256, 256, 10))
