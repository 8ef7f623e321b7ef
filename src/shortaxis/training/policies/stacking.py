"""Stacking as the paper names it: members trained apart on the same patients, pooled afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shortaxis.errors import InputError
from shortaxis.training.policies.policy import Assembled, Stage, joined, solo_recipes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shortaxis.datasets.dataset import Dataset
    from shortaxis.ensemble import StreamingEnsemble
    from shortaxis.ensemble.model_file import ModelSpec
    from shortaxis.training.policies.policy import TrainingSet
    from shortaxis.training.recipe import Recipe


@dataclass(frozen=True)
class Stacking:
    """Each member has a run of its own of the whole schedule, so that all together get as many updates as in a joint run.

    The members need not differ; equal ones differ by their seeds alone, which is a deep ensemble.
    """

    def check(self, recipe: Recipe) -> None:
        """Refuse a diversity term, which compares members that are trained together.

        Raises:
            InputError: The recipe has one.
        """
        if recipe.loss.diversity is not None:
            msg = f"the recipe '{recipe.name}' trains its members apart, where no diversity term can compare them; take loss.diversity out"
            raise InputError(msg)

    def stages(self, recipe: Recipe, dataset: Dataset) -> list[Stage]:
        """One run a member, all on the same patients.

        Raises:
            InputError: As `check`.
        """
        self.check(recipe)
        solos = solo_recipes(recipe)
        return [Stage(f"member-{index + 1}", solo, dataset.patients, (index,)) for index, solo in enumerate(solos)]

    def assemble(self, spec: ModelSpec, trained: Sequence[tuple[Stage, StreamingEnsemble]], training: TrainingSet) -> Assembled:  # noqa: ARG002
        """The members side by side under the recipe's pooling."""
        return Assembled(joined(spec, trained), spec, {})
