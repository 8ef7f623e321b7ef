"""Domain-adversarial training (Ganin et al., JMLR 17(59), 2016): features that segment well and do not show the scanner."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from shortaxis.errors import InputError
from shortaxis.training.domains import BY, domains_of
from shortaxis.training.policies.joint import Joint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shortaxis.datasets.dataset import Dataset
    from shortaxis.ensemble import StreamingEnsemble
    from shortaxis.ensemble.model_file import ModelSpec
    from shortaxis.training.policies.policy import Assembled, Stage, TrainingSet
    from shortaxis.training.recipe import Recipe


@dataclass(frozen=True)
class Adversarial:
    """All members are trained jointly, each with a predictor of domains behind a reversed gradient.

    Frames of all domains take part in both losses.

    Attributes:
        by: What tells the domains apart: `vendor`, `centre` or `field_strength_t`.
        rate: Learning rate of the predictors.
    """

    by: str = "vendor"
    rate: float = 1e-3

    def __post_init__(self) -> None:
        check_domains("adversarial", self.by, rate=self.rate)

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
        from shortaxis.training.domain_run import AdversarialRun  # noqa: PLC0415 - which imports the policies

        names, domains = domains_of(dataset, stage.patients, self.by)
        run = partial(AdversarialRun, domains=tuple(domains), count=len(names), rate=self.rate)
        return replace(stage, recipe=msgspec.structs.replace(stage.recipe, compile=False), run=run)

    def assemble(self, spec: ModelSpec, trained: Sequence[tuple[Stage, StreamingEnsemble]], training: TrainingSet) -> Assembled:
        """What was trained is the model, without the predictors."""
        assembled = Joint().assemble(spec, trained, training)
        return replace(assembled, facts={"domains": domains_of(training.dataset, training.dataset.patients, self.by)[0]})


def check_domains(policy: str, by: str, **positive: float) -> None:
    """Refuse options of a policy that adapts to domains.

    Raises:
        InputError: `by` is no attribute that tells domains apart, or a number is not above zero.
    """
    if by not in BY:
        msg = f"policy '{policy}': by must be one of {', '.join(BY)}, not {by!r}"
        raise InputError(msg)
    for name, value in positive.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
            msg = f"policy '{policy}': {name} must be a number above 0, not {value!r}"
            raise InputError(msg)
