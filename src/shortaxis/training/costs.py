"""What the registered networks and the ensembles of recipes cost: parameters, and the arithmetic of one slice."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec
import torch

from shortaxis.networks import NETWORKS, build_network, network_cost
from shortaxis.training.recipe import load_recipe
from shortaxis.training.run import spec_of

if TYPE_CHECKING:
    from shortaxis.networks import Cost


def count_registered(size: int = 224) -> list[dict[str, Any]]:
    """Count every registered network as it comes without options.

    Args:
        size: Edge of the slice in pixels.

    Returns:
        One row a network: `name`, `size`, `parameters`, `flops`.
    """
    return [_row(name, size, _cost(name, {}, size)) for name in sorted(NETWORKS)]


def count_recipe(recipe: str, size: int | None = None) -> list[dict[str, Any]]:
    """Count the members of a recipe.

    Args:
        recipe: Name or path of a recipe.
        size: Edge of the slice in pixels; None takes the recipe's grid.

    Returns:
        One row a member and, last, one for the whole ensemble.

    Raises:
        InputError: The recipe, a network or the grid is unfit.
    """
    spec = spec_of(load_recipe(recipe))
    size = size or spec.build_grid().size
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
    with torch.device("meta"):  # no weights are drawn, since none is used
        network = build_network(name, **msgspec.json.decode(options))
    return network_cost(network, size)


def _row(name: str, size: int, cost: tuple[int, int]) -> dict[str, Any]:
    return {"name": name, "size": size, "parameters": cost[0], "flops": cost[1]}
