"""Bagging: equal members trained apart, each on its own bootstrap of the training patients (Breiman, Machine Learning 24, 1996)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from shortaxis.errors import InputError
from shortaxis.training.policies.policy import Assembled, derived_seed, joined
from shortaxis.training.policies.stacking import Stacking

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shortaxis.datasets.dataset import Dataset
    from shortaxis.ensemble import StreamingEnsemble
    from shortaxis.ensemble.model_file import ModelSpec
    from shortaxis.training.policies.policy import Stage, TrainingSet
    from shortaxis.training.recipe import Recipe

_DRAWS = 1_000_000
"""Where the seeds of the draws begin in the sequence of the recipe's seed, far from those of the members."""


@dataclass(frozen=True)
class Bagging:
    """Draws as many patients as there are, with replacement, for each member; a patient drawn twice counts twice.

    About 63 of 100 patients are seen by a member. Patients are drawn, not frames: the frames of a patient are not independent.
    """

    def check(self, recipe: Recipe) -> None:
        """Refuse members that differ, and what `Stacking` refuses.

        Raises:
            InputError: The members are of several kinds, or there is a diversity term.
        """
        if len(recipe.members) > 1:
            msg = f"the recipe '{recipe.name}' bags members of several kinds; give one [[members]] table, or choose the policy 'stacking'"
            raise InputError(msg)
        Stacking().check(recipe)

    def stages(self, recipe: Recipe, dataset: Dataset) -> list[Stage]:
        """One run a member, each on its draw.

        Raises:
            InputError: As `check`.
        """
        self.check(recipe)
        stages = Stacking().stages(recipe, dataset)
        return [replace(stage, patients=bootstrap(dataset.patients, recipe.seed, *stage.members)) for stage in stages]

    def assemble(self, spec: ModelSpec, trained: Sequence[tuple[Stage, StreamingEnsemble]], training: TrainingSet) -> Assembled:
        """The members side by side under the recipe's pooling, with the patients that each has not seen."""
        unseen = [sorted(set(training.dataset.patients) - set(stage.patients)) for stage, _ in trained]
        return Assembled(joined(spec, trained), spec, {"out_of_bag": unseen})


def bootstrap(patients: Sequence[str], seed: int, member: int) -> tuple[str, ...]:
    """Draw as many patients as there are, with replacement.

    Args:
        patients: To draw from, in any order.
        seed: Of the recipe.
        member: Position of the member; each has a draw of its own.

    Returns:
        The draw, sorted, with repetitions.
    """
    pool = sorted(patients)
    drawn = np.random.default_rng(derived_seed(seed, _DRAWS + member)).integers(len(pool), size=len(pool))
    return tuple(pool[index] for index in sorted(drawn.tolist()))
