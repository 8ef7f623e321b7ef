"""export, calibrate and speed."""

from __future__ import annotations

import json

import numpy as np
import pytest

from shortaxis.datasets import open_dataset
from shortaxis.datasets.splits import hold_out
from shortaxis.ensemble.model_file import file_sha256, read_spec
from shortaxis.quality import TrustModel
from shortaxis.quality.appearance import APPEARANCE
from shortaxis.quality.calibration import Calibration, load_calibration
from shortaxis.quality.domain import KnownDomain
from shortaxis.quality.forest import Forest
from shortaxis.quality.intervals import Ends, IntervalModel

RECIPE = """
name = "tiny"
title = "Tiny"
grid = { kind = "physical", spacing_mm = 4.0, size = 32 }
pooling = { rule = "uncertainty", outer_softmax = false }
optimizer = { name = "adamw", learning_rate = 0.01 }
schedule = { epochs = 1 }
batch = { frames = 2, slices = 40 }

[[members]]
network = "unet"
options = { widths = [2, 4] }
"""


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(RECIPE)
    return path


def test_export_writes_what_training_left(run, recipe, tmp_path):
    assert run("train", recipe, "--data", "phantom:2", "--out", tmp_path / "run", "--device", "cpu").exit_code == 0
    out = tmp_path / "out.safetensors"
    result = run("export", tmp_path / "run", "--out", out, "--fact", "licence=none")
    assert result.exit_code == 0, result.stderr
    assert read_spec(out).card["licence"] == "none"
    assert str(out) in result.stdout
    assert json.loads(run("export", tmp_path / "run", "--out", out, "--json").stdout)["train_frames"] == 4


def test_export_of_no_run_is_one_sentence(run, tmp_path):
    result = run("export", tmp_path, "--out", tmp_path / "out.safetensors")
    assert result.exit_code == 2
    assert "holds no finished run" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_speed_prints_its_figures_in_words_or_as_json(run, recipe):
    words = run("speed", recipe, "--device", "cpu", "--steps", 1, "--warm-up", 1)
    assert words.exit_code == 0, words.stderr
    assert "slices/s" in words.stdout
    figures = json.loads(run("speed", recipe, "--device", "cpu", "--steps", 1, "--warm-up", 1, "--json").stdout)
    assert figures["recipe"] == "tiny"
    assert figures["slices_per_second"] > 0


@pytest.fixture
def learnt(monkeypatch):
    """A calibration whose making is tested elsewhere; here it tells which patients and how many models it was given."""
    leaf = Forest((0,), (-1,), (0.0,), (0,), (0,), (0.5,))
    k = len(APPEARANCE)
    domain = KnownDomain((0.0,) * k, (1.0,) * k, tuple(map(tuple, np.eye(k))), 3.0)
    figures = {"slices": 8, "poor": 2, "auroc": 0.9, "caught_dsc_below_0.7": None, "flagged_good": 0.2}

    def made(paths, dataset, device, *, target, on_patient):
        for name in dataset.patients:
            on_patient(name)
        facts = {"patients": list(dataset.patients), "end_slices": {"as they are": figures}, "models": len(paths)}
        trust = TrustModel(("softness",), leaf, 1.0, 0.0, 0.5, (0.0,), facts)
        return Calibration(file_sha256(target or paths[0]), trust, IntervalModel({}, {"lv_ef": Ends(-1.0, 2.0, 20)}, {}), domain)

    monkeypatch.setattr("shortaxis.quality.calibrating.calibrate_files", made)


def test_calibrate_lies_beside_the_model_and_takes_the_patients_of_the_split(run, learnt, model_file, acdc, tmp_path):
    split = hold_out(open_dataset(f"acdc:{acdc}"), per_group=1)
    split.to_json(tmp_path / "split.json")
    model = tmp_path / "m.safetensors"
    model.write_bytes(model_file.read_bytes())
    result = run("calibrate", model, "--data", f"acdc:{acdc}", "--split", tmp_path / "split.json", "--device", "cpu")
    assert result.exit_code == 0, result.stderr
    calibration = load_calibration(tmp_path / "m.calibration.json")
    assert calibration.trust.provenance["patients"] == sorted((*split.train, *split.held_out))
    assert "AUROC 0.90" in result.stdout
    assert "caught −" in result.stdout


def test_calibrate_takes_several_models_for_another_and_lies_beside_that(run, learnt, model_file, acdc, tmp_path):
    target = tmp_path / "all.safetensors"
    target.write_bytes(model_file.read_bytes())
    result = run("calibrate", model_file, model_file, "--for", target, "--data", f"acdc:{acdc}", "--device", "cpu")
    assert result.exit_code == 0, result.stderr
    calibration = load_calibration(tmp_path / "all.calibration.json")
    assert calibration.model_sha256 == file_sha256(target)
    assert calibration.trust.provenance["models"] == 2


def test_calibrate_can_write_elsewhere_and_print_json(run, learnt, model_file, acdc, tmp_path):
    result = run("calibrate", model_file, "--data", f"acdc:{acdc}", "--out", tmp_path / "c.json", "--device", "cpu", "--json")
    assert json.loads(result.stdout)["intervals"]["inside"]["lv_ef"] == {"low": -1.0, "high": 2.0, "patients": 20}
    assert load_calibration(tmp_path / "c.json").intervals.inside == {"lv_ef": Ends(-1.0, 2.0, 20)}


def test_several_models_without_for_are_one_sentence(run, model_file, acdc, tmp_path):
    out = tmp_path / "c.json"
    result = run("calibrate", model_file, model_file, "--data", f"acdc:{acdc}", "--out", out, "--device", "cpu")
    assert result.exit_code == 2
    assert "--for" in result.stderr
    assert not out.exists()


def test_too_few_patients_are_one_sentence(run, model_file, acdc, tmp_path):
    result = run("calibrate", model_file, "--data", f"acdc:{acdc}", "--out", tmp_path / "c.json", "--device", "cpu")
    assert result.exit_code == 2
    assert "three patients or more" in result.stderr
    assert not (tmp_path / "c.json").exists()
