"""The brushes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shortaxis.phantom.tissue import coverage, paint, texture


@given(st.floats(-3, 3), st.floats(0.5, 2.5))
def test_coverage_is_what_sampling_the_pixel_at_many_points_gives(depth: float, width: float) -> None:
    points = depth + (np.arange(2000) + 0.5) / 2000 * width - width / 2
    assert coverage(np.array([depth], np.float32), width)[0] == pytest.approx((points > 0).mean(), abs=1e-3)


def test_paint_mixes_by_share() -> None:
    image = np.array([0.2, 0.2, 0.2], np.float32)
    paint(image, np.array([0, 0.5, 1], np.float32), 1.0)
    np.testing.assert_allclose(image, [0.2, 0.6, 1.0])


def test_texture_is_standardised_smooth_and_seeded() -> None:
    one = texture(np.random.default_rng(1), (64, 64), (3, 3))
    assert one.dtype == np.float32
    assert one.mean() == pytest.approx(0, abs=1e-5)
    assert one.std() == pytest.approx(1, abs=1e-5)
    assert np.abs(np.diff(one, axis=0)).mean() < 0.4
    np.testing.assert_array_equal(one, texture(np.random.default_rng(1), (64, 64), (3, 3)))


def test_texture_of_one_voxel_is_flat_instead_of_undefined() -> None:
    np.testing.assert_array_equal(texture(np.random.default_rng(1), (1, 1), (1, 1)), [[0]])
