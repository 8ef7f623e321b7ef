"""The recipes of the comparison systems: the common budget is that of the ablation, and each trains and saves."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from shortaxis.benchmark.paper import paper_order, paper_row, paper_table
from shortaxis.benchmark.rows import Row, rows_named
from shortaxis.benchmark.scales import scale_named
from shortaxis.datasets import open_dataset
from shortaxis.datasets.dataset import Dataset
from shortaxis.ensemble.model_file import read_model
from shortaxis.training.policies import build_policy
from shortaxis.training.recipe import load_recipe, recipe_names
from shortaxis.training.run import train

SHARED = ("grid", "loss", "optimizer", "schedule", "batch", "augmentation", "averaging", "precision", "compile", "seed", "search")
COMMON = {
    "2d3d-unets": ({"isensee2d": 5, "isensee3d": 5}, "folds"),
    "2d3d-fcnn": ({"fcnn2d": 1, "fcnn3d": 1}, "stacking"),
    "2d3d-fcnn-2d": ({"fcnn2d": 1}, "joint"),
    "2d3d-fcnn-3d": ({"fcnn3d": 1}, "joint"),
    "2d3d-streaming": ({"isensee2d": 1, "isensee3d": 1}, "joint"),
    "resnet34-unet": ({"resnet34-unet": 1}, "joint"),
    "resnet34-unet-transfer": ({"resnet34-unet": 1}, "iterative"),
    "nnunet-like": ({"nnunet-like": 1}, "joint"),
    "unet-da-dunn": ({"unet": 3}, "da-dunn"),
}


@pytest.mark.parametrize("name", COMMON)
def test_a_row_at_the_common_budget_differs_in_members_pooling_and_policy_alone(name: str) -> None:
    members, policy = COMMON[name]
    row, base = load_recipe(f"comparison/{name}"), load_recipe("rows/base")
    assert row.name == name
    for table in SHARED:
        assert getattr(row, table) == getattr(base, table)
    assert {group.network: group.count for group in row.members} == members
    assert row.policy["kind"] == policy


@pytest.mark.parametrize("name", [name for name in recipe_names() if name.startswith("comparison/")])
def test_every_recipe_of_the_folder_suits_its_policy(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name.removeprefix("comparison/")
    build_policy(recipe.policy).check(recipe)


@pytest.mark.parametrize("name", ["2d3d-unets-2d-as-published", "2d3d-unets-3d-as-published"])
def test_isensee_trains_300_epochs_of_100_steps_on_his_own_loss(name: str) -> None:
    recipe = load_recipe(f"comparison/{name}")
    assert (recipe.schedule.steps, recipe.optimizer.learning_rate, recipe.grid["spacing_mm"]) == (300 * 100, 5e-4, 1.25)
    factor = 0.985 if "2d-as" in name else 0.98
    assert recipe.schedule.final == pytest.approx(factor**300, rel=0.01)
    assert recipe.loss.name == ("soft-dice" if "2d-as" in name else "cross-entropy")


@pytest.fixture(scope="module")
def scanners() -> Dataset:
    dataset = open_dataset("phantom:2@1")
    refs = [replace(ref, vendor=ref.patient[-1]) for ref in dataset.refs]
    frames = [ref.load() for ref in refs]
    return Dataset("scanners", tuple(replace(ref, load=lambda frame=frame: frame) for ref, frame in zip(refs, frames, strict=True)))


@pytest.mark.parametrize("name", COMMON)
def test_a_row_trains_and_saves_at_the_small_scale(name: str, scanners: Dataset, tmp_path) -> None:
    recipe = scale_named("small").of_row(Row(name, load_recipe(f"comparison/{name}"))).recipe
    short = msgspec.structs.replace(
        recipe,
        grid={"kind": "physical", "spacing_mm": 4.0, "size": 32},
        schedule=msgspec.structs.replace(recipe.schedule, steps=1, warmup_steps=0),
        members=[msgspec.structs.replace(group, count=min(group.count, 3 if "dunn" in name else 2)) for group in recipe.members],
        policy=recipe.policy | ({"classifier_steps": 1} if name.endswith("transfer") else {}),
    )
    result = train(short, scanners, tmp_path, device="cpu")
    assert result.complete
    ensemble, _ = read_model(result.model)
    assert len(ensemble.members) == sum(group.count for group in short.members)


def test_the_comparison_is_a_group_and_stands_in_the_order_of_the_paper() -> None:
    names = [row.name for row in rows_named(["comparison"])]
    assert {f"comparison/{name}" for name in COMMON} <= set(names)
    printed = [row.row for row in (*paper_table().comparison_acdc, *paper_table().comparison_mnms) if row.row]
    mine = [name for name in printed if name in COMMON]
    assert sorted(mine, key=lambda name: paper_order(f"comparison/{name}")) == mine


def test_figures_of_other_patients_do_not_stand_beside_the_rows_of_the_comparison() -> None:
    assert paper_row("comparison/2d3d-unets") is None
    assert paper_row("comparison/unet-da-dunn") is None
