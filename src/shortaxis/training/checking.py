"""Whether a recipe can be trained at all: what it names is built once, small or without storage, before any data are read."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import msgspec
import torch
from torch import nn

from shortaxis.ensemble import StreamingEnsemble, build_pooling
from shortaxis.ensemble.augmenting import build_augmenting
from shortaxis.ensemble.trial import told_of
from shortaxis.errors import InputError
from shortaxis.labels import N_CLASSES
from shortaxis.losses import DIVERSITIES, LOSSES, MapsLoss
from shortaxis.networks import build_network
from shortaxis.preprocessing import build_grid
from shortaxis.training.policies import build_policy
from shortaxis.training.policies.weights_search import check_search
from shortaxis.training.pretraining import check_pretrained

if TYPE_CHECKING:
    from shortaxis.training.recipe import Recipe


_EDGE: Final = 16
"""Of the maps that the pooling rule and the diversity term are tried on, in pixels."""


def check_recipe(recipe: Recipe, source: str) -> None:
    """Refuse a recipe that names what there is not, gives it unfit options, or whose parts do not go together.

    Args:
        recipe: What is asked for.
        source: What errors name, such as the recipe's file.

    Raises:
        InputError: Grid, views, networks, pooling, loss, policy or search are unfit.
    """
    with told_of(source, ": what it names cannot be built or run"):
        kind, options = _named(recipe.grid, "grid", "kind")
        build_grid(kind, **options)
        build_augmenting(recipe.augmenting)
        for group in recipe.members:
            _try_network(group.network, msgspec.json.encode(group.options))
            check_pretrained(group)
        rule, options = _named(recipe.pooling, "pooling", "rule")
        said = torch.full((sum(group.count for group in recipe.members), 1, N_CLASSES, _EDGE, _EDGE), 1 / N_CLASSES)
        StreamingEnsemble([nn.Identity()], build_pooling(rule, **options)).pool(said)
        if isinstance(LOSSES.named(recipe.loss.name), MapsLoss) and (kind == "aligned" or recipe.augmentation.view_mm):
            msg = f"the loss '{recipe.loss.name}' needs every pixel annotated; choose another with an aligned grid or view_mm"
            raise InputError(msg)
        build_policy(recipe.policy).check(recipe)
        if recipe.loss.diversity is not None:
            DIVERSITIES.named(recipe.loss.diversity)(said, torch.zeros(1, _EDGE, _EDGE, dtype=torch.long), torch.ones(1))
        check_search(recipe)


@lru_cache(maxsize=64)
def _try_network(name: str, options: bytes) -> None:
    """Build a network without storage; one that reads values as it is built, which there are none of then, for real."""
    content = msgspec.json.decode(options)
    try:
        with torch.device("meta"):
            build_network(name, **content)
    except InputError:
        build_network(name, **content)


def _named(table: dict[str, Any], title: str, key: str) -> tuple[str, dict[str, Any]]:
    """The name of what a table of the recipe asks for, and its options."""
    options = dict(table)
    name = options.pop(key, None)
    if not isinstance(name, str):
        msg = f"[{title}] needs a name as its `{key}`, not {name!r}"
        raise InputError(msg)
    return name, options
