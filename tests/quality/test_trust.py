from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from shortaxis.errors import InputError
from shortaxis.quality import SIGNS, TrustModel, judge_slices
from shortaxis.quality.forest import Forest
from shortaxis.quality.trust import heart_ends

# Two trees: softness above 0.6 is poor in 8 of 10, the LV's presence in doubt (above 0.5) in 9 of 10; else 1 of 10.
MODEL = TrustModel(
    features=("softness", "depth_in_heart", "doubt_of_presence_lv"),
    forest=Forest(
        (0, 3), (0, -1, -1, 2, -1, -1), (0.6, 0, 0, 0.5, 0, 0), (1, 0, 0, 4, 0, 0), (2, 0, 0, 5, 0, 0), (0, 0.1, 0.8, 0, 0.1, 0.9)
    ),
    slope=1.0,
    intercept=0.0,
    threshold=0.4,
    typical=(0.1, 0.0, 0.0),
    provenance={},
)


def signs(softness, presence=None, depth=None):
    zeros = np.zeros(len(softness))
    return {
        "softness": np.array(softness),
        "depth_in_heart": zeros if depth is None else np.array(depth),
        "doubt_of_presence_lv": zeros if presence is None else np.array(presence),
    }


def test_probability_is_the_logistic_curve_of_the_logit_of_the_share():
    found = signs([0.1, 0.9, 0.9], [0.0, 0.0, 0.9])
    assert MODEL.probability(found) == pytest.approx([0.1, 0.45, 0.85])
    steeper = replace(MODEL, slope=2.0, intercept=1.0).probability(found)
    assert steeper[1] == pytest.approx(1 / (1 + np.exp(-(2 * np.log(0.45 / 0.55) + 1))))


@pytest.mark.parametrize(
    ("span", "depth", "ends"),
    [
        ((2, 8), 12, (1, 2, 3, 7, 8, 9)),
        ((0, 9), 10, (0, 1, 8, 9)),
        ((3, 3), 8, (2, 3, 4)),
        ((3, 4), 8, (2, 3, 4, 5)),
        ((3, 5), 8, (2, 3, 4, 5, 6)),
        ((0, 0), 1, (0,)),
    ],
)
def test_the_ends_of_the_heart_are_two_slices_that_show_it_and_the_one_beyond(span, depth, ends):
    assert heart_ends(span, depth) == ends


def judged(softness, span, *, basal_first=True, model=MODEL):
    found = signs(softness)
    return judge_slices(model, found, model.probability(found), span, basal_first=basal_first)


def test_the_ends_of_the_heart_are_judged_with_level_and_reason():
    # The heart lies from slice 2 to slice 8; 0.9 is risky wherever it stands.
    verdicts = judged([0.9, 0.1, 0.1, 0.9, 0.1, 0.9, 0.1, 0.1, 0.9, 0.1, 0.9], (2, 8))
    assert [(v.slice, v.level, v.verdict) for v in verdicts] == [
        (1, "basal", "trust"),
        (2, "basal", "trust"),
        (3, "basal", "check"),
        (5, "middle", "check"),
        (7, "apical", "trust"),
        (8, "apical", "check"),
        (9, "apical", "trust"),
    ]
    assert [v.probability for v in verdicts] == pytest.approx([0.1, 0.1, 0.45, 0.45, 0.1, 0.45, 0.1])
    assert verdicts[0].reasons == ()
    assert verdicts[2].reasons == ("the outline of the RV is blurred",)  # softness alone does not say which structure: the first is named


def test_the_levels_turn_with_the_stack():
    turned = judged([0.1] * 11, (2, 8), basal_first=False)
    assert [v.level for v in turned] == ["apical"] * 3 + ["basal"] * 3


def test_far_from_the_heart_nothing_is_said_however_risky():
    assert {v.slice for v in judged([0.9] * 20, (9, 10))} == {8, 9, 10, 11}
    assert judged([0.9] * 5, None) == ()


def test_blank_slices_beyond_the_heart_change_no_verdict():
    soft = [0.1, 0.9, 0.1, 0.9, 0.1, 0.1, 0.9, 0.1]
    near = judged(soft, (1, 6))
    far = judged([0.9] * 7 + soft + [0.9] * 2, (8, 13))
    assert [replace(v, slice=v.slice - 7) for v in far] == list(near)


def test_the_reason_that_explains_most_comes_first_and_a_light_one_is_left_out():
    both = signs([0.9], [0.9])
    # Without doubt of the LV the probability falls from 0.85 to 0.45, with a sharp outline to 0.5.
    assert MODEL.reasons(both, 0, "basal") == ("whether the LV reaches this slice is unclear", "the outline of the RV is blurred")
    assert MODEL.reasons(signs([0.1], [0.9]), 0, "basal") == ("whether the LV reaches this slice is unclear",)


@pytest.mark.parametrize(
    ("level", "words"), [("basal", "beyond the valve plane"), ("middle", "beyond the heart"), ("apical", "beyond the apex")]
)
def test_a_slice_at_the_end_may_lie_beyond_the_heart(level, words):
    model = replace(MODEL, features=("depth_in_heart", "centroid_jump", "open_ring"))
    found = {"depth_in_heart": np.array([1.0]), "centroid_jump": np.zeros(1), "open_ring": np.zeros(1)}
    assert model.reasons(found, 0, level) == (f"the slice may lie {words}",)


def test_a_check_always_has_a_reason_even_where_no_sign_explains_it():
    assert len(MODEL.reasons(signs([0.1]), 0, "apical")) >= 1


def test_a_probability_at_the_threshold_is_not_above_it():
    at = replace(MODEL, threshold=float(MODEL.probability(signs([0.9]))[0]))
    assert [v.verdict for v in judged([0.9] * 4, (0, 3), model=at)] == ["trust"] * 4


def test_every_sign_can_be_said_in_words():
    leaf = Forest((0,), (-1,), (0.0,), (0,), (0,), (0.5,))
    model = replace(MODEL, features=SIGNS, forest=leaf, typical=(0.0,) * len(SIGNS))
    said = set(itertools.chain.from_iterable(columns for _, _, columns in model._groups("basal")))
    assert said == set(range(len(SIGNS)))


@pytest.mark.parametrize(
    "change",
    [{"features": ("softness", "nonsense", "depth_in_heart")}, {"typical": (1.0,)}, {"features": ("softness",), "typical": (0.0,)}],
)
def test_a_damaged_model_is_refused(change):
    with pytest.raises(InputError, match="trust model is damaged"):
        replace(MODEL, **change)
