"""`shortaxis train`: what it leaves in the run's folder, and how it goes on."""

from __future__ import annotations

import json

import pytest

from shortaxis.cli.train import _reporter
from shortaxis.datasets.dataset import Dataset, FrameRef
from shortaxis.datasets.packed import write_packed
from shortaxis.datasets.split_choice import split_of_run
from shortaxis.datasets.splits import Split
from shortaxis.phantom import make_phantom
from shortaxis.study import Frame
from shortaxis.training.loop import Progress

RECIPE = """
name = "tiny"
title = "Tiny"
[grid]
kind = "physical"
spacing_mm = 4.0
size = 48
[[members]]
network = "unet"
count = 2
options = { widths = [4, 8] }
[pooling]
rule = "uncertainty"
[optimizer]
name = "adamw"
learning_rate = 1e-2
[schedule]
epochs = 2
[batch]
frames = 2
slices = 24
"""


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """Three patients of coarse pixels."""
    refs = []
    for number in range(3):
        phantom = make_phantom(number, n_slices=6, spacing=(10.0, 3.0, 3.0), phases=("ED", "ES"))
        for index, phase in enumerate(("ED", "ES")):
            name, patient = f"phantom{number + 1:03d}_{phase}", f"phantom{number + 1:03d}"
            frame = Frame(name, patient, phase, "NOR", phantom.study.pixels[index], phantom.labels[index], phantom.study.spacing)
            refs.append(FrameRef(name, patient, phase, "NOR", lambda frame=frame: frame))
    path = tmp_path_factory.mktemp("packed") / "phantom.zip"
    write_packed(Dataset("phantom", tuple(refs)), path)
    return path


def test_a_run_leaves_model_split_log_and_scores(run, recipe, packed, tmp_path):
    out = tmp_path / "run"
    result = run("train", recipe, "--data", f"packed:{packed}", "--hold-out", 1, "--device", "cpu", "--out", out)
    assert result.exit_code == 0, result.stderr
    assert {"model.safetensors", "split.json", "validation.json", "log.jsonl", "run.json"} <= {path.name for path in out.iterdir()}
    split = json.loads((out / "split.json").read_text())
    assert set(split["train"]) | set(split["held_out"]) == {"phantom001", "phantom002", "phantom003"}
    assert json.loads((out / "run.json").read_text())["held_out_patients"] == split["held_out"]
    assert all(name in result.stdout for name in ("reference", "paper", "clinical", "model.safetensors"))
    assert "loss" in result.stderr


def test_a_hold_out_of_other_numbers_than_asked_for_is_told_of_by_train_split_and_benchmark(run, recipe, packed, tmp_path):
    data, asked = f"packed:{packed}", ("--hold-out", 2)
    for line in (
        ("train", recipe, "--data", data, "--steps", 1, "--device", "cpu", "--out", tmp_path / "run"),
        ("split", data, "--out", tmp_path / "split.json"),
        ("benchmark", "run", "--rows", recipe, "--data", data, "--budget", "steps=1", "--device", "cpu", "--out", tmp_path / "bench"),
    ):
        result = run(*line, *asked)
        assert result.exit_code == 0, result.stderr
        assert "not 2 of each group but 1 of 3 in NOR" in result.stderr


def test_a_spent_budget_can_be_resumed_and_the_run_keeps_its_split(run, recipe, packed, tmp_path):
    out = tmp_path / "run"
    line = ("train", recipe, "--data", f"packed:{packed}", "--device", "cpu", "--out", out)
    result = run(*line, "--fold", 1, "--folds", 3, "--steps", 1)
    assert result.exit_code == 0, result.stderr
    assert "--resume" in result.stdout
    assert not (out / "model.safetensors").exists()
    split = (out / "split.json").read_bytes()

    refused = run(*line)
    assert refused.exit_code == 2
    assert "--resume" in refused.stderr
    other = run(*line, "--resume", "--fold", 0, "--folds", 3)
    assert other.exit_code == 2
    assert "another split" in other.stderr

    result = run(*line, "--resume", "--json")
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert told["complete"]
    assert told["step"] == told["total"]
    assert told["model"] == str(out / "model.safetensors")
    assert (out / "split.json").read_bytes() == split
    assert json.loads((out / "run.json").read_text())["held_out_patients"] == json.loads(split)["held_out"]


