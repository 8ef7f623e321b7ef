from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import entropy as scipy_entropy

from shortaxis.quality import disagreement, entropy, mutual_information

LOGITS = arrays(np.float64, (3, 4, 5), elements=st.floats(-4, 4))


def softmax(x: np.ndarray, axis: int) -> np.ndarray:
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


@given(LOGITS)
def test_entropy_is_scipys_as_a_share_of_its_largest_value(logits):
    p = softmax(logits, 1)[0]
    np.testing.assert_allclose(entropy(p), scipy_entropy(p, axis=0) / np.log(4), atol=1e-5)


def test_entropy_runs_from_zero_to_one():
    assert entropy(np.array([1.0, 0, 0, 0])) == 0
    assert entropy(np.full(4, 0.25)) == pytest.approx(1)


@given(LOGITS)
def test_mutual_information_lies_between_zero_and_the_entropy_of_the_mean(logits):
    members = softmax(logits, 1)
    shared = mutual_information(members)
    assert (shared >= 0).all()
    assert (shared <= entropy(members.mean(axis=0)) + 1e-6).all()


def test_two_certain_members_that_differ_share_nothing_but_one_bit():
    # Mean (1/2, 1/2, 0, 0): log 2 of log 4; each member alone has no entropy.
    members = np.eye(4)[[0, 1]][:, :, None]
    assert mutual_information(members) == pytest.approx([0.5])
    assert mutual_information(members[[0, 0]]) == pytest.approx([0.0])


def test_disagreement_counts_pairs():
    # Three members choose 0, 0 and 1: two of the three pairs differ.
    assert disagreement(np.eye(4)[[0, 0, 1]][:, :, None]) == pytest.approx([2 / 3])
    assert disagreement(np.eye(4)[[0]][:, :, None]) == pytest.approx([0.0])
