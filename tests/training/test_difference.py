from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shortaxis.training.difference import difference

CONTENT = st.recursive(
    st.one_of(st.integers(0, 2), st.sampled_from(["a", "b"]), st.booleans()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["x", "y", "z"]), inner, max_size=3)),
    max_leaves=8,
)


@given(CONTENT, CONTENT)
def test_a_difference_is_told_exactly_where_there_is_one(there, here):
    assert difference(there, there) is None
    assert (difference(there, here) is None) == (there == here)


@pytest.mark.parametrize(
    ("there", "here", "told"),
    [
        ({"a": 1, "b": 2}, {"b": 3, "a": 1}, "b: 2 there, 3 here"),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, "a.b[1]: 2 there, 3 here"),
        ({"a": [1]}, {"a": [1, 2]}, "a: [1] there, [1, 2] here"),
        ({"a": {"b": 1}}, {"a": 1}, "a: {'b': 1} there, 1 here"),
        ({"old": 1}, {}, "old: 1 there, nothing here"),
        ({}, {"new": None}, None),
    ],
)
def test_the_first_key_that_differs_is_told_with_both_values(there, here, told):
    assert difference(there, here) == told


def test_long_values_are_cut():
    patients = [f"patient{number:03d}" for number in range(150)]
    assert len(difference({"patients": patients}, {"patients": patients[:-1]}) or "") < 250
