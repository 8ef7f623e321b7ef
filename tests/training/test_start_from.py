"""Training that starts from the weights of a model."""

from __future__ import annotations

import json

import pytest
import torch

from shortaxis.ensemble.model_file import file_sha256, read_model
from shortaxis.errors import DataWarning, InputError
from shortaxis.training import train


def weights(path):
    return read_model(path)[0].state_dict()


@pytest.fixture
def trained(recipe, discs, tmp_path):
    return train(recipe(schedule={"epochs": 2}), discs, tmp_path / "first", device="cpu").model


def test_members_start_with_the_weights_of_the_model_and_the_run_says_which(recipe, discs, tmp_path, trained):
    standing_still = recipe(schedule={"epochs": 1, "warmup_epochs": 0}, optimizer={"learning_rate": 1e-12, "weight_decay": 0.0}, seed=9)
    result = train(standing_still, discs, tmp_path / "second", device="cpu", start_from=trained)
    convolutions = [name for name, value in weights(trained).items() if value.ndim == 4]
    assert convolutions
    for name in convolutions:
        torch.testing.assert_close(weights(result.model)[name], weights(trained)[name], atol=1e-6, rtol=0)
    told = json.loads((tmp_path / "second" / "run.json").read_text())["start_from"]
    assert told == {"file": "model.safetensors", "sha256": file_sha256(trained)}


def test_a_run_that_goes_on_takes_its_checkpoint_and_not_the_start(recipe, discs, tmp_path, trained):
    tiny = recipe(schedule={"epochs": 2}, seed=9)
    whole = train(tiny, discs, tmp_path / "whole", device="cpu", start_from=trained)
    train(tiny, discs, tmp_path / "parts", device="cpu", start_from=trained, steps=3)
    parts = train(tiny, discs, tmp_path / "parts", device="cpu", start_from=trained, resume=True)
    for name, value in weights(whole.model).items():
        assert torch.equal(weights(parts.model)[name], value)


def test_a_run_goes_on_only_with_the_start_and_the_plugins_that_it_began_with(recipe, discs, tmp_path, trained, monkeypatch):
    tiny = recipe(schedule={"epochs": 2}, seed=9)
    train(tiny, discs, tmp_path / "run", device="cpu", start_from=trained, steps=3)
    record = (tmp_path / "run" / "run.json").read_bytes()
    other = train(tiny, discs, tmp_path / "other", device="cpu").model
    for start, told in ((None, "start_from: '.*' there, nothing here"), (other, "start_from: '.*' there, '.*' here")):
        with pytest.raises(InputError, match=rf"other data \({told}\)"):
            train(tiny, discs, tmp_path / "run", device="cpu", start_from=start, resume=True)
    with monkeypatch.context() as loaded:
        loaded.setattr("shortaxis.training.run.loaded_plugins", lambda: [{"plugin": "own.py", "sha256": "0"}])
        with pytest.raises(InputError, match=r"\(plugins: nothing there, .* here\)"):
            train(tiny, discs, tmp_path / "run", device="cpu", start_from=trained, resume=True)
    assert (tmp_path / "run" / "run.json").read_bytes() == record
    moved = trained.rename(tmp_path / "moved.safetensors")
    assert train(tiny, discs, tmp_path / "run", device="cpu", start_from=moved, resume=True).complete


@pytest.mark.parametrize(
    "members",
    [
        [{"network": "unet", "count": 2, "options": {"widths": [4, 16], "dropout": 0.1}}],
        [{"network": "unet", "count": 2, "options": {"widths": [8], "dropout": 0.1}}],
        [{"network": "unet", "count": 3, "options": {"widths": [4, 8], "dropout": 0.1}}],
    ],
    ids=["wider", "shallower", "one more"],
)
def test_weights_that_do_not_fit_the_members_are_refused(recipe, discs, tmp_path, trained, members):
    other = recipe(members=members)
    with pytest.raises(InputError, match=r"do not fit .*'tiny'.*same members"):
        train(other, discs, tmp_path / "second", device="cpu", start_from=trained)
    assert not (tmp_path / "second").exists()


def test_a_network_with_layers_of_its_own_goes_on_from_a_model_that_lacks_them(recipe, discs, tmp_path, trained):
    deeper = recipe(
        members=[{"network": "depth-unet", "count": 2, "options": {"widths": [4, 8], "dropout": 0.1}}],
        schedule={"epochs": 1, "warmup_epochs": 0},
        optimizer={"learning_rate": 1e-12, "weight_decay": 0.0},
        seed=9,
    )
    with pytest.warns(DataWarning, match=r"\d+ of \d+ tensors .*first 'members\.0\."):
        result = train(deeper, discs, tmp_path / "second", device="cpu", start_from=trained)
    before, after = weights(trained), weights(result.model)
    for name, value in before.items():
        if value.ndim == 4:
            torch.testing.assert_close(after[name], value, atol=1e-6, rtol=0)
    told = json.loads((tmp_path / "second" / "run.json").read_text())["start_from"]["untrained"]
    assert told == sorted(after.keys() - before.keys())
    assert "members.1.context.gate" in told
