"""`--plugin`: networks, rules and readers of one's own in every command."""

from __future__ import annotations

import json
import sys

import pytest

from shortaxis import plugins
from shortaxis.datasets import READERS
from shortaxis.ensemble.rules import POOLINGS
from shortaxis.networks import NETWORKS

PLUGIN = """
import torch
from shortaxis.datasets import READERS, open_dataset
from shortaxis.ensemble.rules import POOLINGS, Fixed
from shortaxis.networks import NETWORKS


class Wide(torch.nn.Conv2d):
    def __init__(self, edge=5):
        super().__init__(1, 4, kernel_size=edge, padding=edge // 2)


NETWORKS["wide"] = Wide
POOLINGS["plain"] = Fixed
READERS["mine"] = lambda path: open_dataset(f"phantom:{path}")
"""

RECIPE = """
name = "wide"
title = "Wide"
[grid]
kind = "physical"
spacing_mm = 8.0
size = 32
[[members]]
network = "wide"
options = { edge = 3 }
[pooling]
rule = "plain"
[optimizer]
name = "adamw"
learning_rate = 1e-2
[schedule]
epochs = 1
warmup_epochs = 0
[batch]
frames = 2
slices = 24
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A plug-in and a recipe that needs it; both leave no trace."""
    monkeypatch.setattr(plugins, "_loaded", {})
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "own.py").write_text(PLUGIN)
    (tmp_path / "wide.toml").write_text(RECIPE)
    yield tmp_path
    forget()


def forget():
    """What a new process would not know."""
    sys.modules.pop("shortaxis_plugin_own", None)
    plugins._loaded.clear()
    for registry, name in ((NETWORKS, "wide"), (POOLINGS, "plain"), (READERS, "mine")):
        registry.pop(name, None)


def test_a_network_a_rule_and_a_reader_of_ones_own_train_and_segment(run, own, cine):
    out = own / "run"
    line = ["train", own / "wide.toml", "--data", "mine:2", "--device", "cpu", "--out", out]
    result = run(*line, "--plugin", own / "own.py")
    assert result.exit_code == 0, result.stderr
    [told] = json.loads((out / "run.json").read_text())["plugins"]
    assert told["plugin"] == "own.py"
    forget()
    segment = ["segment", cine, "--model", out / "model.safetensors", "--no-report", "--out", own / "labels"]
    refused = run(*segment)
    assert refused.exit_code == 2
    said = " ".join(refused.stderr.split())
    assert "'wide'" in said
    assert "--plugin FILE" in said
    done = run(f"--plugin={own / 'own.py'}", *segment)
    assert done.exit_code == 0, done.stderr
    assert json.loads((own / "labels" / "segment.json").read_text())["plugins"] == [told]


def test_the_environment_names_plugins_too(own, run, monkeypatch):
    monkeypatch.setenv("SHORTAXIS_PLUGINS", str(own / "own.py"))
    result = run("networks", "--json")
    assert "wide" in {row["name"] for row in json.loads(result.stdout)}


def test_one_that_cannot_be_loaded_stops_the_command_before_it_does_anything(own, run):
    (own / "own.py").write_text("import nothing_of_this_name")
    result = run("phantom", "--out", own / "phantoms", "--plugin", own / "own.py")
    assert result.exit_code == 2
    assert "own.py: the plug-in cannot be loaded (line 1, ModuleNotFoundError" in " ".join(result.stderr.split())
    assert not (own / "phantoms").exists()


def test_an_option_without_its_file_is_refused(run):
    result = run("networks", "--plugin")
    assert result.exit_code == 2
    assert "--plugin needs the path of a Python file" in " ".join(result.stderr.split())
