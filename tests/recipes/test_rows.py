"""The rows of the ablation: one budget, one augmentation, and nothing but what the name says between two of them."""

from __future__ import annotations

from collections import Counter

import pytest

from shortaxis.benchmark.paper import paper_table
from shortaxis.ensemble import Fixed, Uncertainty
from shortaxis.ensemble.augmenting import Augmenting
from shortaxis.ensemble.rules import Meta
from shortaxis.ensemble.transforms import AsPublished, Rotation
from shortaxis.losses import LOSSES
from shortaxis.preprocessing import PhysicalGrid
from shortaxis.training.policies import build_policy
from shortaxis.training.recipe import load_recipe, recipe_names
from shortaxis.training.run import spec_of

SOLO, BOTH = {"unet": 1}, {"unet": 1, "deeplabv3plus": 1}
AVERAGE = Fixed((0.5, 0.5), outer_softmax=False)
ROWS = {
    "base": (SOLO, Fixed(outer_softmax=False), "joint"),
    "unet": (SOLO, Fixed(outer_softmax=False), "joint"),
    "d3p": ({"deeplabv3plus": 1}, Fixed(outer_softmax=False), "joint"),
    "1unet-1d3p-fixed": (BOTH, Fixed((0.7, 0.3)), "joint"),
    "1unet-1d3p-stacking": (BOTH, Fixed((0.7, 0.3), outer_softmax=False), "stacking"),
    "1unet-1d3p-uncertainty": (BOTH, Uncertainty(), "joint"),
    "1unet-1d3p-meta": (BOTH, Meta(), "meta"),
    "2unet-fixed": ({"unet": 2}, Fixed((0.5, 0.5)), "joint"),
    "2unet-bagging": ({"unet": 2}, AVERAGE, "bagging"),
    "2unet-augmenting": (SOLO, Fixed(outer_softmax=False), "joint"),
    "2unet-augmenting-as-published": (SOLO, Fixed(outer_softmax=False), "joint"),
    "2unet-uncertainty": ({"unet": 2}, Uncertainty(), "joint"),
    "3unet-uncertainty": ({"unet": 3}, Uncertainty(), "joint"),
    "4unet-uncertainty": ({"unet": 4}, Uncertainty(), "joint"),
}
SHARED = ("grid", "loss", "optimizer", "schedule", "batch", "augmentation", "averaging", "precision", "compile", "seed", "search")


@pytest.mark.parametrize("name", ROWS)
def test_a_row_differs_from_the_others_in_members_pooling_policy_and_views_alone(name: str) -> None:
    row, base = load_recipe(f"rows/{name}"), load_recipe("rows/base")
    assert row.name == name
    for table in SHARED:
        assert getattr(row, table) == getattr(base, table)


@pytest.mark.parametrize("name", ROWS)
def test_a_row_is_what_its_name_says(name: str) -> None:
    members, pooling, kind = ROWS[name]
    row = load_recipe(f"rows/{name}")
    spec = spec_of(row)
    assert Counter(member["network"] for member in spec.members) == members
    assert spec.build().pooling == pooling
    assert row.policy["kind"] == kind
    build_policy(row.policy)
    expected = {"2unet-augmenting": (Rotation(10.0),), "2unet-augmenting-as-published": (AsPublished(),)}
    assert spec.build_augmenting() == Augmenting(expected.get(name, ()))


def test_networks_are_those_of_the_paper() -> None:
    """A UNet or D3P of a row has the options that it has in the recipe of the same row in the paper's setting."""
    options = {group.network: group.options for name in ("unet", "d3p") for group in load_recipe(f"paper/{name}").members}
    for name in ROWS:
        assert all(group.options == options[group.network] for group in load_recipe(f"rows/{name}").members)


def test_the_budget_is_two_thousand_steps_of_eighty_slices_on_the_grid_and_the_augmentation_of_the_release() -> None:
    base, release = load_recipe("rows/base"), load_recipe("release")
    assert (base.schedule.steps, base.batch.slices) == (2000, 80)
    assert spec_of(base).build_grid() == PhysicalGrid(1.25, 224)
    for table in ("augmentation", "optimizer", "averaging", "batch"):
        assert getattr(base, table) == getattr(release, table)
    assert (base.loss.name, base.loss.member_weight) == ("equation-4", 0.0)
    assert LOSSES.named(base.loss.name)


def test_the_mistaken_row_says_so_where_people_read_and_its_sound_twin_does_not() -> None:
    mistaken, sound = load_recipe("rows/2unet-augmenting-as-published"), load_recipe("rows/2unet-augmenting")
    assert "mistake" in mistaken.title
    assert "mistake" not in sound.title
    assert "mistake" in (spec_of(mistaken).build_augmenting().notice or "")
    assert spec_of(sound).build_augmenting().notice is None


@pytest.mark.parametrize("printed", [row for row in paper_table().ablation_acdc if row.row], ids=lambda printed: printed.row)
def test_every_printed_row_of_the_ablation_is_there_in_the_paper_s_setting_and_in_that_of_the_rows(printed) -> None:
    """A mistake that the paper did not mean to make has a sound twin, which is the one in the paper's setting."""
    assert {f"rows/{printed.row}", f"paper/{printed.sound or printed.row}"} <= set(recipe_names())
