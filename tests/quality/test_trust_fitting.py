from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shortaxis.errors import InputError
from shortaxis.labels import UNKNOWN, Structure
from shortaxis.quality import SIGNS, trust_fitting
from shortaxis.quality import forest as forest_module
from shortaxis.quality.trust_fitting import FLAGGED_GOOD, SliceTable, auroc, fit_trust, slice_dsc


@pytest.fixture(autouse=True)
def small_forests(monkeypatch):
    monkeypatch.setattr(forest_module, "TREES", 10)
    monkeypatch.setattr(trust_fitting, "MOST_FOLDS", 6)


def table(n: int = 600, seed: int = 0, strength: float = 2.0) -> SliceTable:
    """Slices whose first sign tells how poor they are, the others nothing."""
    rng = np.random.default_rng(seed)
    signs = rng.normal(size=(n, len(SIGNS)))
    dsc = np.clip(0.9 - 0.1 * strength * np.maximum(signs[:, 0] + rng.normal(0, 0.5, n), 0), 0, 1)
    patients = np.array([f"p{i % 30}" for i in range(n)])
    return SliceTable(
        signs, dsc, rng.random(n) < 0.5, patients, np.full(n, "as they are"), np.ones(n, bool), np.ones(n, bool), np.ones(n, bool)
    )


def figures(made: SliceTable, source: str = "as they are") -> dict:
    return fit_trust(made, {})[0].provenance["end_slices"][source]


def test_auroc_by_hand():
    assert auroc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True])) == 0.75
    assert auroc(np.array([1.0, 1.0]), np.array([True, False])) == 0.5
    assert auroc(np.array([1.0]), np.array([True])) is None


def test_the_fit_finds_the_sign_that_tells():
    trust, _ = fit_trust(table(), {"data": "made"})
    asked = np.bincount([column for column in trust.forest.feature if column >= 0])
    assert int(np.argmax(asked)) == 0
    assert trust.provenance["data"] == "made"
    found = trust.provenance["end_slices"]["as they are"]
    assert found["auroc"] > 0.85
    assert found["flagged_good"] == pytest.approx(FLAGGED_GOOD, abs=0.04)


def test_signs_that_tell_nothing_are_reported_as_such():
    honest = table(400)
    blind = replace(honest, signs=np.random.default_rng(5).normal(size=honest.signs.shape))
    assert figures(blind)["auroc"] == pytest.approx(0.5, abs=0.12)


def test_a_patient_is_judged_by_a_forest_that_has_not_seen_it():
    # Each patient has a sign of its own: whoever knows the patient knows the answer, and nobody else does.
    rng = np.random.default_rng(2)
    owner = np.repeat(np.arange(15), 16)
    made = table(240)
    poor = rng.random(15) < 0.5
    own = replace(
        made,
        signs=np.tile(rng.normal(size=(15, 1)), (1, len(SIGNS)))[owner],
        dsc=np.where(poor, 0.5, 0.9)[owner],
        end=np.ones(240, bool),
        patient=np.array([f"q{k}" for k in owner]),
    )
    trust, probability = fit_trust(own, {})
    seen = trust.probability(dict(zip(SIGNS, own.signs.T, strict=True)))
    assert auroc(seen, own.dsc < 0.8) > 0.9
    assert auroc(probability, own.dsc < 0.8) < 0.8
    assert probability.shape == (240,)
    assert np.isfinite(probability).all()


def test_twins_are_judged_together():
    with pytest.raises(InputError, match="not 2 with"):
        fit_trust(replace(table(120), patient=np.array(["a"] * 60 + ["b"] * 60)), {})


def test_no_good_end_slice_is_refused():
    made = table(120)
    with pytest.raises(InputError, match="with 0 good"):
        fit_trust(replace(made, end=made.dsc < 0.8), {})


def test_a_constant_sign_is_never_asked_for():
    made = table(200)
    made.signs[:, 3] = 7.0
    assert 3 not in fit_trust(made, {})[0].forest.feature


