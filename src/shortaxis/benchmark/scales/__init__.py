"""Scales: what makes all rows of a benchmark smaller alike, so that it can be run where there is no GPU. One TOML file a scale."""

from __future__ import annotations

import math
import tomllib
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import torch

from shortaxis.benchmark.rows import Row, with_steps
from shortaxis.errors import InputError
from shortaxis.preprocessing import build_grid
from shortaxis.training.recipe import Count, Positive  # noqa: TC001 - msgspec reads the annotations
from shortaxis.training.run import spec_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shortaxis.training.recipe import Averaging, Batch, Members, Recipe


class Scale(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is done to the recipe of every row. What a row is about (members, pooling, policy, loss, augmentation) stays as it is.

    Attributes:
        title: One line for people.
        grid: In place of the recipe's; training on crops that are larger sees the whole of it.
        networks: By registered name, options that go over those of the recipe; a network that is not named stays as it is.
        steps: Optimizer steps of the schedule.
        rate: Factor of the learning rate.
        frames: At most so many frames a batch, and more where stacks of end slices, which are short, are among them.
        slices: Slots of a batch.
        decay: Of the moving average of the weights, where the recipe has one.
    """

    title: str
    grid: dict[str, Any]
    networks: dict[str, dict[str, Any]]
    steps: Count
    rate: Positive
    frames: Count
    slices: Count
    decay: Annotated[float, msgspec.Meta(ge=0, lt=1)]

    def remarks(self, rows: Sequence[Row]) -> list[str]:
        """What a user of networks of his own does not expect: the scale has no size for one of them, or makes a row larger.

        Args:
            rows: As their recipes have them.

        Returns:
            Sentences, one a finding.
        """
        found = []
        for row in rows:
            unnamed = sorted({group.network for group in row.recipe.members} - self.networks.keys())
            if unnamed:
                found.append(f"{row.name}: this scale has no size for {' and '.join(unnamed)}, so that it keeps that of the recipe")
            before, after = _parameters(row.recipe), _parameters(self._of_recipe(row.recipe))
            if after > before:
                found.append(f"{row.name}: this scale makes it larger, {after:,} parameters in place of {before:,}")
        return found

    def of_row(self, row: Row) -> Row:
        """The row at this scale, under the same name.

        Examples:
            >>> from shortaxis.benchmark.rows import rows_named
            >>> scale_named("small").of_row(rows_named(["rows/unet"])[0]).recipe.schedule.steps
            1200
        """
        return Row(row.name, self._of_recipe(row.recipe))

    def _of_recipe(self, recipe: Recipe) -> Recipe:
        replace, crop = msgspec.structs.replace, recipe.augmentation.crop
        whole = crop is not None and crop > build_grid(**self.grid).size
        return replace(
            with_steps(recipe, self.steps),
            grid=self.grid,
            augmentation=replace(recipe.augmentation, crop=None) if whole else recipe.augmentation,
            members=[self._of_members(group) for group in recipe.members],
            batch=self._of_batch(recipe.batch),
            optimizer=replace(recipe.optimizer, learning_rate=recipe.optimizer.learning_rate * self.rate),
            averaging=self._of_averaging(recipe.averaging),
        )

    def _of_members(self, group: Members) -> Members:
        return msgspec.structs.replace(group, options=group.options | self.networks.get(group.network, {}))

    def _of_batch(self, batch: Batch) -> Batch:
        return msgspec.structs.replace(batch, frames=math.ceil(self.frames * (1 + batch.end_stacks)), slices=self.slices)

    def _of_averaging(self, averaging: Averaging) -> Averaging:
        return msgspec.structs.replace(averaging, decay=self.decay) if averaging.decay else averaging


def scale_names() -> list[str]:
    """Names of the scales in the package."""
    return sorted(path.stem for path in _folder().glob("*.toml"))


def scale_named(name: str) -> Scale:
    """Read a scale.

    Raises:
        InputError: There is no such scale.
    """
    if name not in scale_names():
        msg = f"no scale is called '{name}'; known are {', '.join(scale_names())}, and without --scale rows keep the size of their recipes"
        raise InputError(msg)
    return msgspec.convert(tomllib.loads((_folder() / f"{name}.toml").read_text(encoding="utf-8")), Scale)


def _parameters(recipe: Recipe) -> int:
    with torch.device("meta"):
        return sum(values.numel() for values in spec_of(recipe).build().parameters())


def _folder() -> Path:
    return Path(str(resources.files("shortaxis"))) / "benchmark" / "scales"
