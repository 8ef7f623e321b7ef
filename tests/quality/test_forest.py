from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier

from shortaxis.errors import InputError
from shortaxis.quality import forest as forest_module
from shortaxis.quality.forest import Forest, grow_forest

# One tree: x0 <= 0.5 ? 0.1 : (x1 <= 2 ? 0.4 : 1.0); and one that is a leaf.
HAND = Forest(
    roots=(0, 5),
    feature=(0, -1, 1, -1, -1, -1),
    threshold=(0.5, 0.0, 2.0, 0.0, 0.0, 0.0),
    left=(1, 0, 3, 0, 0, 0),
    right=(2, 0, 4, 0, 0, 0),
    value=(0.0, 0.1, 0.0, 0.4, 1.0, 0.2),
)


def test_a_row_walks_down_every_tree():
    x = np.array([[0.5, 9.0], [0.6, 2.0], [0.6, 2.1]])
    assert HAND.share_poor(x) == pytest.approx([0.15, 0.3, 0.6])


def test_the_kept_forest_answers_as_the_grower_does(monkeypatch):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 5))
    poor = x[:, 1] + x[:, 3] ** 2 + rng.normal(0, 0.3, 300) > 1
    monkeypatch.setattr(forest_module, "TREES", 12)
    kept = grow_forest(x, poor, seed=4)
    oracle = ExtraTreesClassifier(
        12, min_samples_leaf=forest_module.LEAST_IN_LEAF, max_features=forest_module.SHARE_OF_SIGNS, random_state=4
    ).fit(x, poor)
    fresh = rng.normal(size=(200, 5))
    # Thresholds are kept to six digits, which can send a row that lies on one the other way.
    assert np.quantile(np.abs(kept.share_poor(fresh) - oracle.predict_proba(fresh)[:, 1]), 0.98) < 1e-5


def test_a_forest_of_one_class_is_sure(monkeypatch):
    monkeypatch.setattr(forest_module, "TREES", 3)
    x = np.zeros((20, 2))
    assert grow_forest(x, np.ones(20, bool)).share_poor(x[:2]).tolist() == [1, 1]
    assert grow_forest(x, np.zeros(20, bool)).share_poor(x[:2]).tolist() == [0, 0]


def test_equal_seeds_grow_equal_forests(monkeypatch):
    monkeypatch.setattr(forest_module, "TREES", 3)
    rng = np.random.default_rng(1)
    x, poor = rng.normal(size=(60, 3)), rng.random(60) < 0.5
    assert grow_forest(x, poor) == grow_forest(x, poor)
    assert grow_forest(x, poor) != grow_forest(x, poor, seed=1)


@pytest.mark.parametrize(
    "change",
    [
        {"value": (0.0,)},
        {"left": (0, 0, 3, 0, 0, 0)},  # a circle: the walk would never end
        {"right": (2, 0, 9, 0, 0, 0)},
        {"roots": ()},
        {"roots": (7,)},
    ],
)
def test_a_damaged_forest_is_refused(change):
    with pytest.raises(InputError, match="its trees are not whole"):
        replace(HAND, **change)


def test_without_scikit_learn_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    with pytest.raises(InputError, match=r"pip install 'shortaxis\[train\]'"):
        grow_forest(np.zeros((2, 1)), np.array([True, False]))
