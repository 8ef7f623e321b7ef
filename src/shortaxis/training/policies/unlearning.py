"""Domain unlearning (Dinsdale et al., NeuroImage 228, 2021), the DUNN of Corral Acero et al. (M&Ms challenge, STACOM 2020)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from shortaxis.errors import InputError
from shortaxis.training.domains import domains_of
from shortaxis.training.policies.adversarial import check_domains
from shortaxis.training.policies.joint import Joint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shortaxis.datasets.dataset import Dataset
    from shortaxis.ensemble import StreamingEnsemble
    from shortaxis.ensemble.model_file import ModelSpec
    from shortaxis.training.policies.policy import Assembled, Stage, TrainingSet
    from shortaxis.training.recipe import Recipe


@dataclass(frozen=True)
class Unlearning:
    """All members are trained jointly; later each step also takes from their features what tells the domains apart.

    `domains.json` beside the checkpoint says how often the predictors of the domain are still right.

    Attributes:
        by: What tells the domains apart: `vendor`, `centre` or `field_strength_t`.
        first: Share of the run in which nothing is unlearnt, in [0, 1).
        beta: Weight of the confusion loss.
        rate: Learning rate of the predictors, and of the encoders where they unlearn.
    """

    by: str = "vendor"
    first: float = 1 / 3
    beta: float = 10.0
    rate: float = 1e-4

    def __post_init__(self) -> None:
        check_domains("unlearning", self.by, beta=self.beta, rate=self.rate)
        if isinstance(self.first, bool) or not isinstance(self.first, int | float) or not 0 <= self.first < 1:
            msg = f"policy 'unlearning': first must be a share from 0 to below 1, not {self.first!r}"
            raise InputError(msg)

    def check(self, recipe: Recipe) -> None:
        """Any recipe will do."""

    def stages(self, recipe: Recipe, dataset: Dataset) -> list[Stage]:
        """The run itself.

        Raises:
            InputError: A frame does not say where it comes from, or all come from one domain.
        """
        return [self.adapted(stage, dataset) for stage in Joint().stages(recipe, dataset)]

    def adapted(self, stage: Stage, dataset: Dataset) -> Stage:
        """The stage with what this policy adds to its training; its step is not compiled, since the features are looked at on the way."""
        from shortaxis.training.domain_run import UnlearningRun  # noqa: PLC0415 - which imports the policies

        names, domains = domains_of(dataset, stage.patients, self.by)
        run = partial(
            UnlearningRun,
            domains=tuple(domains),
            count=len(names),
            rate=self.rate,
            first=self.first,
            beta=self.beta,
            encoder_rate=self.rate,
        )
        return replace(stage, recipe=msgspec.structs.replace(stage.recipe, compile=False), run=run)

    def assemble(self, spec: ModelSpec, trained: Sequence[tuple[Stage, StreamingEnsemble]], training: TrainingSet) -> Assembled:
        """What was trained is the model, without the predictors."""
        assembled = Joint().assemble(spec, trained, training)
        return replace(assembled, facts={"domains": domains_of(training.dataset, training.dataset.patients, self.by)[0]})