def test_a_refused_start_does_not_touch_the_split_of_the_run_that_is_there(run, recipe, packed, tmp_path):
    out = tmp_path / "run"
    line = ("train", recipe, "--data", f"packed:{packed}", "--device", "cpu", "--out", out, "--folds", 3)
    run(*line, "--fold", 1, "--steps", 1)
    split = (out / "split.json").read_bytes()
    assert run(*line, "--fold", 2).exit_code == 2
    assert (out / "split.json").read_bytes() == split


def test_the_seed_replaces_that_of_the_recipe(run, recipe, packed, tmp_path):
    run("train", recipe, "--data", f"packed:{packed}", "--device", "cpu", "--seed", 7, "--steps", 1, "--out", tmp_path / "run")
    assert json.loads((tmp_path / "run" / "run.json").read_text())["recipe"]["seed"] == 7


def test_a_split_that_leaks_is_refused_by_name(run, recipe, packed, tmp_path):
    leak = tmp_path / "leak.json"
    leak.write_text(json.dumps({"train": ["phantom001", "phantom002"], "held_out": ["phantom002"], "seed": 0}))
    result = run("train", recipe, "--data", f"packed:{packed}", "--split", leak, "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert "phantom002" in result.stderr
    assert not (tmp_path / "run").exists()


def test_two_splits_at_once_are_refused(run, recipe, packed, tmp_path):
    result = run("train", recipe, "--data", f"packed:{packed}", "--fold", 0, "--hold-out", 1, "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert "one of them" in result.stderr


def test_a_fold_beyond_the_folds_is_refused(run, recipe, packed, tmp_path):
    result = run("train", recipe, "--data", f"packed:{packed}", "--fold", 3, "--folds", 3, "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert "--fold 3" in result.stderr


def test_an_unknown_recipe_is_refused_with_the_nearest(run, tmp_path):
    result = run("train", "2unet-uncertainti", "--data", "phantom:2", "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert "paper/2unet-uncertainty" in result.stderr


@pytest.mark.parametrize(
    ("line", "changed"), [('"uncertainty"', '"fxed"'), ('name = "adamw"', 'name = "sgdm"'), ("[batch]", '[loss]\nname = "dice"\n[batch]')]
)
def test_a_refused_recipe_leaves_no_folder(run, recipe, packed, tmp_path, line, changed):
    recipe.write_text(RECIPE.replace(line, changed))
    result = run("train", recipe, "--data", f"packed:{packed}", "--device", "cpu", "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert str(recipe) in result.stderr
    assert not (tmp_path / "run").exists()
    assert run("networks", recipe).exit_code == 2


def test_recipes_are_listed(run):
    assert "paper/2unet-uncertainty" in run("train", "--list").stdout
    assert "paper/2unet-uncertainty" in json.loads(run("train", "--list", "--json").stdout)


@pytest.mark.parametrize("given", [(), ("release",), ("release", "--data", "phantom:2")])
def test_what_is_missing_is_named(run, given):
    result = run("train", *given)
    assert result.exit_code == 2
    assert ("RECIPE", "--data", "--out")[(len(given) + 1) // 2] in result.stderr


def test_only_the_first_of_several_processes_speaks(run, recipe, packed, tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    result = run("train", recipe, "--data", f"packed:{packed}", "--device", "cpu", "--steps", 1, "--out", tmp_path / "run")
    assert result.stdout == ""


def test_a_log_file_gets_a_line_now_and_then_and_one_at_the_end(capsys):
    on_progress = _reporter(lambda *_: None)
    for step in (25, 50, 75, 80):
        on_progress(Progress(step=step, total=80, loss=0.5, learning_rate=1e-3, slices_per_second=10.0, seconds=step))
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[1] for line in lines] == ["25/80", "80/80"]


def test_a_run_goes_on_when_its_own_split_is_asked_for_again(tmp_path):
    split = Split(("a", "b"), ("c",), seed=0)
    split.to_json(tmp_path / "split.json")
    assert split_of_run(tmp_path, Split(("b", "a"), ("c",), seed=1)) == split
    assert split_of_run(tmp_path, None) == split
    assert split_of_run(tmp_path / "other", split) == split
