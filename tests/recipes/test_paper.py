"""The recipes of the paper, against its Sections 2.3 and 3.1 and the rows of its Table 1."""

from __future__ import annotations

import re
from collections import Counter
from importlib import resources

import pytest
import torch

from shortaxis.ensemble import Fixed, Uncertainty
from shortaxis.errors import InputError
from shortaxis.losses import LOSSES, equation_4
from shortaxis.preprocessing import StretchedGrid
from shortaxis.training.recipe import load_recipe
from shortaxis.training.run import spec_of

UNET, D3P = 1_947_812, 5_274_148
SOLO = Fixed(outer_softmax=False)
ROWS = {
    "paper/unet": ({"unet": 1}, SOLO),
    "paper/d3p": ({"deeplabv3plus": 1}, SOLO),
    "paper/2unet-fixed": ({"unet": 2}, Fixed((0.5, 0.5))),
    "paper/1unet-1d3p-fixed": ({"unet": 1, "deeplabv3plus": 1}, Fixed((0.7, 0.3))),
    "paper/1unet-1d3p-uncertainty": ({"unet": 1, "deeplabv3plus": 1}, Uncertainty()),
    "paper/2unet-uncertainty": ({"unet": 2}, Uncertainty()),
    "paper/3unet-uncertainty": ({"unet": 3}, Uncertainty()),
    "paper/4unet-uncertainty": ({"unet": 4}, Uncertainty()),
    "paper/1unet-1d3p-stacking": ({"unet": 1, "deeplabv3plus": 1}, Fixed((0.7, 0.3), outer_softmax=False)),
    "paper/2unet-bagging": ({"unet": 2}, Fixed((0.5, 0.5), outer_softmax=False)),
    "paper/2unet-augmenting": ({"unet": 1}, SOLO),
}


@pytest.mark.parametrize("name", ROWS)
def test_setting_is_that_of_the_paper(name: str) -> None:
    recipe = load_recipe(name)
    assert f"paper/{recipe.name}" == name
    assert (recipe.batch.frames, recipe.schedule.epochs) == (8, 500)
    optimizer = recipe.optimizer
    assert (optimizer.name, optimizer.learning_rate, optimizer.weight_decay, optimizer.momentum) == ("rmsprop", 1e-4, 1e-7, 0.9)
    assert LOSSES.named(recipe.loss.name) is equation_4
    assert recipe.loss.member_weight == 0.0
    assert all(group.options["dropout"] == 0.5 for group in recipe.members)
    # Not in the text, but in the published code.
    assert spec_of(recipe).build_grid() == StretchedGrid(224)
    assert (recipe.schedule.warmup_epochs, recipe.schedule.decay, optimizer.clip) == (10, "cosine", 1.0)
    # Nothing beyond the paper.
    assert recipe.averaging.decay == 0.0
    changes = recipe.augmentation
    assert changes.flip
    assert changes.quarter_turns
    assert {changes.rotation_deg, changes.scale, changes.shift_mm, changes.shear, changes.elastic_mm, changes.gamma, changes.noise} == {0.0}


@pytest.mark.parametrize("name", ROWS)
def test_recipe_builds_its_members_and_runs(name: str) -> None:
    members, pooling = ROWS[name]
    spec = spec_of(load_recipe(name))
    torch.manual_seed(0)
    ensemble = spec.build().eval()
    assert Counter(member["network"] for member in spec.members) == members
    assert len(ensemble.members) == sum(members.values())
    assert ensemble.pooling == pooling
    assert sum(value.numel() for value in ensemble.parameters()) == members.get("unet", 0) * UNET + members.get("deeplabv3plus", 0) * D3P
    with torch.no_grad():
        output = ensemble(torch.randn(2, 1, 32, 32))
    assert output.probabilities.shape == (2, 4, 32, 32)
    torch.testing.assert_close(output.probabilities.sum(dim=1), torch.ones(2, 32, 32))


@pytest.mark.parametrize("name", ROWS)
def test_members_are_trained_as_the_name_of_the_row_says(name: str) -> None:
    recipe = load_recipe(name)
    kind = name.rpartition("-")[2]
    assert recipe.policy["kind"] == (kind if kind in ("bagging", "stacking") else "joint")
    assert bool(recipe.augmenting) == (kind == "augmenting")
    assert recipe.search is None


def test_weights_of_the_fixed_pair_meet_the_members_in_their_order() -> None:
    """Section 3.2: 0.7 is UNet's, 0.3 is D3P's."""
    spec = spec_of(load_recipe("paper/1unet-1d3p-fixed"))
    weights = dict(zip((member["network"] for member in spec.members), spec.pooling["weights"], strict=True))
    assert weights == {"unet": 0.7, "deeplabv3plus": 0.3}


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("epochs = 500", "epoch"),
        ("momentum = 0.9", "momentun"),
        ("quarter_turns = true", "quarter_turn"),
        ("seed = 0", "sed"),
        ("count = 2", "number"),
        ("frames = 8", "frame"),
    ],
)
def test_unknown_key_is_refused_by_its_name(tmp_path, line: str, key: str) -> None:
    text = (resources.files("shortaxis") / "recipes" / "paper" / "2unet-uncertainty.toml").read_text(encoding="utf-8")
    assert f"\n{line}\n" in text
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(f"\n{line}\n", f"\n{line}\n{key} = 1\n"), encoding="utf-8")
    with pytest.raises(InputError, match=re.escape(f"`{key}`")):
        load_recipe(path)


@pytest.mark.parametrize(("line", "swap"), [('rule = "uncertainty"', "tempature = 2.0"), ("size = 224", "sise = 3")])
def test_unknown_option_of_the_pooling_or_the_grid_is_refused_by_its_name(tmp_path, line: str, swap: str) -> None:
    text = (resources.files("shortaxis") / "recipes" / "paper" / "2unet-uncertainty.toml").read_text(encoding="utf-8")
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(f"\n{line}\n", f"\n{line}\n{swap}\n"), encoding="utf-8")
    with pytest.raises(InputError, match=swap.split(" ", maxsplit=1)[0]):
        load_recipe(path)
