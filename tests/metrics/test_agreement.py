"""Agreement of paired indices: hand-worked, and against NumPy and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from shortaxis.metrics.agreement import agreement

values = st.floats(-1e3, 1e3).map(lambda value: round(value, 3))


def test_hand_worked_pairs():
    found = agreement([100.0, 120.0, 150.0], [102.0, 119.0, 155.0])  # differences 2, −1, 5
    assert (found.n, found.undefined) == (3, 0)
    assert found.bias == pytest.approx(2.0)
    assert found.mae == pytest.approx(8 / 3)
    assert found.sd == pytest.approx(3.0)
    assert (found.low, found.high) == pytest.approx((2 - 1.96 * 3, 2 + 1.96 * 3))


def test_a_pair_with_an_undefined_side_is_left_out_and_counted():
    found = agreement([1.0, np.nan, 3.0, 4.0], [2.0, 5.0, np.nan, 7.0])
    assert (found.n, found.undefined) == (2, 2)
    assert found.bias == pytest.approx(2.0)


def test_one_pair_has_a_bias_but_no_spread():
    found = agreement([50.0], [53.0])
    assert (found.bias, found.mae) == (3.0, 3.0)
    assert np.isnan([found.sd, found.r, found.low, found.high]).all()


def test_no_defined_pair_leaves_everything_undefined():
    found = agreement([np.nan], [1.0])
    assert found.n == 0
    assert np.isnan([found.bias, found.sd, found.mae, found.r]).all()


@pytest.mark.parametrize(("truth", "prediction"), [([0.1] * 3, [1.0, 2.0, 4.0]), ([1.0, 2.0, 4.0], [0.3] * 3)])
def test_a_constant_side_has_no_correlation(truth, prediction):
    assert np.isnan(agreement(truth, prediction).r)


def test_equal_differences_have_no_spread():
    assert agreement([1.0, 2.0, 4.0], [1.1, 2.1, 4.1]).sd == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(("truth", "prediction"), [([1.0], [1.0, 2.0]), ([[1.0]], [[1.0]])])
def test_unpaired_values_are_refused(truth, prediction):
    with pytest.raises(ValueError, match="must be one"):
        agreement(truth, prediction)


@given(st.lists(st.tuples(values, values), min_size=3, max_size=20))
def test_figures_are_those_of_numpy_and_scipy(pairs):
    truth, prediction = np.array(pairs).T
    found, d = agreement(truth, prediction), prediction - truth
    assert found.bias == pytest.approx(d.mean(), abs=1e-9)
    assert found.mae == pytest.approx(np.abs(d).mean())
    assert found.sd == pytest.approx(d.std(ddof=1), abs=1e-9)
    if np.ptp(truth) > 0 and np.ptp(prediction) > 0:
        assert found.r == pytest.approx(stats.pearsonr(truth, prediction).statistic, abs=1e-6)
    else:
        assert np.isnan(found.r)
