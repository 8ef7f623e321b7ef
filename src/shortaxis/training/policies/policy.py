"""What a policy is: which training runs make a model, and how their members become one ensemble.

A policy is a small frozen object. It names its stages, each a joint training run of some members on some patients; the caller trains them
one after another (`shortaxis.training.stages`) and hands the trained members back to be put together.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import numpy as np

from shortaxis.ensemble import StreamingEnsemble, build_pooling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from shortaxis.datasets.dataset import Dataset
    from shortaxis.ensemble.model_file import ModelSpec
    from shortaxis.training.loop import Run
    from shortaxis.training.recipe import Recipe
    from shortaxis.training.resident import ResidentSet


@dataclass(frozen=True)
class Stage:
    """One joint training run.

    Attributes:
        name: Folder below the run's own; empty for the run's own folder.
        recipe: Of this stage alone.
        patients: Whose frames are trained on; one that stands twice counts twice.
        members: Positions of the stage's members in the ensemble of the whole recipe.
        kept: Whether the trained weights go into the model.
        start: Name of an earlier stage of the same members, from whose averaged weights this one goes on; None begins as the run does.
        run: What does the training, with the arguments of `shortaxis.training.loop.Run`; None is that itself.
    """

    name: str
    recipe: Recipe
    patients: tuple[str, ...]
    members: tuple[int, ...]
    kept: bool = True
    start: str | None = None
    run: Callable[..., Run] | None = None


@dataclass(frozen=True)
class TrainingSet:
    """The frames that a run may train on, as they are and as they lie on the device.

    Attributes:
        dataset: Nothing but training patients.
        resident: The same frames in the same order.
    """

    dataset: Dataset
    resident: ResidentSet

    def frames_of(self, patients: Iterable[str]) -> list[int]:
        """Positions of the frames of these patients; those of one that stands twice stand twice."""
        frames: dict[str, list[int]] = {}
        for position, ref in enumerate(self.dataset.refs):
            frames.setdefault(ref.patient, []).append(position)
        return [position for patient in patients for position in frames[patient]]


@dataclass(frozen=True)
class Assembled:
    """The model that a policy made.

    Attributes:
        ensemble: All members of the recipe, in its order.
        spec: Describes it; its card is empty.
        facts: What the policy found, for the run's record: plain JSON types.
    """

    ensemble: StreamingEnsemble
    spec: ModelSpec
    facts: dict[str, Any]


class Policy(Protocol):
    """How the members come by their training."""

    def check(self, recipe: Recipe) -> None:
        """Refuse a whole recipe that does not suit the policy, before any data are read.

        Raises:
            InputError: The recipe does not suit the policy.
        """
        ...

    def stages(self, recipe: Recipe, dataset: Dataset) -> list[Stage]:
        """Name the training runs.

        Args:
            recipe: The whole recipe.
            dataset: Nothing but training patients.

        Raises:
            InputError: The recipe or the data do not suit the policy.
        """
        ...

    def assemble(self, spec: ModelSpec, trained: Sequence[tuple[Stage, StreamingEnsemble]], training: TrainingSet) -> Assembled:
        """Put the trained members together.

        Args:
            spec: What the recipe asks for.
            trained: Each stage with its averaged weights, in evaluation mode.
            training: What was trained on.
        """
        ...


def solo_recipes(recipe: Recipe, *, first_seed: int = 0) -> list[Recipe]:
    """Give each member of a recipe a recipe of its own: the same training, alone, with the plain output that solo networks have.

    Args:
        recipe: The whole recipe.
        first_seed: Number of the first seed in the sequence that the recipe's seed begins; each member takes the next.
    """
    groups = [msgspec.structs.replace(group, count=1) for group in recipe.members for _ in range(group.count)]
    return [
        msgspec.structs.replace(
            recipe,
            name=f"{recipe.name}, member {index + 1}",
            members=[group],
            pooling={"rule": "fixed", "outer_softmax": False},
            policy={"kind": "joint"},
            augmenting={},
            search=None,
            seed=derived_seed(recipe.seed, first_seed + index),
        )
        for index, group in enumerate(groups)
    ]


def shortened(recipe: Recipe, share: float) -> Recipe:
    """The recipe with a share of its schedule, at least one step or epoch; the warm-up stays as it is."""
    schedule = recipe.schedule
    changes: dict[str, Any] = {
        name: max(1, round(value * share)) for name, value in (("epochs", schedule.epochs), ("steps", schedule.steps)) if value is not None
    }
    return msgspec.structs.replace(recipe, schedule=msgspec.structs.replace(schedule, **changes))


def derived_seed(seed: int, *numbers: int) -> int:
    """A seed of its own for one part of a run, by NumPy's `SeedSequence`."""
    return int(np.random.SeedSequence((seed, *numbers)).generate_state(1)[0])


def joined(spec: ModelSpec, trained: Sequence[tuple[Stage, StreamingEnsemble]]) -> StreamingEnsemble:
    """Put the members of the kept stages under the pooling rule of `spec`, in the order of the recipe."""
    members = {
        index: member for stage, ensemble in trained if stage.kept for index, member in zip(stage.members, ensemble.members, strict=True)
    }
    options = dict(spec.pooling)
    return StreamingEnsemble([members[index] for index in sorted(members)], build_pooling(options.pop("rule"), **options)).eval()


def with_pooling(spec: ModelSpec, **options: Any) -> ModelSpec:
    """Change options of a description's pooling."""
    return replace(spec, pooling=spec.pooling | options)
