from __future__ import annotations

import json

import pytest
import torch

from shortaxis.datasets.splits import Split
from shortaxis.ensemble.model_file import read_model, read_spec
from shortaxis.errors import InputError
from shortaxis.training import train
from shortaxis.training.export import export_run, read_facts

SPLIT = Split(train=("p0", "p1", "p2"), held_out=("p3",), seed=0)


def test_an_exported_model_is_half_the_size_and_says_how_well_it_does(recipe, discs, tmp_path):
    train(recipe(schedule={"epochs": 1}), discs, tmp_path / "run", split=SPLIT, device="cpu")
    card = export_run(tmp_path / "run", tmp_path / "out.safetensors", facts={"commit": "abc123"})
    scores = json.loads((tmp_path / "run" / "validation.json").read_text())
    assert card["validation"]["clinical"]["dsc_average"] == scores["results"]["clinical"]["overall"]["dsc_average"]
    assert read_spec(tmp_path / "out.safetensors").card == card
    assert card["commit"] == "abc123"
    whole, _ = read_model(tmp_path / "run" / "model.safetensors")
    half, _ = read_model(tmp_path / "out.safetensors")
    for name, value in whole.state_dict().items():
        assert torch.equal(half.state_dict()[name], value.half().float() if value.is_floating_point() else value)


def test_an_exported_model_can_keep_its_precision(recipe, discs, tmp_path):
    train(recipe(schedule={"epochs": 1}), discs, tmp_path / "run", device="cpu")
    card = export_run(tmp_path / "run", tmp_path / "out.safetensors", half=False)
    assert "validation" not in card
    whole, half = (read_model(path)[0].state_dict() for path in (tmp_path / "run" / "model.safetensors", tmp_path / "out.safetensors"))
    assert all(torch.equal(whole[name], half[name]) for name in whole)


def test_an_unfinished_run_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no finished run"):
        export_run(tmp_path, tmp_path / "out.safetensors")


@pytest.mark.parametrize("content", ["", "[]", "{}"])
def test_damaged_scores_are_refused_by_name(recipe, discs, tmp_path, content):
    train(recipe(schedule={"epochs": 1}), discs.select(["p0"]), tmp_path, device="cpu")
    (tmp_path / "validation.json").write_text(content)
    with pytest.raises(InputError, match=r"validation\.json: not the scores"):
        export_run(tmp_path, tmp_path / "out.safetensors")


def test_facts_are_names_and_texts():
    assert read_facts(["commit=abc", "licence=a = b"]) == {"commit": "abc", "licence": "a = b"}


@pytest.mark.parametrize("text", ["commit", "=abc", "two words=abc"])
def test_a_fact_without_a_name_is_refused(text):
    with pytest.raises(InputError, match="NAME=TEXT"):
        read_facts([text])
