"""Scales: every row smaller, and alike."""

from __future__ import annotations

import math
import re

import msgspec
import pytest
import torch

from shortaxis.benchmark.comparable import SETTING
from shortaxis.benchmark.rows import Row, rows_named
from shortaxis.benchmark.scales import scale_named, scale_names
from shortaxis.errors import InputError
from shortaxis.training.recipe import load_recipe, recipe_from_dict, recipe_names, recipe_to_dict
from shortaxis.training.run import spec_of

ROWS = rows_named(["all"])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_at_every_scale_can_be_built_and_looks_at_a_slice_of_its_grid(row: Row) -> None:
    for name in scale_names():
        scale = scale_named(name)
        scaled = scale.of_row(row)
        assert scaled.name == row.name
        assert scaled.policy == row.policy
        assert scaled.recipe.schedule.steps == scale.steps
        spec = spec_of(scaled.recipe)
        members = spec.build().eval().members
        assert sum(group.count for group in row.recipe.members) == len(members)
        size = spec.build_grid().size
        with torch.inference_mode():
            assert members[0](torch.zeros(2, 1, size, size)).shape == (2, 4, size, size)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_what_a_row_is_about_stays_as_it_is(row: Row) -> None:
    base = rows_named(["rows/unet"])[0]
    small = scale_named("small")
    before, after = (recipe_to_dict(r) for r in (row.recipe, small.of_row(row).recipe))
    for part in ("pooling", "policy", "augmenting", "loss", "augmentation", "search", "seed", "title"):
        assert after[part] == before[part]
    matched, matched_after = recipe_to_dict(base.recipe), recipe_to_dict(small.of_row(base).recipe)
    for part in SETTING:
        assert (after[part] == matched_after[part]) == (before[part] == matched[part]), part


def test_networks_of_the_small_scale_are_of_one_size() -> None:
    small = scale_named("small")
    unet, d3p = (
        sum(parameter.numel() for parameter in spec_of(small.of_row(row).recipe).build().members[0].parameters())
        for row in rows_named(["rows/unet", "rows/d3p"])
    )
    assert abs(d3p / unet - 1) < 0.1


def test_what_a_user_of_networks_of_his_own_does_not_expect_of_a_scale_is_said() -> None:
    small = scale_named("small")
    assert small.remarks(rows_named(["rows/1unet-1d3p-fixed", "beyond/depth-unet"])) == []
    row = Row("mine", load_recipe("rows/unet"))
    tiny = msgspec.structs.replace(row.recipe.members[0], options={"widths": [4, 8]})
    (larger,) = small.remarks([Row("mine", msgspec.structs.replace(row.recipe, members=[tiny]))])
    assert re.search(r"mine: .*larger, 275,152 .*\d,\d{3}", larger)
    unknowing = msgspec.structs.replace(small, networks={})
    (unchanged,) = unknowing.remarks([row])
    assert "no size for unet" in unchanged


def test_a_network_that_the_scale_does_not_know_stays_as_it_is() -> None:
    small = msgspec.structs.replace(scale_named("small"), networks={})
    row = Row("rows/d3p", load_recipe("rows/d3p"))
    assert small.of_row(row).recipe.members == row.recipe.members


def test_weights_that_are_not_averaged_as_they_move_are_not_then() -> None:
    row = Row("beyond/weight-averaging", load_recipe("beyond/weight-averaging"))
    assert scale_named("small").of_row(row).recipe.averaging == row.recipe.averaging


@pytest.mark.parametrize("name", recipe_names())
def test_any_recipe_can_be_brought_to_a_scale(name: str) -> None:
    recipe = scale_named("small").of_row(Row(name, load_recipe(name))).recipe
    assert recipe_from_dict(recipe_to_dict(recipe)) == recipe
    assert (recipe.batch.frames, recipe.batch.slices) == (math.ceil(3 * (1 + recipe.batch.end_stacks)), 24)
    assert (recipe.augmentation.crop or 0) <= recipe.grid["size"]
    tight = load_recipe("release-cpu")
    tight = msgspec.structs.replace(tight, augmentation=msgspec.structs.replace(tight.augmentation, crop=64))
    assert scale_named("small").of_row(Row("tight", tight)).recipe.augmentation.crop == 64


def test_unknown_scale_is_refused() -> None:
    with pytest.raises(InputError, match=r"scale .*'tiny'; known are .*small"):
        scale_named("tiny")
