"""The policy `soup`: one start, branches that go on from it, and the mean of their weights."""

from __future__ import annotations

import pytest
import torch

from shortaxis.ensemble.model_file import read_model
from shortaxis.errors import InputError
from shortaxis.training import train
from shortaxis.training.policies import build_policy

SOUP = {"kind": "soup", "branches": 2, "start_share": 0.5, "rate": 0.1}


@pytest.fixture
def short(recipe):
    """Eight steps: four to the start, two for each branch."""
    return recipe(schedule={"epochs": None, "steps": 8, "warmup_epochs": 0.0}, policy=SOUP, averaging={"decay": 0.0})


def test_start_and_branches_together_are_as_long_as_the_schedule(short, discs) -> None:
    stages = build_policy(SOUP).stages(short, discs)
    assert [(stage.name, stage.start, stage.recipe.schedule.steps) for stage in stages] == [
        ("start", None, 4),
        ("branch-1", "start", 2),
        ("branch-2", "start", 2),
    ]
    assert [stage.recipe.optimizer.learning_rate for stage in stages] == pytest.approx([0.02, 0.002, 0.002])
    assert len({stage.recipe.seed for stage in stages}) == 3
    assert {stage.members for stage in stages} == {(0, 1)}


def test_model_is_the_mean_of_branches_that_began_at_the_start(short, discs, tmp_path) -> None:
    result = train(short, discs, tmp_path, device="cpu")
    assert (result.complete, result.step, result.total) == (True, 8, 8)
    start, first, second, model = (
        read_model(tmp_path / name / "model.safetensors")[0].state_dict() for name in ("start", "branch-1", "branch-2", ".")
    )
    name = "members.0.head.weight"
    assert not torch.equal(first[name], second[name])
    # Two small steps lead not far.
    assert (first[name] - start[name]).abs().max() < 0.01 < (start[name] - start["members.1.head.weight"]).abs().max()
    for key, value in model.items():
        torch.testing.assert_close(
            value.double(), (first[key].double() + second[key].double()) / 2 if value.is_floating_point() else value.double()
        )


def test_a_run_that_stops_between_branches_ends_as_one_that_did_not(short, discs, tmp_path) -> None:
    train(short, discs, tmp_path / "whole", device="cpu")
    assert not train(short, discs, tmp_path / "parts", device="cpu", steps=5).complete
    assert train(short, discs, tmp_path / "parts", device="cpu", resume=True).complete
    whole, parts = (read_model(tmp_path / name / "model.safetensors")[0].state_dict() for name in ("whole", "parts"))
    for key, value in whole.items():
        assert torch.equal(value, parts[key]), key


@pytest.mark.parametrize(
    ("option", "value"), [("branches", 1), ("branches", 2.0), ("start_share", 0.0), ("start_share", 1.0), ("rate", "low"), ("rate", 2.0)]
)
def test_option_out_of_its_bounds_is_refused(option: str, value) -> None:
    with pytest.raises(InputError, match=f"policy 'soup': {option} must be"):
        build_policy(SOUP | {option: value})
