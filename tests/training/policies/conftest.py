"""Recipes of every policy on the tiny data set of the room."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from shortaxis.ensemble import StreamingEnsemble
from shortaxis.training.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Callable

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


def weights_of(ensemble: StreamingEnsemble) -> list[dict[str, Any]]:
    return [dict(member.state_dict()) for member in ensemble.members]
