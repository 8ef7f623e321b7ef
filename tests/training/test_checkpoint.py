from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from shortaxis.errors import InputError
from shortaxis.training import checkpoint
from shortaxis.training.checkpoint import load_checkpoint, save_checkpoint


def parts(width: int = 3) -> dict:
    module = nn.Linear(width, 2)
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.1)
    module(torch.ones(1, width)).sum().backward()
    optimizer.step()
    return {"module": module, "average": nn.Linear(width, 2), "optimizer": optimizer}


def test_what_is_saved_comes_back(tmp_path):
    saved, loaded = parts(), parts()
    save_checkpoint(tmp_path / "c.safetensors", **saved, state={"step": 7})
    assert load_checkpoint(tmp_path / "c.safetensors", **loaded) == {"step": 7}
    for key in ("module", "average"):
        for name, value in saved[key].state_dict().items():
            assert torch.equal(value, loaded[key].state_dict()[name])
    for index, slots in saved["optimizer"].state_dict()["state"].items():
        for name, value in slots.items():
            assert torch.equal(value, loaded["optimizer"].state_dict()["state"][index][name])


def test_the_optimizer_state_is_laid_out_as_its_parameters(tmp_path):
    def channels_last():
        module = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
        optimizer = torch.optim.AdamW(module.parameters())
        module(torch.ones(1, 3, 5, 5)).sum().backward()
        optimizer.step()
        return {"module": module, "average": nn.Conv2d(3, 4, 3), "optimizer": optimizer}

    saved, loaded = channels_last(), channels_last()
    save_checkpoint(tmp_path / "c.safetensors", **saved, state={})
    load_checkpoint(tmp_path / "c.safetensors", **loaded)
    for before, after in zip(saved["module"].parameters(), loaded["module"].parameters(), strict=True):
        for name, value in loaded["optimizer"].state[after].items():
            assert torch.equal(value, saved["optimizer"].state[before][name])
            assert name == "step" or value.stride() == after.stride()


def test_an_interrupted_write_leaves_the_last_good_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "c.safetensors"
    save_checkpoint(path, **parts(), state={"step": 1})
    good = path.read_bytes()

    def killed(tensors, name, metadata):
        name.write_bytes(b"half of it")
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "save_file", killed)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(path, **parts(), state={"step": 2})
    assert path.read_bytes() == good
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", [b"", b"\x00" * 8, b"\xff" * 40, b"not safetensors at all"])
def test_a_damaged_file_is_refused_by_name(tmp_path, content):
    path = tmp_path / "c.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"c\.safetensors: the run cannot resume"):
        load_checkpoint(path, **parts())


def test_another_architecture_is_refused(tmp_path):
    save_checkpoint(tmp_path / "c.safetensors", **parts(3), state={})
    with pytest.raises(InputError, match="cannot resume"):
        load_checkpoint(tmp_path / "c.safetensors", **parts(4))


def test_a_model_file_is_no_checkpoint(tmp_path):
    save_file({"a": torch.ones(1)}, tmp_path / "c.safetensors", metadata={"other": "{}"})
    with pytest.raises(InputError, match="cannot resume"):
        load_checkpoint(tmp_path / "c.safetensors", **parts())
