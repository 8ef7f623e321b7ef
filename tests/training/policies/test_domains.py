"""Domain adaptation: what each step changes and what it leaves alone, on discs of two scanners with different contrast."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from shortaxis.datasets.dataset import Dataset
from shortaxis.ensemble.model_file import read_model
from shortaxis.errors import InputError
from shortaxis.training import train
from shortaxis.training.domain_run import FACTS, AdversarialRun, UnlearningRun
from shortaxis.training.domains import DomainPredictor, confusion_loss, domain_loss, domains_of, reverse_gradient
from shortaxis.training.policies import build_policy
from shortaxis.training.processes import Processes
from shortaxis.training.resident import load_resident
from shortaxis.training.run import spec_of

VENDORS = {"p0": "Siemens", "p1": "GE", "p2": "Siemens", "p3": "GE"}
SOLO = {
    "members": [{"network": "unet", "options": {"widths": [4, 8], "dropout": 0.0}}],
    "pooling": {"rule": "fixed", "outer_softmax": False},
}


@pytest.fixture
def scanners(discs) -> Dataset:
    """The discs, as scanned by two vendors."""
    return Dataset("scanners", tuple(replace(ref, vendor=VENDORS[ref.patient]) for ref in discs.refs))


def start(kind, recipe, dataset, tmp_path, **options):
    torch.manual_seed(0)
    made = recipe(schedule={"epochs": None, "steps": 8, "warmup_epochs": 0.0}, **SOLO)
    ensemble = spec_of(made).build()
    data = load_resident(dataset, spec_of(made).build_grid(), torch.device("cpu"))
    _, domains = domains_of(dataset, dataset.patients, "vendor")
    processes = Processes(0, 1, torch.device("cpu"))
    return kind(made, ensemble, data, tmp_path / "checkpoint.safetensors", processes, domains=domains, count=2, **options)


def copied(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def changed(before: dict[str, torch.Tensor], module: nn.Module) -> set[str]:
    return {name for name, value in module.state_dict().items() if not torch.equal(value, before[name])}


class TestDomainsOfFrames:
    def test_they_follow_the_frames_in_the_order_of_the_patients(self, scanners) -> None:
        assert domains_of(scanners, ("p1", "p0"), "vendor") == (["GE", "Siemens"], [0, 0, 1, 1])

    def test_a_frame_of_unknown_vendor_is_refused_by_name(self, discs) -> None:
        with pytest.raises(InputError, match=r"p0_ED.*vendor"):
            domains_of(discs, discs.patients, "vendor")

    def test_one_domain_is_too_few(self, scanners) -> None:
        with pytest.raises(InputError, match="one domain"):
            domains_of(scanners, ("p0", "p2"), "vendor")


def test_losses_of_domains_by_hand() -> None:
    logits = torch.log(torch.tensor([[0.8, 0.2], [0.5, 0.5], [0.1, 0.9]]))
    weight = torch.tensor([1.0, 1.0, 0.0])
    found = domain_loss(logits, torch.tensor([0, 1, 0]), weight)
    assert float(found) == pytest.approx(-(math.log(0.8) + math.log(0.5)) / 2)
    confusion = confusion_loss(logits, weight)
    assert float(confusion) == pytest.approx(-(math.log(0.8) + math.log(0.2) + 2 * math.log(0.5)) / 4)
    assert confusion_loss(logits[1:2], weight[:1]) < confusion_loss(logits[:1], weight[:1])


def test_reversed_gradient() -> None:
    values = torch.tensor([1.0, 2.0], requires_grad=True)
    turned = reverse_gradient(values, 0.5)
    assert torch.equal(turned, values)
    (turned * torch.tensor([3.0, 4.0])).sum().backward()
    assert values.grad.tolist() == [-1.5, -2.0]


@pytest.mark.parametrize("size", [(1, 1), (24, 24), (112, 97)])
def test_predictor_takes_features_of_any_size(size) -> None:
    assert DomainPredictor(5, 3).eval()(torch.randn(2, 5, *size)).shape == (2, 3)


class TestUnlearning:
    def test_finding_domains_changes_the_predictors_alone(self, recipe, scanners, tmp_path) -> None:
        run = start(UnlearningRun, recipe, scanners, tmp_path, first=0.9)
        run.train(steps=1)
        ensemble, predictors = copied(run.ensemble), copied(run.predictors)
        run._find_domains(torch.zeros(12, dtype=torch.long), torch.ones(12))
        assert changed(ensemble, run.ensemble) == set()
        assert changed(predictors, run.predictors)

    def test_unlearning_changes_the_encoder_and_neither_head_nor_statistics(self, recipe, scanners, tmp_path) -> None:
        run = start(UnlearningRun, recipe, scanners, tmp_path, first=0.9)
        run.train(steps=1)
        ensemble, predictors = copied(run.ensemble), copied(run.predictors)
        run._confuse(torch.ones(12))
        moved = changed(ensemble, run.ensemble)
        assert moved
        assert not any("head" in name or "running" in name or "num_batches" in name for name in moved)
        assert not any("running" not in name and "num_batches" not in name for name in changed(predictors, run.predictors))

    def test_nothing_is_unlearnt_in_the_first_part(self, recipe, scanners, tmp_path, monkeypatch) -> None:
        run = start(UnlearningRun, recipe, scanners, tmp_path, first=0.5)
        at: list[int] = []
        monkeypatch.setattr(run, "_confuse", lambda _weight: at.append(run.step))
        run.train()
        assert at == [4, 5, 6, 7]

    def test_many_steps_of_confusion_bring_the_predictions_to_chance(self, recipe, scanners, tmp_path) -> None:
        run = start(UnlearningRun, recipe, scanners, tmp_path, first=0.9, encoder_rate=3e-3, rate=3e-3)
        run.train(steps=1)
        domains, weight = torch.arange(12) % 2, torch.ones(12)

        def confused() -> float:
            return float(confusion_loss(run.predicted(run.features)[0], weight).detach())

        for _ in range(20):  # let the predictor find something, however meaningless
            run._find_domains(domains, weight)
        before = confused()
        for _ in range(20):
            run._confuse(weight)
        assert confused() - math.log(2) < (before - math.log(2)) / 2


class TestAdversarial:
    def test_strength_rises_from_nothing_to_one(self, recipe, scanners, tmp_path) -> None:
        run = start(AdversarialRun, recipe, scanners, tmp_path)
        assert run.strength() == 0.0
        run.step = run.total
        assert run.strength() == pytest.approx(1.0, abs=1e-4)

    def test_predictors_learn_and_the_loss_of_the_run_stays_what_it_is(self, recipe, scanners, tmp_path) -> None:
        run = start(AdversarialRun, recipe, scanners, tmp_path)
        before = copied(run.predictors)
        run.train(steps=2)
        assert "0.head.4.weight" in changed(before, run.predictors)
        assert 0 <= json.loads((tmp_path / FACTS).read_text())["found"] <= 1


@pytest.mark.parametrize("kind", ["adversarial", "unlearning"])
def test_run_that_was_cut_off_ends_as_one_that_was_not(kind, recipe, scanners, tmp_path) -> None:
    made = recipe(schedule={"epochs": None, "steps": 4, "warmup_epochs": 0.0}, policy={"kind": kind}, **SOLO)
    whole = train(made, scanners, tmp_path / "whole", device="cpu")
    train(made, scanners, tmp_path / "parts", device="cpu", steps=3)
    parts = train(made, scanners, tmp_path / "parts", device="cpu", resume=True)
    states = [read_model(result.model)[0].state_dict() for result in (whole, parts)]
    for name, value in states[0].items():
        assert torch.equal(states[1][name], value), name


def test_da_dunn_trains_three_members_each_in_its_way(recipe, scanners, tmp_path) -> None:
    three = {"members": [SOLO["members"][0] | {"count": 3}], "pooling": SOLO["pooling"]}
    made = recipe(schedule={"epochs": None, "steps": 2, "warmup_epochs": 0.0}, policy={"kind": "da-dunn"}, **three)
    result = train(made, scanners, tmp_path, device="cpu")
    assert result.complete
    assert len(read_model(result.model)[0].members) == 3
    assert [(tmp_path / f"member-{number}" / FACTS).exists() for number in (1, 2, 3)] == [False, True, True]
    with pytest.raises(InputError, match="2 members"):
        build_policy({"kind": "da-dunn"}).check(recipe(policy={"kind": "da-dunn"}))


@pytest.mark.parametrize(
    ("options", "value"),
    [({"by": "colour"}, "colour"), ({"beta": 0}, "0"), ({"rate": float("nan")}, "nan"), ({"first": 1.0}, "1.0"), ({"first": True}, "True")],
)
def test_option_that_does_not_fit_is_refused(options, value) -> None:
    with pytest.raises(InputError, match=value):
        build_policy({"kind": "unlearning"} | options)


def test_network_without_a_head_is_refused_by_name(recipe, scanners, tmp_path) -> None:
    heads = [{"network": "isensee2d", "options": {"widths": [2, 2, 2, 2]}}]
    made = recipe(members=heads, pooling=SOLO["pooling"], policy={"kind": "adversarial"})
    with pytest.raises(InputError, match="Isensee2D"):
        train(made, scanners, tmp_path, device="cpu")
