"""soup."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from shortaxis.ensemble.model_file import file_sha256, read_model, read_spec, save_model


@pytest.fixture
def siblings(model_file, tmp_path):
    """Two models that say they were trained from the one of the room."""
    spec = read_spec(model_file)
    paths = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        card = spec.card | {"start_from": {"file": model_file.name, "sha256": file_sha256(model_file)}}
        paths.append(tmp_path / f"{seed}.safetensors")
        save_model(paths[-1], spec.build(), replace(spec, card=card))
    return paths


def test_soup_writes_the_mean_and_says_of_how_many(run, siblings, tmp_path):
    out = tmp_path / "soup.safetensors"
    result = run("soup", *siblings, "--out", out, "--full")
    assert result.exit_code == 0, result.stderr
    assert "of 2 models" in " ".join(result.stdout.split())
    blend, first, second = (read_model(path)[0].state_dict() for path in (out, *siblings))
    name = "members.0.head.weight"
    torch.testing.assert_close(blend[name], (first[name] + second[name]) / 2)


def test_soup_prints_its_card_as_json(run, siblings, tmp_path):
    result = run("soup", *siblings, "--out", tmp_path / "soup.safetensors", "--json")
    assert [entry["file"] for entry in json.loads(result.stdout)["soup"]] == ["1.safetensors", "2.safetensors"]


def test_strangers_are_one_sentence(run, siblings, tmp_path, model_file):
    lonely = tmp_path / "lonely.safetensors"
    spec = read_spec(model_file)
    save_model(lonely, spec.build(), spec)
    result = run("soup", *siblings, lonely, "--out", tmp_path / "soup.safetensors")
    assert result.exit_code == 2
    assert "was not trained from the same start" in result.stderr
    assert not (tmp_path / "soup.safetensors").exists()
