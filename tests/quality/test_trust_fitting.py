from __future__ import annotations

import numpy as np
import pytest

from shortaxis.errors import InputError
from shortaxis.quality import forest as forest_module
from shortaxis.quality.features import FEATURES
from shortaxis.quality.trust_fitting import SliceTable, auroc, fit_trust, slice_dsc


@pytest.fixture(autouse=True)
def small_forests(monkeypatch):
    monkeypatch.setattr(forest_module, "TREES", 20)


def table(n: int = 600, seed: int = 0, strength: float = 2.0) -> SliceTable:
    """Slices whose first sign tells how poor they are, the others nothing."""
    rng = np.random.default_rng(seed)
    signs = rng.normal(size=(n, len(FEATURES)))
    dsc = np.clip(0.9 - 0.1 * strength * np.maximum(signs[:, 0] + rng.normal(0, 0.5, n), 0), 0, 1)
    return SliceTable(signs, dsc, rng.random(n) < 0.5, np.array([f"p{i % 30}" for i in range(n)]), np.ones(n, bool))


def test_auroc_by_hand():
    assert auroc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True])) == 0.75
    assert auroc(np.array([1.0, 1.0]), np.array([True, False])) == 0.5
    assert auroc(np.array([1.0]), np.array([True])) is None


def test_the_fit_finds_the_sign_that_tells():
    trust = fit_trust(table(), {"data": "made"})
    asked = np.bincount([column for column in trust.forest.feature if column >= 0])
    assert int(np.argmax(asked)) == 0
    assert trust.provenance["auroc_end_slices"] > 0.85
    assert trust.provenance["data"] == "made"
    assert trust.provenance["flagged_good"] == pytest.approx(0.2, abs=0.03)


def test_signs_that_tell_nothing_are_reported_as_such():
    honest = table(400)
    blind = SliceTable(np.random.default_rng(5).normal(size=honest.signs.shape), honest.dsc, honest.end, honest.patient, honest.held_out)
    assert fit_trust(blind, {}).provenance["auroc_all_slices"] == pytest.approx(0.5, abs=0.12)


def test_twins_are_judged_together():
    made = table(120)
    twins = SliceTable(made.signs, made.dsc, made.end, np.array(["a"] * 60 + ["b"] * 60), made.held_out)
    with pytest.raises(InputError, match="three held-out patients or more"):
        fit_trust(twins, {})


def test_no_good_end_slice_is_refused():
    made = table(120)
    with pytest.raises(InputError, match="0 good"):
        fit_trust(SliceTable(made.signs, made.dsc, made.dsc < 0.8, made.patient, made.held_out), {})


def test_a_constant_sign_is_never_asked_for():
    made = table(200)
    made.signs[:, 3] = 7.0
    assert 3 not in fit_trust(made, {}).forest.feature


def test_the_probability_is_honest_on_slices_of_other_patients():
    trust, fresh = fit_trust(table(900), {}), table(900, seed=7)
    probability = trust.probability(dict(zip(FEATURES, fresh.signs.T, strict=True)))
    poor = fresh.dsc < 0.8
    for low, high in ((0.0, 0.2), (0.6, 1.01)):
        among = (probability >= low) & (probability < high)
        assert among.sum() > 30
        assert poor[among].mean() == pytest.approx(probability[among].mean(), abs=0.12)
    assert trust.provenance["brier_end_slices"] < 0.6 * trust.provenance["brier_of_the_share_alone"]


def test_patients_that_the_networks_have_seen_only_teach():
    made, other = table(300), table(300, seed=3)
    both = SliceTable(
        np.concatenate([made.signs, other.signs]),
        np.concatenate([made.dsc, np.ones(300)]),  # the networks are perfect on what they have seen
        np.concatenate([made.end, other.end]),
        np.concatenate([made.patient, np.char.add("seen", other.patient)]),
        np.repeat([True, False], 300),
    )
    facts = fit_trust(both, {}).provenance
    assert facts["end_slices"] == int(made.end.sum())
    assert facts["poor_end_slices"] == int((made.end & (made.dsc < 0.8)).sum())
    assert facts["taught_by_end_slices"] == int(both.end.sum())
    assert facts["flagged_good"] == pytest.approx(0.2, abs=0.05)


@pytest.mark.parametrize("dsc", [0.1, 0.95])
def test_nothing_to_tell_apart_is_refused(dsc):
    made = table(50)
    with pytest.raises(InputError, match="good and with poor end slices"):
        fit_trust(SliceTable(made.signs, np.full(50, dsc), made.end, made.patient, made.held_out), {})


def test_dsc_of_a_slice_is_the_mean_over_what_either_side_shows():
    truth, prediction = np.zeros((2, 3, 2, 2), np.uint8)
    truth[0], prediction[0] = [[3, 3], [2, 2]], [[3, 3], [0, 0]]
    prediction[1, 0, 0] = 1
    # Slice 0: LV 1, MYO 0. Slice 1: RV 0. Slice 2: nothing on either side.
    assert slice_dsc(truth, prediction).tolist() == [0.5, 0.0, 1.0]
