"""Stacking with a learned meta-classifier, fitted on what members say of patients that they were not trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch

from shortaxis.datasets.splits import k_fold
from shortaxis.errors import InputError
from shortaxis.training.policies.meta_fit import Examples, fit_meta
from shortaxis.training.policies.policy import Assembled, Stage, joined, shortened, solo_recipes, with_pooling
from shortaxis.training.policies.stacking import Stacking

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shortaxis.datasets.dataset import Dataset
    from shortaxis.ensemble import StreamingEnsemble
    from shortaxis.ensemble.model_file import ModelSpec
    from shortaxis.training.policies.policy import TrainingSet
    from shortaxis.training.recipe import Recipe

_FOLD_SEEDS: Final = 2_000_000
"""Where the seeds of the folds' members begin in the sequence of the recipe's seed."""


@dataclass(frozen=True)
class MetaStacking:
    """A round of folds, then a round of members.

    Each fold of the training patients is predicted by members trained on the other folds: that is what the meta-classifier of the pooling
    rule `meta` learns from. Then all members are trained on all training patients, and it pools them.

    Held-out patients have no part in either. The folds cost `folds × fold_share` times the schedule on top of that of the members.

    Attributes:
        folds: Number of folds.
        fold_share: Length of the folds' schedules, relative to the recipe's.
        ridge: Pull of the meta-classifier towards the geometric mean of the members; see `fit_meta`. It stands against the mean over all
            pixels, of which a few in a hundred have anything to teach.
    """

    folds: int = 3
    fold_share: float = 1.0
    ridge: float = 1e-5

    def __post_init__(self) -> None:
        if not isinstance(self.folds, int) or not 2 <= self.folds <= 20:
            msg = f"policy 'meta': folds must be a whole number from 2 to 20, not {self.folds!r}"
            raise InputError(msg)
        for name, most in (("fold_share", 1.0), ("ridge", 1e6)):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 < value <= most:
                msg = f"policy 'meta': {name} must be above 0 and at most {most:g}, not {value!r}"
                raise InputError(msg)

    def check(self, recipe: Recipe) -> None:
        """Refuse any pooling but the one that is learned, and what `Stacking` refuses.

        Raises:
            InputError: The recipe's pooling is not `meta` or has its weights already, or there is a diversity term.
        """
        if recipe.pooling != {"rule": "meta"}:
            msg = f"the recipe '{recipe.name}' learns its meta-classifier, so its pooling must be rule = \"meta\" and nothing else"
            raise InputError(msg)
        if recipe.grid.get("kind") == "aligned" or recipe.augmentation.view_mm:
            msg = f"the recipe '{recipe.name}': policy 'meta' learns on whole pictures; choose another grid, and leave view_mm out"
            raise InputError(msg)
        Stacking().check(recipe)

    def stages(self, recipe: Recipe, dataset: Dataset) -> list[Stage]:
        """For each fold one run a member on the other folds, then one run a member on all patients.

        Raises:
            InputError: As `check`, or there are too few patients for the folds.
        """
        self.check(recipe)
        stages = []
        for split in k_fold(dataset, self.folds, recipe.seed):
            fold = split.fold or 0
            for index, solo in enumerate(solo_recipes(recipe, first_seed=_FOLD_SEEDS + 1000 * fold)):
                stages.append(
                    Stage(f"fold-{fold + 1}-member-{index + 1}", shortened(solo, self.fold_share), split.train, (index,), kept=False)
                )
        return [*stages, *Stacking().stages(recipe, dataset)]

    def assemble(self, spec: ModelSpec, trained: Sequence[tuple[Stage, StreamingEnsemble]], training: TrainingSet) -> Assembled:
        """Fit the meta-classifier and put it over the members."""
        examples = Examples()
        for members, patients in _folds(trained, training):
            for frame in training.frames_of(patients):
                examples.add(*out_of_fold(members, training, frame), seed=frame)
        coefficients, bias, facts = fit_meta(examples, self.ridge)
        described = with_pooling(spec, coefficients=coefficients, bias=bias)
        return Assembled(joined(described, trained), described, {"meta": facts})


def _folds(trained: Sequence[tuple[Stage, StreamingEnsemble]], training: TrainingSet) -> list[tuple[list[StreamingEnsemble], list[str]]]:
    """The members of each fold with the patients that they have not seen."""
    folds: dict[tuple[str, ...], list[StreamingEnsemble]] = {}
    for stage, ensemble in trained:
        if not stage.kept:
            folds.setdefault(stage.patients, []).append(ensemble)
    return [(members, sorted(set(training.dataset.patients) - set(seen))) for seen, members in folds.items()]


@torch.inference_mode()
def out_of_fold(members: Sequence[StreamingEnsemble], training: TrainingSet, frame: int) -> tuple[torch.Tensor, torch.Tensor]:
    """What single-member ensembles say of one frame, on the grid.

    Returns:
        Probabilities float32 (N, D, C, G, G), and labels uint8 (D, G, G).
    """
    resident = training.resident.take([frame])
    slices = resident.images[:, None].float()
    said = [member.to(slices.device)(slices).members[0] for member in members]
    return torch.stack(said), resident.labels
