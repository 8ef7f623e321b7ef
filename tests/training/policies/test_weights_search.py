from __future__ import annotations

import json
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortaxis.datasets.dataset import Dataset
from shortaxis.datasets.splits import Split
from shortaxis.ensemble import Fixed
from shortaxis.ensemble.model_file import read_model
from shortaxis.ensemble.transforms import AsPublished
from shortaxis.errors import InputError
from shortaxis.inference import load_model
from shortaxis.training import train
from shortaxis.training.policies.weights_search import OPTIMISTIC, best_mixture, mixtures, sweep_mixtures, weight_sweep
from shortaxis.training.validation import validate

SPLIT = Split(train=("p0", "p1", "p2"), held_out=("p3",), seed=0)
FIXED = {"rule": "fixed", "outer_softmax": True}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Two members of different strength."""
    import torch  # noqa: PLC0415

    from shortaxis.ensemble.model_file import ModelSpec, save_model  # noqa: PLC0415

    torch.manual_seed(2)
    members = [{"network": "unet", "options": {"widths": [4, 8]}}] * 2
    spec = ModelSpec("pair", members, FIXED, {"kind": "physical", "spacing_mm": 2.0, "size": 32})
    path = tmp_path_factory.mktemp("pair") / "model.safetensors"
    save_model(path, spec.build(), spec)
    return load_model(path)


@settings(max_examples=40)
@given(st.integers(1, 4), st.integers(2, 9))
def test_mixtures_are_all_the_grid_points_that_sum_to_one(members: int, steps: int) -> None:
    found = mixtures(members, steps)
    grid = np.stack(np.meshgrid(*[np.arange(steps)] * members, indexing="ij"), axis=-1).reshape(-1, members)
    expected = {tuple(row / (steps - 1)) for row in grid if row.sum() == steps - 1}
    assert set(found) == expected
    assert len(found) == len(expected)
    assert [row[0] for row in found] == sorted(row[0] for row in found)
    for row in found:
        Fixed(row)


@pytest.mark.parametrize(("members", "steps", "reason"), [(2, 1, "at least 2 steps"), (5, 21, "10626 mixtures, more than 2000")])
def test_a_grid_that_is_too_coarse_or_too_fine_is_refused(members, steps, reason) -> None:
    with pytest.raises(InputError, match=reason):
        mixtures(members, steps)


def test_the_best_mixture_is_the_highest_and_among_equals_the_most_even() -> None:
    assert best_mixture([((0.0, 1.0), 80.0), ((0.5, 0.5), 90.0), ((1.0, 0.0), 91.0)]) == (1.0, 0.0)
    assert best_mixture([((0.0, 1.0), 90.0), ((0.4, 0.6), 90.0), ((1.0, 0.0), 90.0)]) == (0.4, 0.6)


@pytest.mark.parametrize("outer", [True, False])
def test_each_figure_of_the_sweep_is_that_of_a_model_with_these_weights(model, discs, outer) -> None:
    """Against the whole way of validation: a model of its own for each weight, scored under the protocol `paper`."""
    model.ensemble.pooling = Fixed(outer_softmax=outer)
    few = discs.select(["p0", "p3"])
    sweep = weight_sweep(model, few, steps=4)
    assert [weight for weight, _ in sweep] == pytest.approx([0, 1 / 3, 2 / 3, 1])
    for weight, dsc in sweep:
        spec = replace(model.spec, pooling={"rule": "fixed", "weights": [weight, 1 - weight], "outer_softmax": outer})
        alone = spec.build()
        alone.load_state_dict(model.ensemble.state_dict())
        scores = validate(alone, spec, few)["results"]["paper"]["overall"]["dsc_average"]["value"]
        assert dsc == pytest.approx(scores, abs=1e-9)
    assert len({dsc for _, dsc in sweep}) > 1


def test_the_networks_run_once_a_frame(model, discs, monkeypatch) -> None:
    calls = []
    whole = type(model).run_networks
    monkeypatch.setattr(type(model), "run_networks", lambda self, slices: calls.append(1) or whole(self, slices))
    weight_sweep(model, discs.select(["p0"]), steps=21)
    assert len(calls) == 2


def test_a_sweep_of_one_weight_needs_two_members(model, discs) -> None:
    three = replace(model.spec, members=model.spec.members * 2)
    other = type(model)(three.build(), three)
    with pytest.raises(InputError, match="needs a model of two members, not of 4"):
        weight_sweep(other, discs)


def test_a_sweep_over_nothing_is_refused(model) -> None:
    with pytest.raises(InputError, match="no annotated frame"):
        sweep_mixtures(model, Dataset("empty", ()))


def searching(recipe, **search):
    made = recipe(schedule={"epochs": 2}, search={"steps": 5, **search})
    return type(made)(**{name: getattr(made, name) for name in made.__struct_fields__} | {"pooling": FIXED})


def test_weights_are_chosen_by_training_patients_that_were_kept_out_of_the_training(recipe, discs, tmp_path) -> None:
    result = train(searching(recipe, share=0.3), discs, tmp_path, split=SPLIT, device="cpu")
    facts = json.loads((tmp_path / "run.json").read_text())
    found = facts["search"]
    assert len(found["patients"]) == 1
    assert set(found["patients"]) < set(SPLIT.train)
    assert facts["train_frames"] == 4
    assert facts["train_patients"] == list(SPLIT.train)
    assert "notice" not in facts
    spec = read_model(result.model)[1]
    assert spec.pooling == FIXED | {"weights": found["weights"]}
    aside = discs.select(found["patients"])
    assert sweep_mixtures(load_model(result.model), aside, 5) == [(tuple(mixture), dsc) for mixture, dsc in found["sweep"]]
    by_weights = {tuple(mixture): dsc for mixture, dsc in found["sweep"]}
    assert by_weights[tuple(found["weights"])] == max(by_weights.values())


def test_weights_chosen_by_the_held_out_patients_say_that_their_scores_are_optimistic(recipe, discs, tmp_path) -> None:
    result = train(searching(recipe, patients="held-out"), discs, tmp_path, split=SPLIT, device="cpu")
    facts = json.loads((tmp_path / "run.json").read_text())
    assert facts["search"]["patients"] == ["p3"]
    assert facts["train_frames"] == 6
    for record in (facts, result.validation, read_model(result.model)[1].card):
        assert "optimistic" in record["notice"]
    best = max(dsc for _, dsc in facts["search"]["sweep"])
    assert result.validation["results"]["paper"]["overall"]["dsc_average"]["value"] == pytest.approx(best)


def test_a_search_by_the_held_out_patients_does_not_hide_what_the_augmenting_has_to_say(recipe, discs, tmp_path) -> None:
    made = searching(recipe, patients="held-out", steps=2)
    views = {"transforms": [{"kind": "as-published"}]}
    result = train(msgspec.structs.replace(made, augmenting=views), discs, tmp_path, split=SPLIT, device="cpu")
    for record in (json.loads((tmp_path / "run.json").read_text()), result.validation, read_model(result.model)[1].card):
        assert AsPublished.notice in record["notice"]
        assert OPTIMISTIC in record["notice"]


def test_members_trained_apart_can_be_searched_too(apart, discs, tmp_path) -> None:
    made = apart("bagging", search={"steps": 3, "share": 0.5})
    result = train(made, discs, tmp_path, split=SPLIT, device="cpu")
    stages = json.loads((tmp_path / "run.json").read_text())["stages"]
    found = read_model(result.model)[1].card["search"]
    assert not {patient for stage in stages for patient in stage["patients"]} & set(found["patients"])


def test_a_search_that_cannot_be_made_is_refused_before_the_training(recipe, discs, tmp_path) -> None:
    uncertain = recipe(search={})
    with pytest.raises(InputError, match=r"two or more members .*'fixed'"):
        train(uncertain, discs, tmp_path, split=SPLIT, device="cpu")
    with pytest.raises(InputError, match="held-out patients; hold some out"):
        train(searching(recipe, patients="held-out"), discs, tmp_path, device="cpu")
    assert not (tmp_path / "run.json").exists()
