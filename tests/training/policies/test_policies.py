"""Every policy from data to a model file: what it leaves behind, what it costs, and that it can be cut off anywhere."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file

from shortaxis.datasets.splits import Split
from shortaxis.ensemble.model_file import read_model
from shortaxis.errors import InputError
from shortaxis.inference import load_model
from shortaxis.training import train
from shortaxis.training.policies import build_policy
from shortaxis.training.policies.policy import derived_seed, solo_recipes

SPLIT = Split(train=("p0", "p1", "p2"), held_out=("p3",), seed=0)
APART = ["bagging", "meta", "stacking"]
UPDATES = {"bagging": (8, 0), "stacking": (8, 0), "meta": (8, 8)}
"""Two members of four steps; meta's two folds have half of them, for each member."""


@pytest.mark.parametrize("policy", APART)
def test_a_run_leaves_one_model_with_all_members_its_scores_and_its_record(trained, apart, discs, policy) -> None:
    out, result = trained(policy, apart(policy), discs)
    assert result.complete
    ensemble, spec = read_model(result.model)
    assert len(ensemble.members) == 2
    assert spec.pooling["rule"] == apart(policy).pooling["rule"]
    facts = json.loads((out / "run.json").read_text())
    assert (facts["updates"]["in_the_model"], facts["updates"]["besides"]) == UPDATES[policy]
    assert result.step == result.total == sum(UPDATES[policy]) == spec.card["steps"]
    assert result.validation == json.loads((out / "validation.json").read_text())
    assert spec.card["held_out_patients"] == ["p3"]


@pytest.mark.parametrize("policy", APART)
def test_no_stage_sees_a_held_out_patient(trained, apart, discs, policy) -> None:
    out, _ = trained(policy, apart(policy), discs)
    stages = json.loads((out / "run.json").read_text())["stages"]
    assert {patient for stage in stages for patient in stage["patients"]} <= set(SPLIT.train)
    for stage in stages:
        assert read_model(out / stage["name"] / "model.safetensors")[1].card["train_patients"] == stage["patients"]


