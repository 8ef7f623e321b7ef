from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from shortaxis.errors import InputError
from shortaxis.quality import FEATURES, TrustModel, judge_end_slices
from shortaxis.quality.forest import Forest

# Two trees: softness above 0.6 is poor in 8 of 10, the LV's presence in doubt (above 0.5) in 9 of 10; else 1 of 10.
MODEL = TrustModel(
    features=("softness", "endness", "doubt_of_presence_lv"),
    forest=Forest(
        (0, 3), (0, -1, -1, 2, -1, -1), (0.6, 0, 0, 0.5, 0, 0), (1, 0, 0, 4, 0, 0), (2, 0, 0, 5, 0, 0), (0, 0.1, 0.8, 0, 0.1, 0.9)
    ),
    slope=1.0,
    intercept=0.0,
    threshold=0.4,
    typical=(0.1, 0.0, 0.0),
    provenance={},
)


def signs(softness, presence=None, endness=None):
    zeros = np.zeros(len(softness))
    return {
        "softness": np.array(softness),
        "endness": zeros if endness is None else np.array(endness),
        "doubt_of_presence_lv": zeros if presence is None else np.array(presence),
    }


def test_probability_is_the_logistic_curve_of_the_logit_of_the_share():
    found = signs([0.1, 0.9, 0.9], [0.0, 0.0, 0.9])
    assert MODEL.probability(found) == pytest.approx([0.1, 0.45, 0.85])
    steeper = replace(MODEL, slope=2.0, intercept=1.0).probability(found)
    assert steeper[1] == pytest.approx(1 / (1 + np.exp(-(2 * np.log(0.45 / 0.55) + 1))))


def test_end_slices_are_judged_with_level_and_reason():
    found = signs([0.1, 0.7, 0.9, 0.9, 0.1, 0.9])
    verdicts = judge_end_slices(MODEL, found, MODEL.probability(found), basal_first=True)
    assert [(v.slice, v.level, v.verdict) for v in verdicts] == [
        (0, "basal", "trust"),
        (1, "basal", "check"),
        (4, "apical", "trust"),
        (5, "apical", "check"),
    ]
    turned = judge_end_slices(MODEL, found, MODEL.probability(found), basal_first=False)
    assert [v.level for v in turned] == ["apical", "apical", "basal", "basal"]
    assert verdicts[0].reasons == ()
    assert verdicts[1].reasons == ("the outline of the RV is blurred",)  # softness alone does not say which structure: the first is named


def test_the_reason_that_explains_most_comes_first_and_a_light_one_is_left_out():
    both = signs([0.9], [0.9])
    # Without doubt of the LV the probability falls from 0.85 to 0.45, with a sharp outline to 0.5.
    assert MODEL.reasons(both, 0, "basal") == ("whether the LV reaches this slice is unclear", "the outline of the RV is blurred")
    assert MODEL.reasons(signs([0.1], [0.9]), 0, "basal") == ("whether the LV reaches this slice is unclear",)


@pytest.mark.parametrize(("level", "words"), [("basal", "beyond the valve plane"), ("apical", "beyond the apex")])
def test_a_slice_at_the_end_may_lie_beyond_the_heart(level, words):
    model = replace(MODEL, features=("endness", "centroid_jump", "open_ring"))
    found = {"endness": np.array([1.0]), "centroid_jump": np.zeros(1), "open_ring": np.zeros(1)}
    assert model.reasons(found, 0, level) == (f"the slice may lie {words}",)


def test_a_check_always_has_a_reason_even_where_no_sign_explains_it():
    assert len(MODEL.reasons(signs([0.1]), 0, "apical")) >= 1


def test_a_probability_at_the_threshold_is_not_above_it():
    at = replace(MODEL, threshold=float(MODEL.probability(signs([0.9]))[0]))
    found = signs([0.9] * 4)
    assert [v.verdict for v in judge_end_slices(at, found, at.probability(found), basal_first=True)] == ["trust"] * 4


def test_every_sign_can_be_said_in_words():
    leaf = Forest((0,), (-1,), (0.0,), (0,), (0,), (0.5,))
    model = replace(MODEL, features=FEATURES, forest=leaf, typical=(0.0,) * len(FEATURES))
    said = set(itertools.chain.from_iterable(columns for _, _, columns in model._groups("basal")))
    assert said == set(range(len(FEATURES)))


@pytest.mark.parametrize(
    "change", [{"features": ("softness", "nonsense", "endness")}, {"typical": (1.0,)}, {"features": ("softness",), "typical": (0.0,)}]
)
def test_a_damaged_model_is_refused(change):
    with pytest.raises(InputError, match="trust model is damaged"):
        replace(MODEL, **change)
