"""Cross-validation as an ensemble: members trained apart, each without one fold of the training patients."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shortaxis.datasets.splits import k_fold
from shortaxis.errors import InputError
from shortaxis.training.policies.policy import Assembled, joined
from shortaxis.training.policies.stacking import Stacking

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shortaxis.datasets.dataset import Dataset
    from shortaxis.ensemble import StreamingEnsemble
    from shortaxis.ensemble.model_file import ModelSpec
    from shortaxis.training.policies.policy import Stage, TrainingSet
    from shortaxis.training.recipe import Recipe


@dataclass(frozen=True)
class Folds:
    """The members of each `[[members]]` table are one network trained once for each fold; all tables share the folds.

    The folds are those of `k_fold` with the recipe's seed, so that patients who share an image are left out together. Nothing is
    chosen on the patients of a fold: each member is trained to the end of the schedule.
    """

    def check(self, recipe: Recipe) -> None:
        """Refuse tables of different or too small counts, and what `Stacking` refuses.

        Raises:
            InputError: The members are not as many in each table, at least two, or there is a diversity term.
        """
        counts = {group.count for group in recipe.members}
        if len(counts) > 1 or min(counts) < 2:
            msg = (
                f"the recipe '{recipe.name}' trains one member a fold, so that each [[members]] table needs the same count of at least 2, "
                f"not {', '.join(str(count) for count in sorted(counts))}"
            )
            raise InputError(msg)
        Stacking().check(recipe)

    def stages(self, recipe: Recipe, dataset: Dataset) -> list[Stage]:
        """One run a member, each without its fold.

        Raises:
            InputError: As `check`, or there are fewer patients than folds.
        """
        self.check(recipe)
        count = recipe.members[0].count
        folds = k_fold(dataset, count, recipe.seed)
        stages = Stacking().stages(recipe, dataset)
        return [replace(stage, patients=folds[index % count].train) for index, stage in enumerate(stages)]

    def assemble(self, spec: ModelSpec, trained: Sequence[tuple[Stage, StreamingEnsemble]], training: TrainingSet) -> Assembled:
        """The members side by side under the recipe's pooling, with the patients that each has not seen."""
        unseen = [sorted(set(training.dataset.patients) - set(stage.patients)) for stage, _ in trained]
        return Assembled(joined(spec, trained), spec, {"out_of_fold": unseen})
