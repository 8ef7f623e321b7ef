"""The recipes beyond the paper: each is its row of the ablation but for what its name says, and each trains, saves and loads."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
import torch

from shortaxis.datasets.dataset import Dataset, FrameRef
from shortaxis.ensemble import Entropy, Fixed, LearnedTemperature, MutualInformation, Uncertainty
from shortaxis.ensemble.augmenting import turned_views
from shortaxis.ensemble.model_file import read_model
from shortaxis.inference import Model
from shortaxis.losses import DIVERSITIES, LOSSES
from shortaxis.phantom import make_phantom
from shortaxis.study import Frame
from shortaxis.training import load_recipe, train
from shortaxis.training.recipe import recipe_to_dict
from shortaxis.training.run import spec_of

PLAIN = Uncertainty(outer_softmax=False)
BASE = "beyond/uncertainty-no-outer-softmax"
# What a recipe is to be compared with, where that is not BASE.
BASES = {"mutual-information": "beyond/3unet-no-outer-softmax"}
# Recipe: its pooling rule, and the other tables in which it differs from what it is to be compared with.
RECIPES = {
    "uncertainty-no-outer-softmax": (PLAIN, set()),
    "fixed-no-outer-softmax": (Fixed((0.5, 0.5), outer_softmax=False), set()),
    "3unet-no-outer-softmax": (PLAIN, {"members"}),
    "tuned-temperature": (Uncertainty(temperature=0.05, outer_softmax=False), set()),
    "learned-temperature": (PLAIN, set()),
    "neighbourhood": (Uncertainty(radius=1, outer_softmax=False), set()),
    "per-slice": (Uncertainty(radius=0, outer_softmax=False), set()),
    "entropy": (Entropy(temperature=4.0, outer_softmax=False), set()),
    "mutual-information": (MutualInformation(temperature=0.25, outer_softmax=False), set()),
    "negative-correlation": (PLAIN, {"loss"}),
    "error-correlation": (PLAIN, {"loss"}),
    "end-weight": (PLAIN, {"loss"}),
    "end-stacks": (PLAIN, {"batch"}),
    "slicewise-dice": (PLAIN, {"loss"}),
    "depth-unet": (PLAIN, {"members"}),
    "weight-averaging": (PLAIN, {"schedule", "averaging"}),
    "soup": (PLAIN, {"policy"}),
    "five-views": (PLAIN, {"augmenting"}),
}


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_differs_in_what_its_name_says_and_in_nothing_else(name: str) -> None:
    pooling, tables = RECIPES[name]
    recipe, base = load_recipe(f"beyond/{name}"), load_recipe(BASES.get(name, BASE))
    assert recipe.name == name
    mine, theirs = recipe_to_dict(recipe), recipe_to_dict(base)
    assert {key for key in mine if mine[key] != theirs[key]} - {"name", "title", "pooling"} == tables
    rule = spec_of(recipe).build().pooling
    assert (rule.rule if isinstance(rule, LearnedTemperature) else rule) == pooling
    assert isinstance(rule, LearnedTemperature) == (name == "learned-temperature")
    assert LOSSES.named(recipe.loss.name)
    assert recipe.loss.diversity is None or DIVERSITIES.named(recipe.loss.diversity)


def test_budget_is_that_of_all_rows() -> None:
    row = load_recipe("rows/2unet-uncertainty")
    for name in RECIPES:
        recipe = load_recipe(f"beyond/{name}")
        assert (recipe.schedule.steps, recipe.batch.slices) == (row.schedule.steps, row.batch.slices)


@pytest.mark.parametrize(("base", "row"), [(BASE, "rows/2unet-uncertainty"), (BASES["mutual-information"], "rows/3unet-uncertainty")])
def test_base_is_the_row_of_the_ablation_without_its_outer_softmax(base: str, row: str) -> None:
    mine, printed = recipe_to_dict(load_recipe(base)), recipe_to_dict(load_recipe(row))
    assert {key for key in mine if mine[key] != printed[key]} == {"name", "title", "pooling"}


@pytest.fixture(scope="module")
def phantoms() -> Dataset:
    phantom = make_phantom(seed=1, phases=("ED", "ES"))
    spacing = phantom.study.spacing
    frames = [
        Frame(f"p_{phase}", "p", phase, "NOR", phantom.study.pixels[index], np.asarray(phantom.labels[index], np.uint8), spacing)
        for index, phase in enumerate(("ED", "ES"))
    ]
    return Dataset("phantom", tuple(FrameRef(f.name, f.patient, f.phase, f.group, lambda f=f: f) for f in frames))


def tiny(name: str):
    """The recipe on a coarse grid with tiny networks, for two steps and, where it takes more than one, one a stage."""
    recipe = load_recipe(f"beyond/{name}")
    return msgspec.structs.replace(
        recipe,
        members=[msgspec.structs.replace(group, options=group.options | {"widths": [2, 4]}) for group in recipe.members],
        grid={"kind": "physical", "spacing_mm": 8.0, "size": 24},
        schedule=msgspec.structs.replace(recipe.schedule, steps=2, warmup_steps=0),
        batch=msgspec.structs.replace(recipe.batch, slices=40),
    )


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_trains_saves_loads_and_segments(name: str, phantoms: Dataset, tmp_path) -> None:
    recipe = tiny(name)
    result = train(recipe, phantoms, tmp_path, device="cpu")
    assert result.complete
    ensemble, spec = read_model(tmp_path / "model.safetensors")
    fresh = spec.build().state_dict()
    assert ensemble.state_dict().keys() == fresh.keys()
    frame = next(iter(phantoms))
    found = Model(ensemble, spec).segment_frame(frame.image, (frame.spacing[1], frame.spacing[2]))
    assert found.labels.shape == frame.image.shape
    maps = (len(frame.image),) if ensemble.per_slice else ()
    assert found.omega.shape == (len(ensemble.members), *maps, *frame.image.shape[1:])
    torch.testing.assert_close(torch.from_numpy(found.omega).sum(dim=0), torch.ones(found.omega.shape[1:]), atol=1e-4, rtol=1e-4)


def test_five_views_are_those_that_segment_asks() -> None:
    assert load_recipe("beyond/five-views").augmenting == turned_views(5)
