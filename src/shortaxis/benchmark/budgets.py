"""A budget in minutes as steps: measured once a row, and kept for all its seeds and folds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

from shortaxis.benchmark.kept import read_kept
from shortaxis.benchmark.rows import with_steps
from shortaxis.benchmark.speed import training_speed
from shortaxis.io.atomic import write_json
from shortaxis.training.policies import build_policy
from shortaxis.training.recipe import recipe_to_dict

if TYPE_CHECKING:
    from pathlib import Path

    from shortaxis.benchmark.rows import Budget, Row
    from shortaxis.datasets.dataset import Dataset
    from shortaxis.training.recipe import Recipe

FILE: Final = "budget.json"
_PROBE: Final = 10_000
"""Steps of the schedule whose whole cost is counted; many, so that rounding does not matter."""


class _Kept(msgspec.Struct):
    """What `FILE` holds, as far as it is read: for whom it was measured, and the steps."""

    asked: dict[str, Any]
    steps: Annotated[int, msgspec.Meta(ge=1)]


def steps_within(row: Row, budget: Budget, training: Dataset, folder: Path, device: str) -> int:
    """Steps that a row gets for a budget in minutes.

    Args:
        row: The row.
        budget: In minutes.
        training: Patients to train on; with the first of them, only their number matters.
        folder: The row's, where the steps are kept for its other jobs.
        device: See `choose_device`.

    Raises:
        InputError: The device is not there, the data do not suit the row's policy, or the steps that were kept cannot be read.
    """
    path, asked = folder / FILE, {"budget": str(budget), "recipe": recipe_to_dict(row.recipe)}
    if path.is_file():
        kept = read_kept(path, _Kept, "the budget that an earlier job measured", "remove it to have it measured anew")
        if kept.asked == asked:
            return kept.steps
    speed, cost = training_speed(row.recipe, device=device, steps=10, warm_up=10), relative_cost(row.recipe, training)
    steps = max(1, int(60 * budget.amount * speed.steps / (speed.seconds * cost)))
    write_json(path, {"asked": asked, "steps": steps, "seconds_per_step": speed.seconds / speed.steps, "relative_cost": cost})
    return steps


def relative_cost(recipe: Recipe, training: Dataset) -> float:
    """Updates of a row's whole training, those besides the model too, relative to one joint training of its members.

    A policy that trains members apart takes 1, as joint training does; one with folds takes one more for each of them.
    """
    stages = build_policy(recipe.policy).stages(with_steps(recipe, _PROBE), training)
    updates = sum((stage.recipe.schedule.steps or 0) * len(stage.members) for stage in stages)
    return updates / (_PROBE * sum(group.count for group in recipe.members))
