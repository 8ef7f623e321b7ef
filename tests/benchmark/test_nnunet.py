"""The adapter for nnU-Net, with stand-ins for its commands: what is asked of them, what is read back, and how it goes on."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace

import pytest

from shortaxis.benchmark.nnunet import COMMANDS, RESULT, NnUNetOptions, NnUNetRow
from shortaxis.datasets import open_dataset
from shortaxis.datasets.dataset import Dataset
from shortaxis.errors import InputError
from shortaxis.labels import Structure

FAKE = """#!{python}
import json, os, shutil, sys
from pathlib import Path
name, given = Path(sys.argv[0]).name, sys.argv[1:]
raw, preprocessed, results = (Path(os.environ["nnUNet_" + kind]) for kind in ("raw", "preprocessed", "results"))
with Path(os.environ["CALLS"]).open("a") as log:
    log.write(json.dumps([name, *given]) + "\\n")
if os.environ.get("FAIL") == name:
    print("out of memory")
    sys.exit(3)
data = "Dataset501_shortaxis"
if name.endswith("preprocess"):
    assert (raw / data / "dataset.json").is_file()
elif name.endswith("train"):
    trainer = given[given.index("-tr") + 1]
    folder = results / data / f"{{trainer}}__nnUNetPlans__{{given[1]}}" / f"fold_{{given[2]}}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "checkpoint_final.pth").touch()
else:
    inputs, out = Path(given[given.index("-i") + 1]), Path(given[given.index("-o") + 1])
    out.mkdir(parents=True, exist_ok=True)
    for path in sorted(Path(os.environ["TRUTH"]).glob("*.nii.gz")):
        shutil.copy(path, out / path.name)
"""


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """Commands that predict the truth; the file of their calls."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in COMMANDS:
        (folder / name).write_text(FAKE.format(python=sys.executable))
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls.jsonl"))
    monkeypatch.setenv("TRUTH", str(tmp_path / "truth" / "labelsTr"))
    return tmp_path / "calls.jsonl"


@pytest.fixture(scope="module")
def sets():
    data = open_dataset("phantom:3")
    return data.select(data.patients[:2]), data.select(data.patients[2:])


@pytest.fixture
def row(tmp_path, sets):
    from shortaxis.datasets.nnunet import write_nnunet  # noqa: PLC0415

    write_nnunet(tmp_path / "truth", sets[1])
    return lambda **options: NnUNetRow(*sets, tmp_path / "out", NnUNetOptions(**({"folds": 2, "device": "cpu"} | options)))


def calls(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_masks_are_read_back_and_scored_on_the_frames_own_grid(commands, row, sets, tmp_path):
    scored = row().run()
    assert scored.patients == list(sets[1].patients)
    assert scored.protocols["reference"].overall["dsc_average"]["value"] == pytest.approx(100, abs=1e-6)
    told = json.loads((tmp_path / "out" / RESULT).read_text())
    assert (told["row"], told["pretrained"], told["train_patients"]) == ("nnunet", "none", list(sets[0].patients))


def test_each_configuration_is_trained_on_each_fold_and_both_are_averaged(commands, row, tmp_path):
    row(trainer="nnUNetTrainer_5epochs").run()
    said = calls(commands)
    assert [call[0] for call in said] == [COMMANDS[0], *[COMMANDS[1]] * 4, *[COMMANDS[2]] * 2, COMMANDS[3]]
    assert [call[2:4] for call in said[1:5]] == [["2d", "0"], ["2d", "1"], ["3d_fullres", "0"], ["3d_fullres", "1"]]
    assert all("nnUNetTrainer_5epochs" in call for call in said[1:7])
    assert all("--save_probabilities" in call for call in said[5:7])


def test_the_folds_part_patients_and_not_frames(commands, row, sets, tmp_path):
    row(configurations=("2d",)).run()
    splits = json.loads((tmp_path / "out" / "preprocessed" / "Dataset501_shortaxis" / "splits_final.json").read_text())
    owner = {ref.name: ref.patient for ref in sets[0].refs}
    assert sorted(name for split in splits for name in split["val"]) == sorted(owner)
    for split in splits:
        assert not {owner[name] for name in split["train"]} & {owner[name] for name in split["val"]}


def test_the_same_call_goes_on_where_a_command_failed(commands, row, tmp_path, monkeypatch):
    monkeypatch.setenv("FAIL", "nnUNetv2_predict")
    with pytest.raises(InputError, match=r"predict-2d.*exit code 3.*predict-2d\.txt"):
        row(configurations=("2d",)).run()
    assert "out of memory" in (tmp_path / "out" / "logs" / "predict-2d.txt").read_text()
    assert not (tmp_path / "out" / RESULT).exists()
    monkeypatch.delenv("FAIL")
    row(configurations=("2d",)).run()
    assert [call[0] for call in calls(commands)] == [COMMANDS[0], *[COMMANDS[1]] * 2, COMMANDS[2], COMMANDS[2]]


def test_a_training_that_was_cut_off_continues(commands, row, tmp_path):
    folder = tmp_path / "out" / "results" / "Dataset501_shortaxis" / "nnUNetTrainer__nnUNetPlans__2d" / "fold_1"
    folder.mkdir(parents=True)
    (folder / "checkpoint_latest.pth").touch()
    row(configurations=("2d",)).run()
    trainings = [call for call in calls(commands) if call[0] == COMMANDS[1]]
    assert ["--c" in call for call in trainings] == [False, True]


def test_a_missing_prediction_is_named(commands, row, sets, tmp_path, monkeypatch):
    monkeypatch.setenv("TRUTH", str(tmp_path / "nothing"))
    with pytest.raises(InputError, match=sets[1].refs[0].name):
        row(configurations=("2d",)).run()


def test_without_nnunet_the_extra_is_named(sets, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"shortaxis\[nnunet\]"):
        NnUNetRow(*sets, tmp_path / "out")


def test_a_frame_that_is_annotated_in_part_is_refused(commands, sets, tmp_path):
    part = Dataset("part", tuple(replace(ref, annotated=frozenset({Structure.BACKGROUND, Structure.LV})) for ref in sets[0].refs))
    with pytest.raises(InputError, match=part.refs[0].name):
        NnUNetRow(part, sets[1], tmp_path / "out")


def test_a_patient_on_both_sides_is_refused(commands, sets, tmp_path):
    with pytest.raises(InputError, match=sets[0].patients[0]):
        NnUNetRow(sets[0], sets[0], tmp_path / "out")


@pytest.mark.parametrize(
    "options", [{"trainer": "a b"}, {"configurations": ()}, {"configurations": ("2d", "2d")}, {"folds": 1}, {"device": "tpu"}]
)
def test_options_that_nnunet_would_not_take_are_refused(options):
    with pytest.raises(InputError, match="nnU-Net"):
        NnUNetOptions(**options)
