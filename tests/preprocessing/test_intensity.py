from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from shortaxis.preprocessing import normalise

quick = settings(max_examples=40)


def frame(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).gamma(2.0, 100.0, (4, 12, 15))


@quick
@given(st.integers(0, 2**32 - 1))
def test_mean_is_zero_and_standard_deviation_one(seed: int) -> None:
    values = normalise(frame(seed))
    assert values.dtype == np.float32
    assert values.mean(dtype=np.float64) == pytest.approx(0, abs=1e-6)
    assert values.std(dtype=np.float64) == pytest.approx(1, abs=1e-5)


@quick
@given(st.integers(0, 2**32 - 1), st.floats(1e-3, 1e4), st.floats(-1e4, 1e4))
def test_scanner_s_scale_and_offset_do_not_matter(seed: int, scale: float, offset: float) -> None:
    values = frame(seed)
    resolution = 1e-6 * abs(offset) / scale  # what float32 leaves of the image beside a large offset, in grey values
    assert_allclose(normalise(values * scale + offset), normalise(values), atol=1e-4 + resolution / 50)


def test_inverted_contrast_is_inverted() -> None:
    assert_allclose(normalise(-frame()), -normalise(frame()), atol=1e-5)


def test_the_darkest_and_brightest_half_percent_are_clipped() -> None:
    """Two hundred and one values 0 to 200: half a percent from either end stand 1 and 199."""
    values = normalise(np.arange(201.0).reshape(1, 1, 201))[0, 0]
    inner = np.clip(np.arange(201.0), 1, 199)
    assert_allclose(values, (inner - inner.mean()) / inner.std(), atol=1e-5)


def test_one_white_pixel_does_not_squeeze_the_rest() -> None:
    spoilt = frame()
    spoilt[0, 0, 0] = 1e9
    usual = frame() < np.percentile(frame(), 90)
    usual[0, 0, 0] = False
    assert np.abs(normalise(spoilt) - normalise(frame()))[usual].max() < 0.1


@pytest.mark.parametrize("value", [0, 1, -7.3, 1e-30, 3.1e7, 0.1])
def test_a_constant_frame_becomes_zero(value: float) -> None:
    assert not normalise(np.full((3, 5, 7), value)).any()


def test_a_frame_that_is_constant_but_for_a_stray_pixel_becomes_zero() -> None:
    stray = np.full((3, 20, 20), 5.0)
    stray[1, 2, 3] = 6.0
    assert not normalise(stray).any()


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.float64])
def test_any_real_type_gives_the_same(dtype) -> None:
    values = np.random.default_rng(0).integers(0, 200, (2, 9, 9))
    assert np.array_equal(normalise(values.astype(dtype)), normalise(values.astype(np.float32)))


def test_input_is_left_as_it_was() -> None:
    values = frame().astype(np.float32)
    before = values.copy()
    normalise(values)
    assert np.array_equal(values, before)
