"""Test patients that stand in the data."""

from __future__ import annotations

import pytest

from shortaxis.benchmark.leaks import shared_hearts, shared_with
from shortaxis.benchmark.result import Shared
from shortaxis.errors import InputError


def test_an_image_under_another_name_is_named(discs):
    data, test = discs({"p1": 1, "p2": 2, "p3": 3}), discs({"q8": 8, "q2": 2})
    assert shared_hearts(data, test) == [Shared("p2", "q2")]


def test_nothing_shared_is_nothing(discs):
    assert shared_hearts(discs({"p1": 1}), discs({"q2": 2})) == []


@pytest.mark.parametrize("seed", [1, 7])
def test_a_patient_of_the_same_name_is_refused_whatever_the_image(discs, seed):
    with pytest.raises(InputError, match=r"patient p1 .*test set"):
        shared_hearts(discs({"p1": 1}), discs({"p1": seed}))


def test_several_of_the_same_name_are_counted(discs):
    with pytest.raises(InputError, match="patient p1 and 1 more is both"):
        shared_hearts(discs({"p1": 1, "p2": 2}), discs({"p1": 1, "p2": 2}))


def test_only_what_was_trained_on_counts():
    pairs = [Shared("p1", "q1"), Shared("p2", "q2")]
    assert shared_with(pairs, ["p2", "p3"]) == [Shared("p2", "q2")]
