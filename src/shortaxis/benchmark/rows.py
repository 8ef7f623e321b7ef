"""The rows of a benchmark: recipes by name, in groups, and what the budget of an experiment makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from shortaxis.benchmark.paper import paper_order
from shortaxis.errors import InputError
from shortaxis.training.recipe import load_recipe, recipe_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shortaxis.training.recipe import Recipe

GROUPS: Final[dict[str, tuple[str, ...]]] = {
    "ablation": ("rows/",),
    "comparison": ("comparison/",),
    "beyond": ("beyond/",),
    "all": ("rows/", "beyond/"),
}
"""For each group the folders of recipes that make it up; a recipe laid there is a row, except `base`, which others extend."""


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        name: Name of the recipe in the package, such as `rows/unet`, or the stem of the recipe's file.
        recipe: What it trains.
    """

    name: str
    recipe: Recipe

    @property
    def policy(self) -> str:
        """How the members come by their training, such as `joint`; `augmenting` where one training is asked in several views."""
        kind = str(self.recipe.policy["kind"])
        return "augmenting" if self.recipe.augmenting and kind == "joint" else kind


def rows_named(asked: Sequence[str]) -> list[Row]:
    """Find rows, in the paper's order and each once.

    Args:
        asked: Names of recipes, paths of recipe files, and names of `GROUPS`.

    Raises:
        InputError: There is no such recipe, none was named, a group is empty, or two files would make rows of one name.
    """
    names = [name for entry in asked if entry.strip() for name in _expanded(entry.strip())]
    rows = {name: Row(PurePath(name).stem if name.endswith(".toml") else name, load_recipe(name)) for name in names}
    if not rows:
        msg = f"no row is named; give names of recipes, paths of .toml files, or a group of {', '.join(GROUPS)}"
        raise InputError(msg)
    found: dict[str, str] = {}
    for name, row in rows.items():
        if found.setdefault(row.name, name) != name:
            msg = f"{name} and {found[row.name]} would both be the row '{row.name}'; rename one of the files"
            raise InputError(msg)
    return sorted(rows.values(), key=lambda row: paper_order(row.name))


def _expanded(entry: str) -> list[str]:
    if entry not in GROUPS:
        return [entry]
    names = [name for name in recipe_names() if name.startswith(GROUPS[entry]) and not name.endswith("/base")]
    if not names:
        msg = f"the group '{entry}' has no recipe in this version; name rows one by one"
        raise InputError(msg)
    return names


@dataclass(frozen=True)
class Budget:
    """How long every row trains.

    Attributes:
        unit: `steps` of the optimizer, `minutes` of training, or `recipe` for each recipe's own schedule.
        amount: How many; 0 for `recipe`.
    """

    unit: Literal["steps", "minutes", "recipe"] = "recipe"
    amount: float = 0.0

    def __str__(self) -> str:
        return self.unit if self.unit == "recipe" else f"{self.unit}={self.amount:g}"

    @classmethod
    def parse(cls, text: str | None) -> Budget:
        """Read `steps=N`, `minutes=M` or `recipe`; None is `recipe`.

        Raises:
            InputError: It is something else, or not above zero.

        Examples:
            >>> str(Budget.parse("steps=2000"))
            'steps=2000'
        """
        if text in {None, "recipe"}:
            return cls()
        unit, _, amount = str(text).partition("=")
        try:
            number = float(amount)
        except ValueError:
            number = 0.0
        if unit == "minutes" and 0 < number < float("inf"):
            return cls("minutes", number)
        if unit == "steps" and amount.isdecimal() and number >= 1:
            return cls("steps", number)
        msg = f"--budget {text} is not understood; write steps=2000, minutes=5 or recipe"
        raise InputError(msg)


def with_steps(recipe: Recipe, steps: int) -> Recipe:
    """The recipe on a schedule of so many optimizer steps; its warm-up keeps its share of the whole.

    Examples:
        >>> with_steps(load_recipe("release-cpu"), 72).schedule.warmup_steps
        2
    """
    old = recipe.schedule
    share = old.warmup_epochs / old.epochs if old.epochs else old.warmup_steps / (old.steps or 1)
    schedule = msgspec.structs.replace(old, epochs=None, steps=steps, warmup_epochs=0.0, warmup_steps=round(share * steps))
    return msgspec.structs.replace(recipe, schedule=schedule)
