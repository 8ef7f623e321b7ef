"""The myocardial ring: closed or not, and how thick."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortaxis.indices.ring import RAYS, Ring, is_closed, trace_ring
from shortaxis.labels import Structure


def annulus(inner=20.0, outer=28.0, spacing=(1.25, 1.25), centre=(40.0, 42.0), shift=0.0, size=70):
    """Cavity of radius `inner` mm, shifted to the right by `shift` mm, in a disc of radius `outer` mm."""
    y, x = np.ogrid[:size, :size]
    y, x = y * spacing[0] - centre[0], x * spacing[1] - centre[1]
    mask = np.zeros((size, size), np.uint8)
    mask[np.hypot(y, x) < outer] = Structure.MYO
    mask[np.hypot(y, x - shift) < inner] = Structure.LV
    return mask


def test_a_whole_ring_is_closed_and_a_cut_one_is_not():
    ring = annulus()
    assert is_closed(ring)
    ring[:, :20] = Structure.BACKGROUND
    assert not is_closed(ring)


def test_a_ring_that_holds_by_the_corners_of_its_pixels_is_closed():
    mask = np.zeros((5, 5), np.uint8)
    mask[2, 2] = Structure.LV
    mask[[1, 2, 2, 3], [2, 1, 3, 2]] = Structure.MYO
    assert is_closed(mask)
    mask[1, 2] = Structure.RV
    assert not is_closed(mask)


def test_muscle_without_a_cavity_is_no_ring():
    assert not is_closed(annulus(inner=0.0))
    assert not is_closed(np.zeros((9, 9), np.uint8))


@settings(max_examples=12)
@given(
    inner=st.floats(10, 30),
    wall=st.floats(4, 12),
    y=st.floats(38, 42),
    x=st.floats(41, 45),
    spacing=st.sampled_from([(1.25, 1.25), (1.2, 1.5)]),
)
def test_a_round_ring_has_its_thickness_all_around(inner, wall, y, x, spacing):
    mask = annulus(inner, min(inner + wall, 36), spacing, (y, x))
    ring = trace_ring(mask, spacing)
    expected = min(inner + wall, 36) - inner
    assert ring.thickness().mean() == pytest.approx(expected, abs=0.25)
    for sector in ring.thickness().reshape(6, -1):
        assert sector.mean() == pytest.approx(expected, abs=0.5)


def test_centre_is_that_of_the_cavity():
    assert trace_ring(annulus(10, 24, shift=5.0), (1.25, 1.25)).centre == pytest.approx((40, 47), abs=0.2)


def test_thickness_is_across_the_wall_where_the_ray_is_not():
    # A ring seen from a point 10 mm off its middle: rays run aslant through a wall that is 8 mm thick everywhere.
    def seen(radius):
        return 10 * np.cos(RAYS) + np.sqrt(radius**2 - (10 * np.sin(RAYS)) ** 2)

    ring = Ring((0.0, 0.0), seen(20.0), seen(28.0))
    assert (ring.epicardium - ring.endocardium).max() > 8.5
    np.testing.assert_allclose(ring.thickness(), 8.0, atol=0.05)


def test_where_a_chord_misses_the_cavity_the_thickness_is_along_the_ray():
    # A cavity of 1 mm at the edge of a wall that bulges: many chords of the centreline pass beside it.
    bulge = 4 + 20 * np.exp(4 * (np.cos(RAYS) - 1))
    ring = Ring((0.0, 0.0), np.ones_like(RAYS), bulge)
    assert np.isfinite(ring.thickness()).all()
    assert (np.isclose(ring.thickness(), bulge - 1)).sum() > 10


def test_a_hole_in_the_muscle_moves_the_curve_little():
    mask = annulus()
    whole = trace_ring(mask, (1.25, 1.25))
    mask[32, 52] = Structure.BACKGROUND
    assert mask.sum() < annulus().sum()
    np.testing.assert_allclose(trace_ring(mask, (1.25, 1.25)).epicardium, whole.epicardium, atol=1.0)
