"""Training images of other scanners by iterative back-propagation (Parreño et al., M&Ms challenge, STACOM 2020)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

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
class Iterative:
    """All members are trained jointly, on some batches with images that were moved to another domain, whose labels they keep.

    A classifier of domains is trained first; every slice is moved to a domain other than its own. Both follow from the recipe's seed and
    are repeated when a run goes on.

    Attributes:
        by: What tells the domains apart: `vendor`, `centre` or `field_strength_t`.
        share: Share of the batches that show the moved images.
        classifier_steps: Optimizer steps of the classifier.
    """

    by: str = "vendor"
    share: float = 0.5
    classifier_steps: int = 500

    def __post_init__(self) -> None:
        check_domains("iterative", self.by, share=self.share, classifier_steps=self.classifier_steps)
        if self.share > 1 or not isinstance(self.classifier_steps, int):
            msg = f"policy 'iterative': share ({self.share}) is at most 1, and classifier_steps ({self.classifier_steps}) a whole number"
            raise InputError(msg)

    def check(self, recipe: Recipe) -> None:
        """Any recipe will do."""

    def stages(self, recipe: Recipe, dataset: Dataset) -> list[Stage]:
        """The run itself.

        Raises:
            InputError: A frame does not say where it comes from, or all come from one domain.
        """
        from shortaxis.training.transfer_run import TransferRun  # noqa: PLC0415 - which imports the policies

        (stage,) = Joint().stages(recipe, dataset)
        names, domains = domains_of(dataset, stage.patients, self.by)
        run = partial(TransferRun, domains=tuple(domains), count=len(names), share=self.share, classifier_steps=self.classifier_steps)
        return [replace(stage, run=run)]

    def assemble(self, spec: ModelSpec, trained: Sequence[tuple[Stage, StreamingEnsemble]], training: TrainingSet) -> Assembled:
        """What was trained is the model."""
        assembled = Joint().assemble(spec, trained, training)
        return replace(assembled, facts={"domains": domains_of(training.dataset, training.dataset.patients, self.by)[0]})