def test_the_probability_is_honest_on_slices_of_other_patients():
    fresh = table(900, seed=7)
    trust, _ = fit_trust(table(900), {})
    probability = trust.probability(dict(zip(SIGNS, fresh.signs.T, strict=True)))
    poor = fresh.dsc < 0.8
    for low, high in ((0.0, 0.2), (0.6, 1.01)):
        among = (probability >= low) & (probability < high)
        assert among.sum() > 30
        assert poor[among].mean() == pytest.approx(probability[among].mean(), abs=0.12)
    found = trust.provenance["end_slices"]["as they are"]
    assert found["brier"] < 0.6 * found["brier_of_the_share_alone"]


def joined(first: SliceTable, second: SliceTable) -> SliceTable:
    return SliceTable(*(np.concatenate([mine, other]) for mine, other in zip(vars(first).values(), vars(second).values(), strict=True)))


def test_other_scans_have_figures_of_their_own_and_set_no_threshold():
    made = table(300)
    easy = replace(table(300, seed=3), dsc=np.full(300, 0.95), source=np.full(300, "shifted"), home=np.zeros(300, bool))
    alone, both = figures(made), fit_trust(joined(made, easy), {})[0].provenance
    found = both["end_slices"]
    assert list(found) == ["as they are", "shifted"]
    assert (found["as they are"]["slices"], found["as they are"]["poor"]) == (alone["slices"], alone["poor"])
    assert found["as they are"]["flagged_good"] == pytest.approx(FLAGGED_GOOD, abs=0.06)
    assert (found["shifted"]["poor"], found["shifted"]["auroc"]) == (0, None)
    assert both["taught_by_slices"] == 600


def test_slices_that_do_not_teach_are_judged_all_the_same():
    made, mute = table(300), table(300, seed=3)
    mute = replace(mute, signs=np.roll(mute.signs, 1, axis=1), source=np.full(300, "other"), home=np.zeros(300, bool))
    mute = replace(mute, teaches=np.zeros(300, bool))
    trust, probability = fit_trust(joined(made, mute), {})
    assert trust.forest == fit_trust(made, {})[0].forest
    assert np.isfinite(probability).all()
    assert trust.provenance["taught_by_slices"] == 300


@pytest.mark.parametrize("dsc", [0.1, 0.95])
def test_nothing_to_tell_apart_is_refused(dsc):
    made = table(50)
    with pytest.raises(InputError, match="good and with poor end slices"):
        fit_trust(replace(made, dsc=np.full(50, dsc)), {})


def test_dsc_of_a_slice_is_the_mean_over_what_either_side_shows():
    truth, prediction = np.zeros((2, 3, 2, 2), np.uint8)
    truth[0], prediction[0] = [[3, 3], [2, 2]], [[3, 3], [0, 0]]
    prediction[1, 0, 0] = 1
    # Slice 0: LV 1, MYO 0. Slice 1: RV 0. Slice 2: nothing on either side.
    assert slice_dsc(truth, prediction).tolist() == [0.5, 0.0, 1.0]


def test_structures_that_nobody_annotated_and_unknown_pixels_do_not_count():
    truth, prediction = np.zeros((2, 2, 2, 4), np.uint8)
    truth[:, 0] = [Structure.LV, Structure.LV, UNKNOWN, 0]
    prediction[:, 0] = [Structure.LV, Structure.LV, Structure.LV, Structure.MYO]
    truth[1] = UNKNOWN
    assert slice_dsc(truth, prediction, [Structure.LV]).tolist() == [1.0, 1.0]
    assert slice_dsc(truth, prediction)[0] == 0.5  # LV 1, MYO 0


def test_what_the_first_model_judged_has_figures_of_its_own():
    made = table(300)
    half = np.char.str_len(made.patient) < 3  # p0 to p9
    found = fit_trust(replace(made, first=half), {})[0].provenance["end_slices"]
    assert list(found) == ["as they are", "as they are, first model"]
    assert found["as they are, first model"]["slices"] == int((half & made.end).sum())
    assert list(fit_trust(made, {})[0].provenance["end_slices"]) == ["as they are"]
