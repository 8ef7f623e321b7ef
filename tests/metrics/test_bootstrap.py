"""The bootstrap over patients."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from shortaxis.metrics.bootstrap import Estimate, PatientBootstrap, Resampling, mean_of_ratios


def test_mean_and_interval_are_those_of_scipy_when_each_patient_has_one_case():
    values = np.random.default_rng(3).normal(90, 4, 60)
    found = PatientBootstrap([f"p{i:02d}" for i in range(60)], Resampling(rounds=20000)).mean(values, unit="%")
    oracle = stats.bootstrap((values,), np.mean, n_resamples=20000, method="percentile", rng=np.random.default_rng(5)).confidence_interval
    assert found.value == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((oracle.low, oracle.high), abs=0.05)


def test_all_frames_of_a_patient_are_drawn_together():
    # Two patients of two frames each; a draw of whole patients can only give the means 0, 50 or 100, never 25 or 75.
    bootstrap = PatientBootstrap(["a", "b", "a", "b"], Resampling(rounds=500))
    seen = []

    def watch(sums):
        means = mean_of_ratios(sums)
        seen.extend(np.atleast_1d(means))
        return means

    bootstrap.estimate(np.array([[0, 1], [100, 1], [0, 1], [100, 1]]), watch, unit="%", n=4)
    assert set(seen) == {0.0, 50.0, 100.0}


def test_a_pooled_ratio_weights_patients_by_their_voxels():
    found = PatientBootstrap(["a", "b"]).estimate(np.array([[9.0, 10.0], [10.0, 90.0]]), mean_of_ratios, unit="", n=2)
    assert found.value == pytest.approx(19 / 100)
    assert (found.low, found.high) == pytest.approx((10 / 90, 9 / 10))


def test_the_draws_do_not_depend_on_the_order_of_the_cases():
    patients, values = np.array(["c", "a", "b", "a"]), np.array([1.0, 2.0, 3.0, 4.0])
    order = [3, 1, 0, 2]
    assert PatientBootstrap(patients).mean(values, unit="") == PatientBootstrap(patients[order]).mean(values[order], unit="")


def test_equal_seeds_give_equal_intervals_and_other_seeds_others():
    patients, values = [f"p{i}" for i in range(9)], np.arange(9.0) ** 2
    intervals = [PatientBootstrap(patients, Resampling(seed=seed, rounds=99)).mean(values, unit="") for seed in (1, 1, 2)]
    assert intervals[0] == intervals[1]
    assert intervals[0] != intervals[2]


@pytest.mark.parametrize("bootstrap", [PatientBootstrap(["a", "a"]), PatientBootstrap(["a", "b"], Resampling(rounds=0))])
def test_one_patient_or_no_draw_has_a_value_but_no_interval(bootstrap):
    found = bootstrap.mean([80.0, 90.0], unit="%")
    assert found.to_dict() == {"value": 85.0, "low": None, "high": None, "unit": "%", "n": 2, "undefined": 0}


def test_undefined_values_are_left_out_and_counted():
    found = PatientBootstrap(["a", "b", "c"]).mean([1.0, np.nan, 3.0], unit="mm")
    assert (found.value, found.n, found.undefined) == (2.0, 2, 1)
    assert np.isfinite([found.low, found.high]).all()  # draws of b alone are undefined and do not enter


def test_a_mean_of_nothing_is_undefined():
    assert PatientBootstrap(["a", "b"]).mean([np.nan, np.nan], unit="").to_dict()["value"] is None


def test_several_columns_give_the_mean_of_their_means():
    found = PatientBootstrap(["a", "b"]).mean([[1.0, 10.0], [np.nan, 20.0]], unit="")
    assert (found.value, found.n, found.undefined) == (pytest.approx((1 + 15) / 2), 1, 1)


def test_infinity_is_no_json_number():
    assert Estimate(np.inf, -np.inf, np.nan, "", 1).to_dict() == dict.fromkeys(("value", "low", "high")) | {
        "unit": "",
        "n": 1,
        "undefined": 0,
    }


@pytest.mark.parametrize("wrong", [{"rounds": -1}, {"level": 0.0}, {"level": 1.0}])
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(ValueError, match="rounds must not be negative"):
        Resampling(**wrong)
