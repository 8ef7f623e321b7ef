from __future__ import annotations

import numpy as np
import pytest

from shortaxis.metrics.protocols import INDICES
from shortaxis.quality.interval_fitting import StudyErrors, coverage, cross_fitted, fit_ends, fit_weights, normalised_errors, signed_ends
from shortaxis.quality.intervals import Ends, IntervalModel, index_scales

VOLUMES = ("lv_edv", "lv_esv", "lv_mass", "rv_edv", "rv_esv")


def studies(n, seed=0, per_patient=1):
    """Hearts of 50 to 300 ml; errors of a twentieth of the volume, so that a large heart errs more."""
    rng = np.random.default_rng(seed)
    made = []
    for index in range(n):
        volume = rng.uniform(50, 300)
        parts = np.array([volume, rng.uniform(1, 4), rng.uniform(0, 4), rng.uniform(1, 4), rng.uniform(0, 2)])
        evidence = {"ED": np.tile(parts[:, None], 3), "ES": np.tile(0.5 * parts[:, None], 3)}
        errors = {name: rng.normal(0, 0.05 * volume * (0.5 if name.endswith("esv") else 1)) for name in VOLUMES}
        errors |= {"lv_ef": rng.normal(0, 3.0), "rv_ef": rng.normal(0, 3.0)}
        made.append(StudyErrors(f"p{index // per_patient}", evidence, errors))
    return made


@pytest.fixture(scope="module")
def learnt():
    taught = studies(120)
    weights = fit_weights(taught)
    return weights, IntervalModel(weights, fit_ends([cross_fitted(taught)]), {})


def test_weights_find_what_errors_grow_with(learnt):
    weights, _ = learnt
    assert set(weights) == set(VOLUMES)
    assert all(weight >= 0 for row in weights.values() for weight in row)
    small, large = (index_scales(weights, study.evidence)["lv_edv"] for study in sorted(studies(50), key=_volume)[::49])
    assert large / small == pytest.approx(5, abs=2.5)  # the volumes are some six-fold


def _volume(study):
    return study.evidence["ED"][0, 2]


def test_intervals_hold_nine_new_patients_in_ten_and_are_narrower_for_small_hearts(learnt):
    _, model = learnt
    fresh = studies(400, seed=9)
    for name in ("lv_edv", "rv_esv", "lv_ef"):
        ends = [model.interval(name, 0.0, model.scales(study.evidence), inside=True) for study in fresh]
        held = [low <= study.errors[name] <= high for study, (low, high) in zip(fresh, ends, strict=True)]
        assert np.mean(held) == pytest.approx(0.9, abs=0.06)
    # Small hearts are held as often as large ones: that is what the scale is for.
    widths = {small: [] for small in (True, False)}
    hits = {small: [] for small in (True, False)}
    for study in fresh:
        low, high = model.interval("lv_edv", 0.0, model.scales(study.evidence), inside=True)
        widths[_volume(study) < 175].append(high - low)
        hits[_volume(study) < 175].append(low <= study.errors["lv_edv"] <= high)
    assert np.mean(widths[True]) < 0.6 * np.mean(widths[False])
    assert np.mean(hits[True]) == pytest.approx(np.mean(hits[False]), abs=0.1)


def test_errors_that_lean_to_one_side_have_lopsided_intervals():
    ends = signed_ends(np.random.default_rng(0).exponential(size=400) - 0.1)
    assert -0.1 <= ends.low < 0.1
    assert ends.high == pytest.approx(np.log(20) - 0.1, abs=0.6)


@pytest.mark.parametrize(
    ("n", "rank"),
    [
        (99, 95),  # ⌈100 · 0.95⌉
        (39, 38),  # ⌈40 · 0.95⌉
        (19, 19),  # ⌈20 · 0.95⌉: both extremes
        (16, 16),  # 17 · 0.95 is beyond the largest, but the extremes hold 15 of 17
    ],
)
def test_ends_are_ranks_from_both_sides(n, rank):
    values = np.random.default_rng(0).permutation(np.arange(1.0, n + 1))
    assert signed_ends(values) == Ends(n + 1 - rank, rank, n)


def test_too_few_patients_say_nothing():
    assert signed_ends(np.arange(15.0)) is None
    assert signed_ends(np.full(30, np.nan)) is None


def test_unknown_errors_do_not_count():
    values = np.r_[np.arange(20.0), np.nan, np.nan]
    assert signed_ends(values) == signed_ends(np.arange(20.0))


def _group(**values):
    return dict.fromkeys(INDICES, np.array([])) | values


def test_ends_serve_every_group_and_do_not_undercut_what_they_must_not():
    first, second = _group(lv_edv=np.arange(-10.0, 10)), _group(lv_edv=np.arange(-5.0, 15), lv_ef=np.arange(5.0))
    assert fit_ends([first, second]) == {"lv_edv": Ends(-10, 14, 40)}
    assert fit_ends([second], at_least={"lv_edv": Ends(-20, 3, 9), "lv_mass": Ends(-1, 1, 9)}) == {"lv_edv": Ends(-20, 14, 20)}
    assert fit_ends([]) == {}


def test_errors_are_divided_by_their_scales():
    made = studies(3)
    weights = {"lv_edv": (0.05, 0, 0, 0, 0)}
    found = normalised_errors(made, weights)
    assert found["lv_edv"] == pytest.approx([study.errors["lv_edv"] / (0.05 * _volume(study)) for study in made])
    assert np.isnan(found["rv_edv"]).all()
    unknown = normalised_errors([StudyErrors("p", made[0].evidence, {})], weights)
    assert np.isnan(unknown["lv_edv"]).all()


def test_cross_fitting_leaves_the_whole_patient_out():
    made = studies(24, per_patient=2)
    found = cross_fitted(made)["lv_edv"]
    assert np.isfinite(found).all()
    # Fold 0 of ten holds patients 0 and 10 in order of name: p0, p8 (p0, p1, p10, p11, p2, …).
    names = sorted({study.patient for study in made})
    out = set(names[0::10])
    weights = fit_weights([study for study in made if study.patient not in out])
    for row, study in enumerate(made):
        if study.patient in out:
            assert found[row] == pytest.approx(study.errors["lv_edv"] / index_scales(weights, study.evidence)["lv_edv"])


def test_coverage_leaves_the_patient_out():
    made = studies(42, per_patient=2)
    weights = {"lv_edv": (0.01, 0, 0, 0, 0)}
    # Both studies of patient 0 err far more than anyone: only their own errors could have made intervals wide enough.
    values = np.r_[50.0, 50.0, np.tile([-1.0, 1.0], 20)]
    figures = coverage(_group(lv_edv=values), made, weights)
    assert figures["studies"] == 42
    assert figures["lv_edv"]["held"] == pytest.approx(40 / 42)
    assert figures["rv_ef"] is None


def test_coverage_is_none_where_too_few_know_the_index():
    made = studies(12)
    figures = coverage(_group(lv_edv=np.ones(12)), made, {"lv_edv": (0.01, 0, 0, 0, 0)})
    assert figures["lv_edv"] is None
