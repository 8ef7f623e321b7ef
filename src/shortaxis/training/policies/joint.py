"""Streaming: all members trained together through the pooled output (Eq. 1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shortaxis.training.policies.policy import Assembled, Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shortaxis.datasets.dataset import Dataset
    from shortaxis.ensemble import StreamingEnsemble
    from shortaxis.ensemble.model_file import ModelSpec
    from shortaxis.training.policies.policy import TrainingSet
    from shortaxis.training.recipe import Recipe


@dataclass(frozen=True)
class Joint:
    """One run, one loss, one optimizer for all members."""

    def check(self, recipe: Recipe) -> None:
        """Any recipe will do."""

    def stages(self, recipe: Recipe, dataset: Dataset) -> list[Stage]:
        """The run itself."""
        count = sum(group.count for group in recipe.members)
        return [Stage("", recipe, dataset.patients, tuple(range(count)))]

    def assemble(self, spec: ModelSpec, trained: Sequence[tuple[Stage, StreamingEnsemble]], training: TrainingSet) -> Assembled:  # noqa: ARG002
        """What was trained is the model."""
        ((_, ensemble),) = trained
        return Assembled(ensemble, spec, {})
