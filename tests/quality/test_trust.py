from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shortaxis.errors import InputError
from shortaxis.quality import TrustModel, base_is_first, judge_end_slices
from shortaxis.quality.features import FEATURES
from shortaxis.quality.trust import REASONS

MODEL = TrustModel(
    features=("softness", "endness"),
    mean=(0.5, 0.0),
    scale=(0.1, 1.0),
    coefficients=(2.0, 0.0),
    intercept=0.0,
    threshold=0.6,
    usual=(0.55, 2.0),
    provenance={},
)


def test_probability_is_the_logistic_function_of_the_standardised_signs():
    signs = {"softness": np.array([0.5, 0.6, 0.3]), "endness": np.zeros(3)}
    assert MODEL.probability(signs) == pytest.approx([0.5, 1 / (1 + np.exp(-2)), 1 / (1 + np.exp(4))])


def test_end_slices_are_judged_with_level_and_reason():
    stack = np.zeros((6, 4, 4), np.uint8)
    for index, size in enumerate((4, 4, 3, 2, 1, 0)):
        stack[index, :size, :size] = 3
    softness = np.array([0.1, 0.7, 0.9, 0.9, 0.1, 0.9])
    verdicts = judge_end_slices(MODEL, {"softness": softness, "endness": np.zeros(6)}, stack)
    assert [(v.slice, v.level, v.verdict) for v in verdicts] == [
        (0, "basal", "trust"),
        (1, "basal", "check"),
        (4, "apical", "trust"),
        (5, "apical", "check"),
    ]
    assert verdicts[0].reasons == ()
    assert verdicts[1].reasons == (REASONS["softness"],)


def test_a_stack_from_apex_to_base_is_recognised():
    stack = np.zeros((5, 4, 4), np.uint8)
    stack[3:] = 3
    assert not base_is_first(stack)
    assert base_is_first(stack[::-1])
    assert base_is_first(np.zeros((5, 4, 4), np.uint8))


def test_a_check_always_has_a_reason_even_where_no_sign_alone_is_unusual():
    model = replace(MODEL, usual=(9.0, 9.0))
    signs = {"softness": np.array([0.8]), "endness": np.array([1.0])}
    assert model.reasons(signs, 0) == (REASONS["softness"],)


def test_every_sign_can_be_said_in_words():
    assert REASONS.keys() == FEATURES.keys()


@pytest.mark.parametrize("change", [{"features": ("softness", "nonsense")}, {"mean": (1.0,)}])
def test_a_damaged_model_is_refused(change):
    with pytest.raises(InputError, match="trust model is damaged"):
        replace(MODEL, **change)
