"""Registries: the things of one kind, by the names that recipes, model files and commands say."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Final, TypeVar

from shortaxis.errors import InputError

T = TypeVar("T")


class Registry(MutableMapping[str, T]):
    """A mapping from names to things of one kind, open to yours: `NETWORKS["mine"] = Mine`.

    What the package brings keeps its name, since released models and published recipes mean it. A name of your own may be given anew, as
    in a notebook whose cell runs twice, but two plug-ins cannot both have it: which of them a recipe means would hang on their order.

    Args:
        kind: What one thing is called in a message, such as 'network'.
        built_in: What the package brings.
    """

    plugin: str | None = None
    """The plug-in that is being loaded now, whose names are its own; of all registries."""

    def __init__(self, kind: str, built_in: dict[str, T]) -> None:
        self.kind: Final = kind
        self._things = dict(built_in)
        self._built_in = frozenset(built_in)
        self._plugins: dict[str, str | None] = {}

    def __getitem__(self, name: str) -> T:
        return self._things[name]

    def __setitem__(self, name: str, thing: T) -> None:
        self._refuse_built_in(name)
        owner = self._plugins.get(name, Registry.plugin)
        if owner != Registry.plugin and None not in {owner, Registry.plugin}:
            msg = f"the plug-in {owner} has a {self.kind} called '{name}' already; choose another name in one of them"
            raise InputError(msg)
        self._things[name], self._plugins[name] = thing, Registry.plugin

    def __delitem__(self, name: str) -> None:
        self._refuse_built_in(name)
        del self._things[name]
        self._plugins.pop(name, None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._things)

    def __len__(self) -> int:
        return len(self._things)

    def __repr__(self) -> str:
        return f"Registry({self.kind!r}, {self._things!r})"

    def named(self, name: str) -> T:
        """Look a thing up.

        Raises:
            InputError: Nothing has this name.
        """
        if name not in self:
            msg = f"no {self.kind} is called '{name}'; known are {', '.join(sorted(self))}, and yours with --plugin FILE"
            raise InputError(msg)
        return self[name]

    def _refuse_built_in(self, name: str) -> None:
        if name in self._built_in:
            msg = (
                f"a {self.kind} called '{name}' comes with the package, and models and recipes mean that one; choose another name for yours"
            )
            raise InputError(msg)
