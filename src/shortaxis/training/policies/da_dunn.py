"""The ensemble of Corral Acero et al. (M&Ms challenge, STACOM 2020): a plain member, an adversarial one, and one that has unlearnt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from shortaxis.errors import InputError
from shortaxis.training.domains import domains_of
from shortaxis.training.policies.adversarial import Adversarial
from shortaxis.training.policies.policy import Assembled, joined
from shortaxis.training.policies.stacking import Stacking
from shortaxis.training.policies.unlearning import Unlearning

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shortaxis.datasets.dataset import Dataset
    from shortaxis.ensemble import StreamingEnsemble
    from shortaxis.ensemble.model_file import ModelSpec
    from shortaxis.training.policies.policy import Stage, TrainingSet
    from shortaxis.training.recipe import Recipe

_MEMBERS: Final = 3


@dataclass(frozen=True)
class DaDunn:
    """Three members trained apart: as `stacking`, `adversarial` and `unlearning` do.

    Attributes:
        by: What tells the domains apart: `vendor`, `centre` or `field_strength_t`.
    """

    by: str = "vendor"

    def __post_init__(self) -> None:
        Adversarial(self.by)

    def check(self, recipe: Recipe) -> None:
        """Refuse another number of members, and what `Stacking` refuses.

        Raises:
            InputError: There are not three members, or there is a diversity term.
        """
        count = sum(group.count for group in recipe.members)
        if count != _MEMBERS:
            msg = f"the recipe '{recipe.name}' has {count} members; policy 'da-dunn' needs {_MEMBERS}: plain, adversarial, unlearning"
            raise InputError(msg)
        Stacking().check(recipe)

    def stages(self, recipe: Recipe, dataset: Dataset) -> list[Stage]:
        """One run a member.

        Raises:
            InputError: As `check`, a frame does not say where it comes from, or all come from one domain.
        """
        self.check(recipe)
        plain, adversarial, unlearning = Stacking().stages(recipe, dataset)
        return [plain, Adversarial(self.by).adapted(adversarial, dataset), Unlearning(self.by).adapted(unlearning, dataset)]

    def assemble(self, spec: ModelSpec, trained: Sequence[tuple[Stage, StreamingEnsemble]], training: TrainingSet) -> Assembled:
        """The members side by side under the recipe's pooling."""
        return Assembled(joined(spec, trained), spec, {"domains": domains_of(training.dataset, training.dataset.patients, self.by)[0]})
