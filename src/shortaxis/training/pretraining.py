"""Published weights that members start from: `[[members]] pretrained = "PATH"`. Nothing is ever downloaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shortaxis.errors import InputError
from shortaxis.networks import NETWORKS, build_network

if TYPE_CHECKING:
    from shortaxis.ensemble import StreamingEnsemble
    from shortaxis.training.recipe import Members, Recipe


def check_pretrained(group: Members) -> None:
    """Refuse published weights for a network that has no `load_pretrained`.

    Raises:
        InputError: It has none.
    """
    if group.pretrained is not None and not hasattr(NETWORKS.named(group.network), "load_pretrained"):
        takers = ", ".join(sorted(name for name, network in NETWORKS.items() if hasattr(network, "load_pretrained")))
        msg = f"network '{group.network}' takes no pretrained weights; take `pretrained` out, or choose one of {takers}"
        raise InputError(msg)


def load_pretrained(ensemble: StreamingEnsemble, recipe: Recipe) -> None:
    """Give the members of a recipe the weights that it names.

    Raises:
        InputError: A file is missing, damaged or unknown, or does not fit the network.
    """
    groups = [group for group in recipe.members for _ in range(group.count)]
    for member, group in zip(ensemble.members, groups, strict=True):
        if group.pretrained is not None:
            member.load_pretrained(group.pretrained)  # type: ignore[operator]


def describe_pretrained(recipe: Recipe) -> list[str]:
    """What each group of members starts from, `none` for random weights; empty where all do, and where no network takes any.

    Raises:
        InputError: As `load_pretrained`: the files are read, before any data are.
    """
    if all(group.pretrained is None for group in recipe.members):
        takes = any(hasattr(NETWORKS.named(group.network), "load_pretrained") for group in recipe.members)
        return ["none"] * len(recipe.members) if takes else []
    return [_described(group) for group in recipe.members]


def _described(group: Members) -> str:
    if group.pretrained is None:
        return "none"
    network: Any = build_network(group.network, **group.options)
    return str(network.load_pretrained(group.pretrained))
