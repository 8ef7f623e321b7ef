"""The recipes of the transformer systems of Table 1."""

from __future__ import annotations

import msgspec
import pytest
import torch

from shortaxis.benchmark.paper import paper_table
from shortaxis.benchmark.rows import Row, rows_named
from shortaxis.benchmark.scales import scale_named
from shortaxis.datasets import open_dataset
from shortaxis.preprocessing import StretchedGrid
from shortaxis.training.recipe import load_recipe
from shortaxis.training.run import spec_of, train

SYSTEMS = {"transunet": 105_276_356, "swin-unet": 27_168_420, "parallel-merit": 147_849_567, "fct": 31_729_614}
SHARED = ("grid", "loss", "optimizer", "schedule", "batch", "augmentation", "averaging", "precision", "seed")


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_system_at_the_common_budget_differs_from_the_other_rows_in_its_network_alone(name: str) -> None:
    row, base = load_recipe(f"comparison/{name}"), load_recipe("rows/base")
    assert row.name == name
    assert [getattr(row, table) == getattr(base, table) for table in SHARED] == [True] * len(SHARED)
    assert (row.pooling, row.policy) == (base.pooling, base.policy)


@pytest.mark.parametrize(
    ("name", "grid", "loss", "optimizer", "rate", "parameters"),
    [
        ("transunet", 224, "transunet", "sgd", 1e-2, SYSTEMS["transunet"]),
        ("swin-unet", 224, "swin-unet", "sgd", 5e-2, SYSTEMS["swin-unet"]),
        ("parallel-merit", 256, "mutation", "adamw", 1e-4, SYSTEMS["parallel-merit"]),
        ("fct", 384, "sigmoids", "adam", 1e-3, SYSTEMS["fct"] + 2 * 384),
        ("fct-224", 224, "sigmoids", "adam", 1e-3, 31_730_062),
    ],
)
def test_setting_of_the_authors(name: str, grid: int, loss: str, optimizer: str, rate: float, parameters: int) -> None:
    recipe = load_recipe(f"comparison/{name}-as-published")
    spec = spec_of(recipe)
    assert spec.build_grid() == StretchedGrid(grid)
    assert (recipe.loss.name, recipe.optimizer.name, recipe.optimizer.learning_rate) == (loss, optimizer, rate)
    changes = recipe.augmentation
    assert {changes.scale, changes.shear, changes.elastic_mm, changes.gamma, changes.brightness, changes.contrast, changes.noise} == {0.0}
    assert (changes.rotation_deg, changes.flip, recipe.averaging.decay) == (20, True, 0.0)
    with torch.device("meta"):
        assert sum(value.numel() for value in spec.build().parameters()) == parameters


@pytest.mark.parametrize("name", [*SYSTEMS, *(f"{name}-as-published" for name in SYSTEMS)])
def test_the_small_scale_can_be_built_and_takes_slices_of_its_grid(name: str) -> None:
    scale = scale_named("small")
    (row,) = rows_named([f"comparison/{name}"])
    assert scale.remarks([row]) == []
    spec = spec_of(scale.of_row(row).recipe)
    network, size = spec.build().members[0].eval(), spec.build_grid().size
    assert sum(value.numel() for value in network.parameters()) < 1_000_000
    with torch.inference_mode():
        assert network(torch.zeros(1, 1, size, size)).shape == (1, 4, size, size)


def test_printed_rows_know_their_recipes() -> None:
    printed = {row.row: row for row in paper_table().comparison_acdc}
    assert printed["fct"].average == 93.02
    assert all(rows_named([f"comparison/{name}"]) for name in printed.keys() & SYSTEMS.keys())
    assert printed.keys() >= SYSTEMS.keys()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["parallel-merit-as-published", "fct-as-published"])
def test_a_network_of_several_maps_trains_by_its_own_loss(name: str, tmp_path) -> None:
    recipe = scale_named("small").of_row(Row(name, load_recipe(f"comparison/{name}"))).recipe
    recipe = msgspec.structs.replace(recipe, batch=msgspec.structs.replace(recipe.batch, frames=1, slices=18))
    losses: list[float] = []
    dataset = open_dataset("phantom:1")
    result = train(recipe, dataset, tmp_path / "run", steps=2, on_progress=lambda progress: losses.append(progress.loss))
    assert result.step == 2
    assert losses
    assert losses[0] > 0
