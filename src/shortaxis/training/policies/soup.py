"""Soup: branches that go on from one start, each in its own order of the data, and the mean of their weights (Wortsman et al., 2022)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import msgspec

from shortaxis.ensemble.soup import soup
from shortaxis.errors import InputError
from shortaxis.training.policies.joint import Joint
from shortaxis.training.policies.policy import Assembled, derived_seed, shortened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shortaxis.datasets.dataset import Dataset
    from shortaxis.ensemble import StreamingEnsemble
    from shortaxis.ensemble.model_file import ModelSpec
    from shortaxis.training.policies.policy import Stage, TrainingSet
    from shortaxis.training.recipe import Recipe

_START: Final = "start"
_SEEDS: Final = 3_000_000
"""Where the seeds of the branches begin in the sequence of the recipe's seed."""


@dataclass(frozen=True)
class Soup:
    """All members are trained jointly to a common start; from there several branches go on, and their weights are averaged.

    Start and branches together are as long as the recipe's schedule, each with a warm-up and a decay of its own.

    Attributes:
        branches: Number of branches.
        start_share: Share of the schedule that the start takes; the branches share the rest.
        rate: Peak learning rate of the branches, relative to the recipe's: a lower one keeps them in one valley of the loss.
    """

    branches: int = 4
    start_share: float = 0.5
    rate: float = 0.3

    def __post_init__(self) -> None:
        if type(self.branches) is not int or not 2 <= self.branches <= 50:
            msg = f"policy 'soup': branches must be a whole number from 2 to 50, not {self.branches!r}"
            raise InputError(msg)
        for name, most in (("start_share", 0.95), ("rate", 1.0)):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 < value <= most:
                msg = f"policy 'soup': {name} must be above 0 and at most {most:g}, not {value!r}"
                raise InputError(msg)

    def check(self, recipe: Recipe) -> None:
        """Any recipe will do."""

    def stages(self, recipe: Recipe, dataset: Dataset) -> list[Stage]:
        """The start, then the branches."""
        (whole,) = Joint().stages(recipe, dataset)
        optimizer = msgspec.structs.replace(recipe.optimizer, learning_rate=recipe.optimizer.learning_rate * self.rate)
        short = shortened(recipe, (1 - self.start_share) / self.branches)
        branches = [
            msgspec.structs.replace(short, optimizer=optimizer, seed=derived_seed(recipe.seed, _SEEDS + index))
            for index in range(self.branches)
        ]
        return [
            replace(whole, name=_START, recipe=shortened(recipe, self.start_share)),
            *(replace(whole, name=f"branch-{index}", recipe=branch, start=_START) for index, branch in enumerate(branches, 1)),
        ]

    def assemble(self, spec: ModelSpec, trained: Sequence[tuple[Stage, StreamingEnsemble]], training: TrainingSet) -> Assembled:  # noqa: ARG002
        """The mean of the branches."""
        return Assembled(soup([ensemble for stage, ensemble in trained if stage.name != _START]), spec, {})
