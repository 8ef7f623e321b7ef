"""What the registered networks and the ensembles of recipes cost: parameters, and the arithmetic of one slice."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec
import torch

from shortaxis.errors import InputError
from shortaxis.networks import NETWORKS, build_network, network_cost
from shortaxis.training.recipe import load_recipe
from shortaxis.training.run import spec_of

if TYPE_CHECKING:
    from torch import nn

    from shortaxis.networks import Cost


def count_registered(size: int = 224) -> list[dict[str, Any]]:
    """Count every registered network as it comes without options.

    Args:
        size: Edge of the slice in pixels; the next larger one that fits where a network halves it more often.

    Returns:
        One row a network: `name`, `size`, `parameters`, `flops`.
    """
    rows = []
    for name in sorted(NETWORKS):
        multiple = _multiple(name, {})
        fitting = -(-size // multiple) * multiple
        rows.append(_row(name, fitting, _cost(name, {}, fitting)))
    return rows


def count_recipe(recipe: str, size: int | None = None) -> list[dict[str, Any]]:
    """Count the members of a recipe.

    Args:
        recipe: Name or path of a recipe.
        size: Edge of the slice in pixels; None takes the recipe's grid.

    Returns:
        One row a member and, last, one for the whole ensemble.

    Raises:
        InputError: The recipe, a network or the grid is unfit, or slices of this size do not fit a network.
    """
    spec = spec_of(load_recipe(recipe))
    size = size or spec.build_grid().size
    for member in spec.members:
        multiple = _multiple(member["network"], member.get("options", {}))
        if size % multiple:
            msg = f"slices of {size} pixels do not fit network '{member['network']}'; choose a multiple of {multiple}"
            raise InputError(msg)
    costs = [_cost(member["network"], member.get("options", {}), size) for member in spec.members]
    rows = [
        _row(f"{index}: {member['network']}", size, cost) for index, (member, cost) in enumerate(zip(spec.members, costs, strict=True), 1)
    ]
    parameters, flops = (sum(column) for column in zip(*costs, strict=True))
    return [*rows, _row(spec.name, size, (parameters, flops))]


def _cost(name: str, options: dict[str, Any], size: int) -> Cost:
    return _counted(name, NETWORKS.named(name), msgspec.json.encode(options), size)


@lru_cache(maxsize=256)
def _counted(name: str, _constructor: object, options: bytes, size: int) -> Cost:
    """Count once what takes seconds for a network of many layers; the constructor is in the key, since a name may be given to another."""
    return network_cost(_without_weights(name, msgspec.json.decode(options)), size)


def _multiple(name: str, options: dict[str, Any]) -> int:
    """What the edges of a network's slices must be a multiple of."""
    return int(getattr(_without_weights(name, options), "multiple", 1))


def _without_weights(name: str, options: dict[str, Any]) -> nn.Module:
    with torch.device("meta"):  # no weights are drawn, since none is used
        return build_network(name, **options)


def _row(name: str, size: int, cost: tuple[int, int]) -> dict[str, Any]:
    return {"name": name, "size": size, "parameters": cost[0], "flops": cost[1]}
