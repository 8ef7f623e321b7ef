"""Means, spreads, intervals and differences, against numbers worked by hand and against SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from shortaxis.benchmark.statistics import Difference, _p_value, _range_of, compare_rows, corrected, replicates, summarise_row
from shortaxis.errors import InputError
from shortaxis.metrics.bootstrap import Resampling
from shortaxis.metrics.case import CaseScore
from shortaxis.metrics.protocols import PROTOCOLS


def score(patient: str, overlap: int, size: int = 100, ec: float = 100.0) -> CaseScore:
    """A frame whose three structures have `size` voxels on both sides, `overlap` of them in common."""
    confusion = np.diag([1000, overlap, overlap, overlap])
    confusion[0, 1:] = confusion[1:, 0] = size - overlap
    return CaseScore(f"{patient}_ED", patient, "ED", None, confusion, {"ec": ec})


def patients(overlaps, **options) -> list[CaseScore]:
    return [score(f"p{index:02d}", overlap, **options) for index, overlap in enumerate(overlaps)]


def test_a_figure_is_the_mean_over_trainings_and_its_spread_their_standard_deviation():
    found = summarise_row("a", [patients([90, 90]), patients([80, 80])], "paper", ["dsc_rv"], Resampling(rounds=10))["dsc_rv"]
    assert found.value == pytest.approx(85.0)
    assert found.sd == pytest.approx(np.std([90, 80], ddof=1))
    assert found.unit == "%"


def test_a_pooled_dsc_weighs_patients_by_their_voxels_and_is_no_mean_of_dsc():
    large, small = score("p0", 900, 1000), score("p1", 10, 100)
    found = summarise_row("a", [[large, small]], "paper", ["dsc_rv"], Resampling(rounds=10))["dsc_rv"]
    assert found.value == pytest.approx(100 * 910 / 1100)


def test_one_training_has_no_spread_and_its_interval_is_that_of_its_protocol():
    scores = patients([70, 80, 90, 60, 95])
    resampling = Resampling(rounds=300)
    found = summarise_row("a", [scores], "paper", ["dsc_average"], resampling)["dsc_average"]
    expected = PROTOCOLS["paper"].summarise(scores, resampling)["dsc_average"]
    assert np.isnan(found.sd)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_one_patient_has_no_interval():
    found = summarise_row("a", [patients([70]), patients([80])], "paper", ["dsc_rv"])["dsc_rv"]
    assert found.to_dict() == {"value": 75.0, "sd": pytest.approx(50**0.5), "low": None, "high": None, "unit": "%"}


def test_the_interval_of_equal_patients_is_the_spread_of_the_trainings():
    # No luck of the patients: the standard error of the mean of n trainings is their SD divided by the root of n.
    trained = [patients([overlap] * 5) for overlap in (80, 82, 84, 87, 90)]
    found = summarise_row("a", trained, "paper", ["dsc_rv"])["dsc_rv"]
    expected = stats.norm.interval(0.95, 84.6, np.std([80, 82, 84, 87, 90], ddof=1) / 5**0.5)
    assert (found.low, found.high) == pytest.approx(expected, abs=0.35)


def test_two_trainings_are_not_taken_for_certain():
    found = summarise_row("a", [patients([80] * 3), patients([90] * 3)], "paper", ["dsc_rv"])["dsc_rv"]
    assert found.high - found.low == pytest.approx(10 * 2**0.5)


def test_the_difference_and_its_interval_are_those_of_scipy_where_each_patient_has_one_frame():
    # EC over all frames is a mean of per-patient values, which SciPy can draw in pairs.
    generator = np.random.default_rng(4)
    ours, theirs = (np.where(generator.random(40) < share, 100.0, 0.0) for share in (0.9, 0.6))
    rows = [[score(f"p{index:02d}", 90, ec=value) for index, value in enumerate(values)] for values in (ours, theirs)]
    found = compare_rows(("a", [rows[0]]), ("b", [rows[1]]), "reference", ["ec"])["ec"]
    oracle = stats.bootstrap(
        (ours, theirs), lambda a, b, axis: a.mean(axis) - b.mean(axis), paired=True, n_resamples=20000, method="percentile", rng=generator
    ).confidence_interval
    assert found.value == pytest.approx(ours.mean() - theirs.mean())
    assert (found.low, found.high) == pytest.approx((oracle.low, oracle.high), abs=1.3)


def test_the_p_value_is_near_that_of_a_permutation_test():
    generator = np.random.default_rng(8)
    theirs = generator.integers(60, 90, 30)
    ours = np.minimum(theirs + generator.integers(-6, 9, 30), 100)
    found = compare_rows(("a", [patients(ours)]), ("b", [patients(theirs)]), "paper", ["dsc_rv"])["dsc_rv"]
    oracle = stats.permutation_test(
        (ours, theirs), lambda a, b, axis: (a - b).mean(axis), permutation_type="samples", n_resamples=20000, rng=generator, vectorized=True
    )
    assert found.value == pytest.approx(oracle.statistic)
    assert found.p == pytest.approx(oracle.pvalue, abs=0.03)


def test_no_number_of_draws_gives_a_p_value_of_zero():
    """All 199 draws lie on one side: one draw is added to each side, 2 · (0 + 1) / (199 + 1)."""
    theirs = np.arange(30, 90, 3)
    found = compare_rows(("a", [patients(theirs + 1)]), ("b", [patients(theirs)]), "paper", ["dsc_rv"], Resampling(rounds=199))["dsc_rv"]
    assert found.p == pytest.approx(0.01)


@pytest.mark.parametrize(("drawn", "p"), [([1, 2, 3], 2 / 4), ([-1, 1, 2, 3], 4 / 5), ([0, 0, 0], 1.0), ([-1, -2, -3, np.nan, 0], 4 / 5)])
def test_a_p_value_is_twice_the_smaller_share_of_draws_with_one_more_on_each_side(drawn, p):
    assert _p_value(np.array(drawn, float)) == pytest.approx(p)


def test_pairing_makes_a_small_difference_certain_that_patients_would_drown():
    theirs = np.arange(30, 90, 3)
    found = compare_rows(("a", [patients(theirs + 1)]), ("b", [patients(theirs)]), "paper", ["dsc_rv"])["dsc_rv"]
    assert (found.value, found.low, found.high) == pytest.approx((1.0, 1.0, 1.0))
    assert found.mark == "**"


def test_rows_are_compared_on_the_patients_that_both_have():
    found = compare_rows(("a", [patients([80, 90, 10])]), ("b", [patients([70, 80])]), "paper", ["dsc_rv"])["dsc_rv"]
    assert found.value == pytest.approx(10.0)
    assert compare_rows(("a", [patients([80])]), ("b", [[score("other", 70)]]), "paper", ["dsc_rv"]) == {}


def test_a_difference_of_one_patient_has_no_interval_and_no_mark():
    found = compare_rows(("a", [patients([80])]), ("b", [patients([70])]), "paper", ["dsc_rv"])["dsc_rv"]
    assert found.value == pytest.approx(10.0)
    assert np.isnan(found.low)
    assert np.isnan(found.p)
    assert found.mark == ""
    assert found.to_dict()["p"] is None


def test_holm_multiplies_the_smallest_p_by_the_number_of_rows_and_never_falls():
    given = {"a": 0.01, "b": 0.04, "c": 0.03, "d": np.nan}
    found = corrected({row: Difference(1.0, 0.5, 1.5, p, p) for row, p in given.items()})
    assert [found[row].p_holm for row in "abc"] == pytest.approx([0.03, 0.06, 0.06])  # Holm 1979, by hand
    assert np.isnan(found["d"].p_holm)
    assert (found["a"].mark, found["b"].mark) == ("**", "*")


@pytest.mark.parametrize(("low", "high", "mark"), [(-1.0, 1.0, ""), (0.0, 1.0, ""), (0.1, 1.0, "*"), (-2.0, -0.1, "*")])
def test_a_mark_needs_an_interval_without_zero(low, high, mark):
    assert Difference((low + high) / 2, low, high, 0.2, 0.2).mark == mark


def test_two_stars_stand_for_a_difference_that_survives_the_correction():
    assert [Difference(1.0, 0.5, 1.5, 0.01, p_holm).mark for p_holm in (0.04, 0.06)] == ["**", "*"]


def test_the_luck_of_the_seed_is_shared_by_rows_of_the_same_trainings_and_by_no_others():
    trained = [patients([80] * 5), patients([90] * 5)]
    same, other = (compare_rows(("a", trained), (name, trained), "paper", ["dsc_rv"])["dsc_rv"] for name in ("a", "b"))
    assert (same.low, same.high) == (0.0, 0.0)
    assert other.low < -5 < 5 < other.high


def test_folds_of_a_seed_are_one_replicate_and_seeds_are_several(make_result):
    results = [
        make_result(seed=seed, held_out=held_out, fold=fold, folds=2)
        for seed in (1, 0)
        for fold, held_out in ((1, {"c": 0}), (0, {"a": 0, "b": 1}))
    ]
    found = replicates(results, "held-out", "paper")
    assert [[score.patient for score in scores[::2]] for scores in found] == [["a", "b", "c"], ["a", "b", "c"]]


def test_on_test_patients_every_training_is_a_replicate(make_result):
    results = [make_result(test={"x": 0}, fold=fold, folds=2) for fold in (0, 1)] + [make_result(seed=1, held_out={"a": 0})]
    assert len(replicates(results, "test", "paper")) == 2


def test_two_splits_in_one_folder_are_refused(make_result):
    results = [make_result(held_out={"a": 0}), make_result(held_out={"a": 0, "b": 0}, fold=0, folds=2)]
    with pytest.raises(InputError, match=r"'rows/unet', seed 0: .*patient a"):
        replicates(results, "held-out", "paper")


@pytest.mark.parametrize(
    ("figure", "bounds"),
    [("ec", (0, 100)), ("dsc_rv", (0, 100)), ("hd95_average", (0, np.inf)), ("lv_ef_sd", (0, np.inf)), ("lv_ef_bias", (-np.inf, np.inf))],
)
def test_no_draw_leaves_what_a_figure_can_be(figure, bounds):
    assert _range_of(figure) == bounds
