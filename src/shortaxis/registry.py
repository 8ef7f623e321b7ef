"""Registries: the things of one kind, by the names that recipes, model files and commands say."""

from __future__ import annotations

from typing import TypeVar

from shortaxis.errors import InputError

T = TypeVar("T")


class Registry(dict[str, T]):
    """A dictionary from names to things of one kind, open to yours: `NETWORKS["mine"] = Mine`.

    What the package brings keeps its name, since released models and published recipes mean it. A name of your own may be given anew, as
    in a notebook whose cell runs twice.

    Args:
        kind: What one thing is called in a message, such as 'network'.
        built_in: What the package brings.
    """

    def __init__(self, kind: str, built_in: dict[str, T]) -> None:
        super().__init__(built_in)
        self.kind = kind
        self._built_in = frozenset(built_in)

    def __setitem__(self, name: str, thing: T) -> None:
        if name in self._built_in:
            msg = (
                f"a {self.kind} called '{name}' comes with the package, and models and recipes mean that one; choose another name for yours"
            )
            raise InputError(msg)
        super().__setitem__(name, thing)

    def named(self, name: str) -> T:
        """Look a thing up.

        Raises:
            InputError: Nothing has this name.
        """
        if name not in self:
            msg = f"no {self.kind} is called '{name}'; known are {', '.join(sorted(self))}, and yours with --plugin FILE"
            raise InputError(msg)
        return self[name]
