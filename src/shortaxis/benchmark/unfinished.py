"""The model of a training that its time limit cut short: the averaged weights as they stood at the last step."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from shortaxis.ensemble.model_file import read_finder, save_model
from shortaxis.inference.predictor import released_finder_path
from shortaxis.preprocessing import AlignedGrid
from shortaxis.training.averaging import AveragedWeights
from shortaxis.training.checkpoint import load_checkpoint
from shortaxis.training.loop import build_optimizer
from shortaxis.training.stages import CHECKPOINT, spec_of

if TYPE_CHECKING:
    from pathlib import Path

    from shortaxis.training.recipe import Recipe

UNFINISHED: Final = "unfinished.safetensors"


def save_unfinished(run: Path, recipe: Recipe) -> Path | None:
    """Write the model of a run that can go on, as `unfinished.safetensors` in its folder.

    Args:
        run: Folder of the run.
        recipe: What it trains.

    Returns:
        The model file, or None where there is no model yet: a policy that trains members apart has no checkpoint of all of them.

    Raises:
        InputError: The checkpoint is damaged.
    """
    checkpoint = run / CHECKPOINT
    if not checkpoint.is_file():
        return None
    spec = spec_of(recipe, {"unfinished": True})
    ensemble = spec.build()
    average = AveragedWeights(ensemble, recipe.averaging.decay)
    load_checkpoint(checkpoint, module=ensemble, average=average.module, optimizer=build_optimizer(recipe, ensemble))
    if isinstance(spec.build_grid(), AlignedGrid):
        average.module.finder, table = read_finder(released_finder_path())
        spec = replace(spec, finder=table)
    path = run / UNFINISHED
    save_model(path, average.module, spec)
    return path