@pytest.mark.parametrize("policy", APART)
def test_the_members_of_the_model_are_those_that_were_trained(trained, apart, discs, policy) -> None:
    out, result = trained(policy, apart(policy), discs)
    model = read_model(result.model)[0]
    for index, member in enumerate(model.members):
        folder = out / f"member-{index + 1}"
        alone = read_model(folder / "model.safetensors")[0].members[0]
        averaged = load_file(folder / "checkpoint.safetensors")
        for name, value in member.state_dict().items():
            assert torch.equal(value, alone.state_dict()[name])
            assert torch.equal(value, averaged[f"average/members.0.{name}"])
    first, second = (member.state_dict() for member in model.members)
    assert any(not torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("policy", APART)
def test_a_run_that_is_cut_off_again_and_again_ends_as_one_that_was_not(trained, apart, discs, tmp_path, policy) -> None:
    """Three steps a sitting: the cuts fall within stages and between them."""
    _, whole = trained(policy, apart(policy), discs)
    reports: list[tuple[int, int]] = []
    sittings, result = 0, None
    while result is None or not result.complete:
        assert sittings <= sum(UPDATES[policy])
        result = train(
            apart(policy),
            discs,
            tmp_path,
            split=SPLIT,
            device="cpu",
            steps=3,
            resume=bool(sittings),
            on_progress=lambda now: reports.append((now.step, now.total)),
        )
        sittings += 1
    assert sittings == -(-sum(UPDATES[policy]) // 3)
    assert [step for step, _ in reports] == sorted({step for step, _ in reports})
    assert {total for _, total in reports} == {sum(UPDATES[policy])}
    (ensemble, spec), (expected, wanted) = read_model(result.model), read_model(whole.model)
    for name, value in expected.state_dict().items():
        assert torch.equal(ensemble.state_dict()[name], value)
    assert spec.pooling == wanted.pooling
    assert result.validation == whole.validation


def test_a_spent_time_budget_stops_between_stages(apart, discs, tmp_path) -> None:
    result = train(apart("stacking"), discs, tmp_path, device="cpu", minutes=0.0)
    assert (result.complete, result.step, result.total) == (False, 1, 8)
    result = train(apart("stacking"), discs, tmp_path, device="cpu", steps=3, resume=True)
    assert (result.complete, result.step) == (False, 4)
    assert not (tmp_path / "member-2").exists()


def test_a_folder_with_the_run_of_a_member_is_not_begun_anew(apart, discs, tmp_path) -> None:
    train(apart("stacking"), discs, tmp_path, device="cpu", steps=1)
    with pytest.raises(InputError, match="already holds a run; add --resume"):
        train(apart("stacking"), discs, tmp_path, device="cpu")


def test_a_finished_member_of_another_recipe_is_refused(apart, discs, tmp_path) -> None:
    train(apart("stacking"), discs, tmp_path, device="cpu", steps=5)
    with pytest.raises(InputError, match=r"member-1/model.*\(seed: \d+ there, \d+ here"):
        train(apart("stacking", seed=9), discs, tmp_path, device="cpu", resume=True)


def test_members_trained_apart_can_start_from_a_model(trained, apart, discs, tmp_path) -> None:
    start = trained("stacking", apart("stacking"), discs)[1].model
    still = {"name": "adamw", "learning_rate": 1e-12, "weight_decay": 0.0}
    result = train(apart("stacking", optimizer=still), discs, tmp_path, device="cpu", start_from=start)
    before, after = (read_model(path)[0].state_dict() for path in (start, result.model))
    for name, value in after.items():
        if value.ndim == 4:
            torch.testing.assert_close(value, before[name], atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", ["members-first", "views-first"])
def test_the_views_of_a_recipe_lie_in_the_model_and_are_asked(recipe, discs, tmp_path, kind) -> None:
    table = {"transforms": [{"kind": "flip", "axis": "width"}], "order": kind}
    result = train(recipe(schedule={"epochs": 1}, augmenting=table), discs, tmp_path, device="cpu")
    model = load_model(result.model)
    assert model.spec.augmenting == table
    frame = next(iter(discs))
    with_views = model.segment_frame(frame.image, (2.0, 2.0)).probabilities
    model.augmenting = type(model.augmenting)()
    assert abs(with_views - model.segment_frame(frame.image, (2.0, 2.0)).probabilities).max() > 1e-3


def test_the_published_mistake_is_told_in_the_record_the_card_and_the_scores(recipe, discs, tmp_path) -> None:
    result = train(
        recipe(schedule={"epochs": 1}, augmenting={"transforms": [{"kind": "as-published"}]}), discs, tmp_path, split=SPLIT, device="cpu"
    )
    records = json.loads((tmp_path / "run.json").read_text()), read_model(result.model)[1].card, result.validation
    assert ["with its mistake" in record["notice"] for record in records] == [True] * 3


def test_a_member_alone_is_trained_as_a_solo_network(recipe) -> None:
    mixed = recipe(
        members=[{"network": "unet", "count": 2, "options": {"widths": [4]}}, {"network": "unet", "options": {"widths": [8]}}],
        policy={"kind": "stacking"},
        augmenting={"transforms": [{"kind": "flip"}]},
    )
    solos = solo_recipes(mixed)
    assert [(solo.members[0].count, solo.members[0].options["widths"]) for solo in solos] == [(1, [4]), (1, [4]), (1, [8])]
    for solo in solos:
        assert (solo.policy, solo.augmenting, solo.pooling) == ({"kind": "joint"}, {}, {"rule": "fixed", "outer_softmax": False})
        for table in ("schedule", "optimizer", "augmentation", "loss", "batch", "grid", "averaging"):
            assert getattr(solo, table) == getattr(mixed, table)
    assert len({solo.seed for solo in solos}) == 3


def test_seeds_of_parts_differ_and_repeat() -> None:
    seeds = [derived_seed(seed, number) for seed in range(20) for number in range(20)]
    assert len(set(seeds)) == 400
    assert seeds == [derived_seed(seed, number) for seed in range(20) for number in range(20)]


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ({"kind": "boosting"}, "'boosting'.*joint"),
        ({}, "no policy is called None"),
        ({"kind": "joint", "folds": 3}, "policy 'joint' does not take the options"),
        ({"kind": "meta", "folds": 1}, "folds must be a whole number from 2 to 20"),
        ({"kind": "meta", "folds": 2.5}, "folds must be a whole number from 2 to 20"),
        ({"kind": "meta", "fold_share": 0.0}, "fold_share must be above 0 and at most 1"),
        ({"kind": "meta", "ridge": "weak"}, "ridge must be above 0"),
    ],
)
def test_an_unfit_policy_is_refused_with_its_reason(table, reason) -> None:
    with pytest.raises(InputError, match=reason):
        build_policy(table)
