from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from shortaxis.ensemble.model_file import read_model
from shortaxis.ensemble.rules.meta import Meta
from shortaxis.errors import InputError
from shortaxis.training import spec_of, train
from shortaxis.training.policies import TrainingSet, build_policy
from shortaxis.training.policies.meta import out_of_fold
from shortaxis.training.policies.meta_fit import PER_FRAME, Examples, fit_meta
from shortaxis.training.resident import load_resident


def frame(seed: int = 0, *, depth: int = 2, edge: int = 24) -> tuple[torch.Tensor, torch.Tensor]:
    """One member that knows the truth and errs a little, and one that knows nothing: (2, D, 4, G, G) and (D, G, G)."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 4, (depth, edge, edge), generator=generator)
    logits = 2.0 * torch.nn.functional.one_hot(labels, 4).movedim(-1, 1) + torch.randn((depth, 4, edge, edge), generator=generator)
    blind = torch.randn((depth, 4, edge, edge), generator=generator)
    return torch.softmax(torch.stack([logits, blind]), dim=2), labels.to(torch.uint8)


def examples(*seeds: int) -> Examples:
    collected = Examples()
    for seed in seeds:
        collected.add(*frame(seed), seed=seed)
    return collected


def test_the_meta_classifier_finds_out_which_member_knows() -> None:
    coefficients, bias, facts = fit_meta(examples(0, 1, 2), ridge=1e-3)
    members, labels = frame(7)
    rule = Meta(coefficients, bias)
    owner, averaging = torch.zeros(2, dtype=torch.long), torch.ones(1, 2) / 2
    learned, equal = (made(members, averaging, owner).probabilities.argmax(dim=1) for made in (rule, Meta()))
    assert (learned == labels).float().mean() > (equal == labels).float().mean() + 0.05
    omega = rule(members, averaging, owner).omega
    assert omega[0].min() > 0.7
    assert facts["objective"] < facts["objective_of_the_geometric_mean"]


def test_the_fit_is_the_minimum_of_the_penalised_likelihood() -> None:
    """Written out anew from the definition: no step of any parameter in either direction lowers it."""
    ridge, collected = 1e-2, examples(0)
    coefficients, bias, facts = fit_meta(collected, ridge)
    logs, classes, weights = collected.arrays()

    def objective(w, b) -> float:
        scores = np.einsum("nck,pnk->pc", w, logs) + b
        likelihood = -(weights * log_softmax(scores, axis=1)[np.arange(len(classes)), classes]).sum()
        return float(likelihood + ridge * (((w - np.eye(4) / 2) ** 2).sum() + (b**2).sum()))

    w, b = np.array(coefficients), np.array(bias)
    best = objective(w, b)
    assert facts["objective"] == pytest.approx(best, abs=1e-6)
    for index in np.ndindex(2, 4, 4):
        for step in (-0.02, 0.02):
            changed = w.copy()
            changed[index] += step
            assert objective(changed, b) > best
    for index in range(4):
        for step in (-0.02, 0.02):
            assert objective(w, b + step * np.eye(4)[index]) > best


def test_a_heavy_ridge_leaves_the_geometric_mean() -> None:
    coefficients, bias, _ = fit_meta(examples(0), ridge=1e6)
    np.testing.assert_allclose(coefficients, np.tile(np.eye(4) / 2, (2, 1, 1)), atol=1e-5)
    np.testing.assert_allclose(bias, 0, atol=1e-5)


def test_the_same_examples_give_the_same_weights_to_the_last_digit() -> None:
    assert fit_meta(examples(0, 1), 1e-3) == fit_meta(examples(0, 1), 1e-3)


def test_the_weights_of_the_sample_make_up_for_the_pixels_left_out() -> None:
    """50 pixels in doubt and the rest beyond it: each kept pixel stands for as many as its stratum has for each kept one."""
    labels = torch.zeros((1, 64, 64), dtype=torch.uint8)
    sure = torch.tensor([0.999, 0.0004, 0.0003, 0.0003])
    members = sure[None, None, :, None, None].expand(1, 1, 4, 64, 64).clone()
    members[0, 0, :, 0, :50] = 0.25
    collected = Examples()
    collected.add(members, labels, seed=0)
    logs, _, weights = collected.arrays()
    doubt = np.isclose(logs[:, 0, 0], np.log(0.25))
    assert (doubt.sum(), len(doubt)) == (50, 50 + PER_FRAME)
    assert weights[doubt].sum() == pytest.approx(50 / 4096)
    assert weights.sum() == pytest.approx(1)


def test_a_pixel_is_in_doubt_by_what_is_said_of_its_own_class() -> None:
    """All four classes occur; every member is sure of the true one but in 60 pixels, where it is as sure of another."""
    labels = (torch.arange(64 * 64) % 4).reshape(1, 64, 64)
    said = labels.flatten().clone()
    said[:60] = (said[:60] + 1) % 4
    members = (0.996 * torch.nn.functional.one_hot(said, 4).float() + 0.001).T.reshape(1, 1, 4, 64, 64)
    collected = Examples()
    collected.add(members, labels.to(torch.uint8), seed=0)
    logs, classes, weights = collected.arrays()
    wrong = logs[:, 0].argmax(axis=1) != classes
    assert (wrong.sum(), len(wrong)) == (60, 60 + PER_FRAME)
    assert weights[wrong].sum() == pytest.approx(60 / 4096)


def test_stages_train_on_all_but_the_fold_and_then_on_all(apart, discs) -> None:
    stages = build_policy({"kind": "meta", "folds": 2, "fold_share": 0.5}).stages(apart("meta"), discs)
    assert [stage.name for stage in stages] == [
        "fold-1-member-1",
        "fold-1-member-2",
        "fold-2-member-1",
        "fold-2-member-2",
        "member-1",
        "member-2",
    ]
    one, two = stages[0].patients, stages[2].patients
    assert set(one) | set(two) == set(discs.patients)
    assert not set(one) & set(two)
    assert [stage.recipe.schedule.steps for stage in stages] == [2, 2, 2, 2, 4, 4]
    assert [stage.kept for stage in stages] == [False] * 4 + [True] * 2
    assert len({stage.recipe.seed for stage in stages}) == 6


def test_folds_of_a_schedule_in_epochs_are_shortened_as_well(recipe, discs) -> None:
    made = recipe(policy={"kind": "meta", "folds": 2, "fold_share": 0.5}, schedule={"epochs": 7})
    made = type(made)(**{name: getattr(made, name) for name in made.__struct_fields__} | {"pooling": {"rule": "meta"}})
    stages = build_policy(made.policy).stages(made, discs)
    assert [stage.recipe.schedule.epochs for stage in stages] == [4, 4, 4, 4, 7, 7]


def test_a_pooling_that_leaves_nothing_to_learn_is_refused(apart, discs) -> None:
    with pytest.raises(InputError, match='pooling must be rule = "meta"'):
        build_policy({"kind": "meta"}).stages(apart("meta", pooling={"rule": "fixed"}), discs)


def test_every_patient_is_predicted_by_members_that_have_not_seen_it(apart, discs, monkeypatch) -> None:
    made = apart("meta")
    policy = build_policy(made.policy)
    stages = policy.stages(made, discs)
    training = TrainingSet(discs, load_resident(discs, spec_of(made).build_grid(), torch.device("cpu")))
    trained = [(stage, spec_of(stage.recipe).build().eval()) for stage in stages]
    owner = {id(ensemble): stage for stage, ensemble in trained}
    asked: list[str] = []

    def spy(members, training, frame):
        patient = discs.refs[frame].patient
        assert len(members) == 2
        assert all(patient not in owner[id(member)].patients for member in members)
        asked.append(patient)
        return out_of_fold(members, training, frame)

    monkeypatch.setattr("shortaxis.training.policies.meta.out_of_fold", spy)
    policy.assemble(spec_of(made), trained, training)
    assert sorted(asked) == sorted(ref.patient for ref in discs.refs)


def test_the_weights_lie_in_the_model_file_and_held_out_patients_have_no_part_in_them(trained, apart, discs, tmp_path) -> None:
    out, with_held_out = trained("meta", apart("meta"), discs)
    without = train(apart("meta"), discs.select(["p0", "p1", "p2"]), tmp_path, device="cpu")
    pooling = read_model(with_held_out.model)[1].pooling
    assert pooling == read_model(without.model)[1].pooling
    assert np.shape(pooling["coefficients"]) == (2, 4, 4)
    assert np.shape(pooling["bias"]) == (4,)
    facts = json.loads((out / "run.json").read_text())["meta"]
    assert facts["objective"] <= facts["objective_of_the_geometric_mean"]
