from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from shortaxis.datasets.packed import write_packed
from shortaxis.datasets.splits import Split
from shortaxis.ensemble import POOLINGS, Pooled
from shortaxis.ensemble.model_file import read_model
from shortaxis.errors import InputError
from shortaxis.networks import NETWORKS
from shortaxis.training import load_recipe, spec_of, train
from shortaxis.training import run as run_module
from shortaxis.training.loop import Progress
from shortaxis.training.recipe import recipe_from_dict, recipe_to_dict
from shortaxis.training.run_log import RunLog

SPLIT = Split(train=("p0", "p1", "p2"), held_out=("p3",), seed=0)


def test_a_run_leaves_model_log_facts_and_scores(recipe, discs, tmp_path):
    result = train(recipe(schedule={"epochs": 12}), discs, tmp_path, split=SPLIT, device="cpu")
    assert result.complete
    assert result.step == result.total == 36
    facts = json.loads((tmp_path / "run.json").read_text())
    assert facts["train_patients"] == ["p0", "p1", "p2"]
    assert facts["held_out_patients"] == ["p3"]
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert log[-1]["step"] == 36
    scores = json.loads((tmp_path / "validation.json").read_text())
    assert set(scores["protocols"]) >= {"reference", "paper", "clinical"}
    assert result.validation == scores
    ensemble, spec = read_model(result.model)
    assert len(ensemble.members) == 2
    assert spec.card["steps"] == 36
    assert spec.card["recipe"]["name"] == "tiny"


def test_the_averaged_weights_are_what_is_scored_and_released(recipe, discs, tmp_path, monkeypatch):
    scored = []
    monkeypatch.setattr(run_module, "scores_of", lambda ensemble, *_, **__: scored.append(ensemble.state_dict()) or {})
    result = train(recipe(), discs, tmp_path, split=SPLIT, device="cpu")
    checkpoint = load_file(tmp_path / "checkpoint.safetensors")
    released, differing = read_model(result.model)[0].state_dict(), 0
    for name, value in released.items():
        assert torch.equal(value, checkpoint[f"average/{name}"]), name
        assert torch.equal(value, scored[0][name]), name
        differing += not torch.equal(value, checkpoint[f"module/{name}"])
    assert differing


def test_the_split_of_a_run_lies_in_its_folder_and_a_run_without_one_leaves_none(recipe, discs, tmp_path):
    train(recipe(), discs, tmp_path, split=SPLIT, device="cpu", steps=1)
    assert Split.from_json(tmp_path / "split.json") == SPLIT
    (tmp_path / "checkpoint.safetensors").unlink()
    train(recipe(), discs, tmp_path, device="cpu", steps=1)
    assert not (tmp_path / "split.json").exists()


def test_without_a_split_all_patients_train_and_nothing_is_scored(recipe, discs, tmp_path):
    result = train(recipe(schedule={"epochs": 1}), discs, tmp_path, device="cpu")
    assert result.validation is None
    assert not (tmp_path / "validation.json").exists()
    assert json.loads((tmp_path / "run.json").read_text())["train_frames"] == 8


class Own(torch.nn.Conv2d):
    """A network of one's own that takes 24 pixels and more."""

    def __init__(self, outputs: int = 4, least: int = 24) -> None:
        super().__init__(1, outputs, 3, padding=1)
        self.least = least

    def forward(self, slices):
        return super().forward(slices + 0 * torch.nn.functional.avg_pool2d(slices, self.least).mean())


class ReadsValues(Own):
    def __init__(self) -> None:
        super().__init__()
        self.rates = [float(rate) for rate in torch.linspace(0, 0.1, 3)]


class Doubles:
    def __call__(self, members, averaging, frame_of_slice):
        n, _, _, height, width = members.shape
        return Pooled(members.sum(dim=0), None, members.new_full((n, len(averaging), height, width), 1 / n))


def test_a_network_of_one_s_own_is_trained_and_its_model_can_be_read(recipe, discs, tmp_path, monkeypatch):
    monkeypatch.setitem(NETWORKS, "own", Own)
    result = train(recipe(members=[{"network": "own", "count": 2}], schedule={"epochs": 1}), discs, tmp_path, device="cpu")
    assert len(read_model(result.model)[0].members) == 2


