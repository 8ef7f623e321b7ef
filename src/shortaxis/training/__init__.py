"""Training: recipes, the joint training loop, checkpoints."""

from __future__ import annotations

from shortaxis.training.recipe import Recipe, load_recipe, recipe_names
from shortaxis.training.run import RunResult, spec_of, train

__all__ = ["Recipe", "RunResult", "load_recipe", "recipe_names", "spec_of", "train"]
