"""demo, networks, model, split, pack and phantom."""

from __future__ import annotations

import json
from functools import partial

import pytest
import torch
from PIL import Image

import shortaxis as sa
from shortaxis.ensemble.model_file import file_sha256, read_model
from shortaxis.networks import NETWORKS, build_network


@pytest.fixture
def quick(monkeypatch):
    """A demonstration of four coarse phases."""
    monkeypatch.setattr("shortaxis.demo.N_PHASES", 4)
    monkeypatch.setattr("shortaxis.demo.make_phantom", partial(sa.make_phantom, n_slices=6, spacing=(10.0, 3.0, 3.0)))


def test_demo_leaves_study_labels_indices_scores_and_a_picture(run, tmp_path, quick):
    result = run("demo", "--group", "HCM", "--seed", 3, "--out", tmp_path / "demo")
    assert result.exit_code == 0, result.stderr
    names = sorted(path.name for path in (tmp_path / "demo").iterdir())
    files = {
        "evaluation.json",
        "indices.json",
        "labels.nii.gz",
        "picture.png",
        "report.html",
        "report.json",
        "study.nii.gz",
        "truth.nii.gz",
    }
    assert set(names) == files
    with Image.open(tmp_path / "demo" / "picture.png") as picture:
        assert picture.width > picture.height > 400
    assert "LV EF" in result.stdout
    study = sa.read(tmp_path / "demo" / "study.nii.gz")
    assert study.n_phases == 4


def test_demo_compares_with_the_analytic_values_of_the_phantom(run, tmp_path, quick):
    content = json.loads(run("demo", "--seed", 2, "--out", tmp_path / "demo", "--json").stdout)
    truth = sa.make_phantom(2, group="NOR", phases=("ED",)).truth
    analytic = {row["index"]: row["analytic"] for row in content["measured"]}
    assert analytic["lv_edv"] == pytest.approx(truth.edv, abs=0.01)
    assert analytic["rv_ef"] == pytest.approx(truth.rv_ef, abs=0.01)
    assert analytic["lv_mass"] == pytest.approx(truth.lv_mass, abs=0.01)


def test_demo_of_an_unknown_group_is_refused(run, tmp_path):
    result = run("demo", "--group", "ABC", "--out", tmp_path / "demo")
    assert result.exit_code == 2
    assert "MINF" in result.stderr
    assert not (tmp_path / "demo").exists()


def test_networks_counts_every_registered_network(run):
    rows = json.loads(run("networks", "--json").stdout)
    assert [row["name"] for row in rows] == sorted(NETWORKS)
    for row in rows:
        with torch.device("meta"):
            network = build_network(row["name"])
        assert row["parameters"] == sum(parameter.numel() for parameter in network.parameters())
        assert row["size"] % network.multiple == 0
        assert 224 <= row["size"] < 224 + network.multiple
    assert run("networks").stdout.count("²") == len(NETWORKS)


def test_networks_of_a_recipe_refuse_slices_that_do_not_fit(run):
    refused = run("networks", "rows/unet", "--size", "100")
    assert refused.exit_code == 2
    assert "100" in refused.stderr
    assert "multiple of 8" in refused.stderr


def test_networks_of_a_recipe_add_up(run):
    *members, whole = json.loads(run("networks", "paper/2unet-uncertainty", "--json").stdout)
    assert len(members) == 2
    for column in ("parameters", "flops"):
        assert whole[column] == sum(member[column] for member in members)


def test_networks_of_a_convolution_cost_in_proportion_to_the_pixels(run):
    small, large = (json.loads(run("networks", "rows/unet", "--size", size, "--json").stdout)[-1] for size in (64, 128))
    assert large["flops"] == 4 * small["flops"]
    assert large["parameters"] == small["parameters"]


def test_model_tells_what_the_file_holds(run, model_file):
    facts = json.loads(run("model", model_file, "--json").stdout)
    ensemble, spec = read_model(model_file)
    assert facts["sha256"] == file_sha256(model_file)
    assert facts["parameters"] == sum(tensor.numel() for tensor in ensemble.state_dict().values())
    assert (facts["name"], facts["members"], facts["card"]) == (spec.name, spec.members, spec.card)


def test_model_without_a_file_is_the_released_one(run):
    result = run("model")
    assert result.exit_code == 0
    assert "tiny" in result.stdout


def test_split_writes_what_train_takes(run, acdc, tmp_path):
    line = ("split", f"acdc:{acdc}", "--fold", 1, "--folds", 2, "--out", tmp_path / "split.json")
    result = run(*line, "--json")
    assert result.exit_code == 0, result.stderr
    content = json.loads((tmp_path / "split.json").read_text())
    assert content == json.loads(result.stdout)
    assert sorted(content["train"] + content["held_out"]) == ["patient101", "patient102"]
    assert "1 patients to train on, 1 held out" in run(*line).stdout


def test_split_without_a_kind_is_refused(run, acdc, tmp_path):
    result = run("split", f"acdc:{acdc}", "--out", tmp_path / "split.json")
    assert result.exit_code == 2
    assert "--hold-out" in result.stderr


def test_pack_writes_a_data_set_that_opens(run, acdc, tmp_path):
    result = run("pack", f"acdc:{acdc}", "--out", tmp_path / "acdc.zip", "--json")
    assert json.loads(result.stdout)["frames"] == 4
    assert len(sa.open_dataset(f"packed:{tmp_path / 'acdc.zip'}")) == 4
    assert "packed:" in run("pack", f"acdc:{acdc}", "--out", tmp_path / "acdc.zip").stdout


@pytest.mark.parametrize("layout", ["acdc", "nnunet"])
def test_phantom_writes_a_folder_that_opens(run, tmp_path, layout):
    result = run("phantom", tmp_path / "phantoms", "--patients", 1, "--layout", layout, "--phases", 2)
    assert result.exit_code == 0, result.stderr
    assert len(sa.open_dataset(f"{layout}:{tmp_path / 'phantoms'}")) == 2


def test_phantom_in_an_unknown_layout_is_refused(run, tmp_path):
    assert run("phantom", tmp_path / "phantoms", "--layout", "other").exit_code == 2