@pytest.mark.parametrize(
    ("tables", "sentence"),
    [
        ({"members": [{"network": "own", "options": {"outputs": 5}}]}, r"network 'own': it tells 5 classes apart, this version needs 4"),
        (
            {"members": [{"network": "own", "options": {"least": 25}}]},
            r"network 'own' cannot work on slices of 24x24 pixels \(RuntimeError: ",
        ),
        ({"members": [{"network": "reads"}]}, r"could not be read: network 'reads' .* torch's device 'meta'"),
        (
            {"pooling": {"rule": "doubles"}, "policy": {"kind": "stacking"}},
            "rule 'doubles': its probabilities must be finite, .*sum to one",
        ),
    ],
)
def test_what_would_fail_at_the_end_of_a_training_fails_before_it(recipe, discs, tmp_path, monkeypatch, tables, sentence: str):
    monkeypatch.setitem(NETWORKS, "own", Own)
    monkeypatch.setitem(NETWORKS, "reads", ReadsValues)
    monkeypatch.setitem(POOLINGS, "doubles", Doubles)
    # Put in place of the recipe's, and not merged with it.
    changed = recipe_from_dict(recipe_to_dict(recipe()) | tables)
    with pytest.raises(InputError, match=sentence):
        train(changed, discs, tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


TINY = """
name = "tiny"
title = "Tiny"
members = [{ network = "unet", options = { widths = [2, 4] } }]
pooling = { rule = "fixed", outer_softmax = false }
grid = { kind = "physical", spacing_mm = 4.0, size = 16 }
loss = { name = "dice-cross-entropy" }
optimizer = { name = "adamw", learning_rate = 0.02 }
schedule = { steps = 2 }
batch = { frames = 2, slices = 40 }
"""


def test_a_packed_data_set_trains_and_is_scored_without_the_packages_for_anything_else(discs, tmp_path):
    """On the command line, in an interpreter that has none of those that read other formats, draw, or fit forests."""
    absent = ("nibabel", "pydicom", "highdicom", "SimpleITK", "sklearn", "matplotlib")
    write_packed(discs.select(["p0", "p1"]), tmp_path / "discs.zip")
    (tmp_path / "tiny.toml").write_text(TINY)
    Split(train=("p0",), held_out=("p1",), seed=0).to_json(tmp_path / "split.json")
    arguments = ["train", "tiny.toml", "--data", "packed:discs.zip", "--split", "split.json", "--out", "out", "--device", "cpu"]
    code = f"import sys; sys.modules.update(dict.fromkeys({absent})); sys.argv[1:] = {arguments}; from shortaxis.cli import main; main()"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("COV_", "COVERAGE_"))}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "validation.json").exists()


def test_held_out_patients_can_be_left_unscored(recipe, discs, tmp_path):
    result = train(recipe(schedule={"epochs": 1}), discs, tmp_path, split=SPLIT, device="cpu", validate=False)
    assert result.complete
    assert result.validation is None
    assert not (tmp_path / "validation.json").exists()
    assert read_model(result.model)[1].card["held_out_patients"] == ["p3"]


def test_a_run_that_ran_out_of_budget_goes_on_and_its_log_repeats_nothing(recipe, discs, tmp_path):
    tiny = recipe(schedule={"epochs": 2})
    first = train(tiny, discs, tmp_path, device="cpu", steps=3)
    assert (first.complete, first.model, first.step, first.total) == (False, None, 3, 8)
    with pytest.raises(InputError, match="already holds a run; add --resume"):
        train(tiny, discs, tmp_path, device="cpu")
    second = train(tiny, discs, tmp_path, device="cpu", resume=True)
    assert second.complete
    steps = [json.loads(line)["step"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert steps == [3, 8]


def test_a_refused_resume_changes_nothing(recipe, discs, tmp_path):
    train(recipe(), discs, tmp_path, device="cpu", steps=1)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match=r"other data \(seed: 3 there, 9 here\)"):
        train(recipe(seed=9), discs, tmp_path, split=SPLIT, device="cpu", resume=True)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda kept: kept["recipe"].update(policy={"kind": "stacking"}), "recipe.policy.kind: 'stacking' there, 'joint' here"),
        (lambda kept: kept.update(data="others"), "data: 'others' there, 'discs' here"),
        (lambda kept: kept.update(train_patients=["q0", "q1", "q2", "q3"]), "train_patients[0]: 'q0' there, 'p0' here"),
    ],
)
def test_a_run_goes_on_with_what_its_record_names_alone(recipe, discs, tmp_path, change, told):
    train(recipe(), discs, tmp_path, device="cpu", steps=1)
    record = tmp_path / "run.json"
    kept = json.loads(record.read_text())
    change(kept)
    record.write_text(json.dumps(kept))
    with pytest.raises(InputError, match=rf"run\.json: .*other data \({re.escape(told)}\)"):
        train(recipe(), discs, tmp_path, device="cpu", resume=True)
    record.write_text("{")
    assert train(recipe(), discs, tmp_path, device="cpu", steps=1, resume=True).step == 2


def test_resume_without_a_checkpoint_starts_anew(recipe, discs, tmp_path):
    assert train(recipe(schedule={"epochs": 1}), discs, tmp_path, device="cpu", resume=True).complete


def test_the_log_drops_half_lines_and_lines_that_will_be_repeated(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"step": 5}\n{"step": 10}\n{"step": 15}\n{"step": 2')
    with RunLog(tmp_path, resume_at=10) as log:
        log.write(Progress(12, 20, 0.5, 0.1, 100.0, 1.0))
    steps = [json.loads(line)["step"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert steps == [5, 10, 12]


def test_without_tensorboard_the_json_lines_are_still_written(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with RunLog(tmp_path) as log:
        log.write(Progress(1, 2, 0.5, 0.1, 100.0, 1.0))
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 1
    assert not (tmp_path / "tensorboard").exists()


def test_with_tensorboard_the_scalars_are_there(tmp_path):
    with RunLog(tmp_path) as log:
        log.write(Progress(4, 8, 0.5, 0.1, 100.0, 1.0))
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(4, 0.5)]


def test_a_recipe_names_each_of_its_members():
    spec = spec_of(load_recipe("release"))
    assert [member["network"] for member in spec.members] == ["unet", "unet"]
    assert spec.pooling["rule"] == "uncertainty"
