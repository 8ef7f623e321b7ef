"""Recipes of every policy on the tiny data set of the room."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from shortaxis.datasets.splits import Split
from shortaxis.training import train

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from shortaxis.datasets.dataset import Dataset
    from shortaxis.training import Recipe, RunResult

SPLIT = Split(train=("p0", "p1", "p2"), held_out=("p3",), seed=0)

TABLES: dict[str, dict[str, Any]] = {
    "stacking": {"policy": {"kind": "stacking"}},
    "bagging": {"policy": {"kind": "bagging"}},
    "meta": {"policy": {"kind": "meta", "folds": 2, "fold_share": 0.5}},
}


@pytest.fixture
def apart(recipe) -> Callable[..., Recipe]:
    """A recipe of two members, trained by the policy named, four steps each."""

    def make(policy: str, **tables: Any) -> Recipe:
        made = recipe(schedule={"epochs": None, "steps": 4, "warmup_epochs": 0.0}, **(TABLES[policy] | tables))
        pooling = tables.get("pooling", {"rule": "meta"} if policy == "meta" else {"rule": "fixed", "outer_softmax": False})
        return type(made)(**{name: getattr(made, name) for name in made.__struct_fields__} | {"pooling": pooling})

    return make


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Callable[..., tuple[Path, RunResult]]:
    """Train once a policy on `SPLIT`, and share the folder."""
    made: dict[str, tuple[Path, RunResult]] = {}

    def folder(policy: str, recipe: Recipe, dataset: Dataset) -> tuple[Path, RunResult]:
        if policy not in made:
            out = tmp_path_factory.mktemp(policy)
            made[policy] = out, train(recipe, dataset, out, split=SPLIT, device="cpu")
        return made[policy]

    return folder
