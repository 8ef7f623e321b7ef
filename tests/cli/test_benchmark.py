"""`shortaxis benchmark` and `shortaxis figures` as commands."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest

from shortaxis.datasets.dataset import Dataset, FrameRef
from shortaxis.datasets.packed import write_packed
from shortaxis.study import Frame

RECIPE = """
name = "{name}"
title = "Tiny"
[grid]
kind = "physical"
spacing_mm = 2.0
size = 32
[[members]]
network = "unet"
count = {count}
options = {{ widths = [4, 8], dropout = 0.1 }}
[pooling]
rule = "fixed"
outer_softmax = false
[optimizer]
name = "adamw"
learning_rate = 0.02
[schedule]
steps = 2
[batch]
frames = 2
slices = 12
"""


def frame(patient: str, phase: str, seed: int) -> Frame:
    labels = np.zeros((3, 32, 32), np.uint8)
    labels[:, 6:14, 4:28], labels[:, 15:28, 6:26], labels[:, 18:24, 10:20] = 1, 2, 3
    image = 60.0 * labels + np.random.default_rng(seed).normal(0, 8, labels.shape)
    return Frame(f"{patient}_{phase}", patient, phase, "NOR", image.astype(np.float32), labels, (8.0, 2.0, 2.0))


@pytest.fixture
def bench(run, tmp_path):
    """Two tiny rows and a data set; runs `benchmark run` with more arguments."""
    refs = []
    for patient in range(4):
        for number, phase in enumerate(("ED", "ES")):
            made = frame(f"p{patient}", phase, 2 * patient + number)
            refs.append(FrameRef(made.name, made.patient, phase, "NOR", lambda made=made: made))
    write_packed(Dataset("tiny", tuple(refs)), tmp_path / "tiny.zip")
    for name, count in (("unet", 1), ("2unet-fixed", 2)):
        (tmp_path / f"{name}.toml").write_text(RECIPE.format(name=name, count=count))
    rows = f"{tmp_path / 'unet.toml'},{tmp_path / '2unet-fixed.toml'}"
    fixed = ("--rows", rows, "--data", f"packed:{tmp_path / 'tiny.zip'}", "--out", tmp_path / "out", "--hold-out", "1", "--device", "cpu")
    return lambda *more: run("benchmark", "run", *fixed, *more)


def test_rows_that_cannot_be_trained_are_refused_before_the_first_job(bench, tmp_path):
    (tmp_path / "odd.toml").write_text('extends = "2unet-fixed.toml"\n[pooling]\nrule = "fixed"\nweights = [0.2, 0.3, 0.5]\n')
    refused = bench("--rows", f"{tmp_path / 'unet.toml'},{tmp_path / 'odd.toml'}")
    assert refused.exit_code == 2
    assert "odd.toml: fixed pooling has 3 weights" in refused.stderr
    assert not (tmp_path / "out").exists()


def test_rows_and_seeds_become_a_table_and_figures(run, bench, tmp_path):
    made = bench("--seeds", "0,1", "--sweep", "--json")
    assert made.exit_code == 0, made.output
    assert {(job["job"], job["state"]) for job in json.loads(made.stdout)} == {
        (f"{row}/seed-{seed}", "done") for row in ("unet", "2unet-fixed") for seed in (0, 1)
    }
    out = tmp_path / "out"
    text = run("benchmark", "table", out)
    assert text.exit_code == 0
    assert "Protocol clinical, held-out patients" in text.stdout
    assert run("benchmark", "table", out, "--format", "markdown", "--protocol", "paper").stdout.startswith("**Protocol paper")
    assert r"\end{tabular}" in run("benchmark", "table", out, "--format", "latex").stdout
    rows = list(csv.DictReader(io.StringIO(run("benchmark", "table", out, "--format", "csv", "--protocol", "paper,reference").stdout)))
    assert {row["protocol"] for row in rows} == {"paper", "reference"}
    assert json.loads(run("benchmark", "table", out, "--json").stdout)["baseline"] == "unet"
    drawn = run("figures", 4, "--results", out, "--out", tmp_path / "4.svg", "--json")
    assert json.loads(drawn.stdout) == {"figure": 4, "path": str(tmp_path / "4.svg")}
    assert run("figures", 2, "--results", out, "--out", tmp_path / "2.pdf").exit_code == 0
    members = ("--model", out / "2unet-fixed" / "seed-0" / "run" / "model.safetensors", "--data", f"packed:{tmp_path / 'tiny.zip'}")
    for everybody, where in (((), "2-unseen.svg"), (("--all",), "2-all.svg")):
        assert run("figures", 2, *members, *everybody, "--out", tmp_path / where, "--device", "cpu").exit_code == 0
        assert ("unseen patients" in (tmp_path / where).read_text(encoding="utf-8")) == (not everybody)
    case = f"packed:{tmp_path / 'tiny.zip'}/p0_ED"
    assert "Figure 3 lies in" in run("figures", 3, "--results", out, "--case", case, "--out", tmp_path / "3.png", "--device", "cpu").stdout
    assert all((tmp_path / name).stat().st_size > 1000 for name in ("2.pdf", "3.png", "4.svg"))


def test_a_job_that_fails_leaves_with_one_and_says_why(bench):
    assert bench().exit_code == 0
    again = bench("--budget", "steps=5")
    assert again.exit_code == 1
    assert "unet/seed-0 failed" in again.stderr
    assert "(budget: 'recipe' there, 'steps=5' here)" in again.stderr
    assert "failed" in again.stdout


def test_what_was_finished_is_kept_and_said(bench):
    bench()
    assert "unet/seed-0: kept" in bench().stderr


def test_test_patients_with_known_images_are_told(bench, tmp_path):
    known = frame("twin", "ED", 0)
    write_packed(Dataset("test", (FrameRef(known.name, "twin", "ED", None, lambda: known),)), tmp_path / "test.zip")
    result = bench("--test", f"packed:{tmp_path / 'test.zip'}")
    assert "twin has the images of p0" in result.stderr


def test_what_the_data_lack_and_why_a_job_stays_as_it_is_are_told(run, bench, tmp_path):
    bare = Dataset(
        "bare",
        tuple(
            FrameRef(
                f"q{n}",
                f"q{n}",
                None,
                None,
                lambda n=n: replace(frame("q", "ED", n), name=f"q{n}", patient=f"q{n}", phase=None, group=None),
            )
            for n in range(40, 45)
        ),
    )
    write_packed(bare, tmp_path / "bare.zip")
    options = ("--test", f"packed:{tmp_path / 'bare.zip'}", "--minutes-per-job", "0")
    first = bench(*options)
    assert "does not say which frames are ED and ES" in " ".join(first.stderr.split())
    again = " ".join(bench(*options).stderr.split())
    assert "final at step 1 of 2" in again


def test_members_of_a_trained_job_are_pooled_anew(bench, run, tmp_path):
    bench("--hold-out", "1")
    model = tmp_path / "out" / "2unet-fixed" / "seed-0" / "run" / "model.safetensors"
    options = ("--model", str(model), "--data", f"packed:{tmp_path / 'tiny.zip'}", "--out", str(tmp_path / "pooled"))
    done = run("benchmark", "pooling", *options, "--rows", "rows/unet,rows/2unet-uncertainty", "--json")
    assert done.exit_code == 0, done.stderr
    paths = json.loads(done.stdout)
    assert [path.removeprefix(str(tmp_path)) for path in paths] == [
        "/pooled/rows/unet/members-1/result.json",
        "/pooled/rows/unet/members-2/result.json",
        "/pooled/rows/2unet-uncertainty/members-1-2/result.json",
    ]
    held_out = json.loads((tmp_path / "pooled/rows/unet/members-1/result.json").read_text())["held_out"]["patients"]
    everybody = run("benchmark", "pooling", *options[:-1], str(tmp_path / "everybody"), "--rows", "rows/unet", "--all")
    assert "2 results; shortaxis benchmark table" in " ".join(everybody.stderr.split())
    result = json.loads((tmp_path / "everybody/rows/unet/members-1/result.json").read_text())
    assert len(held_out) < len(result["held_out"]["patients"]) == 4
    assert "3 of the 4 patients were trained on" in result["notice"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("benchmark", "run", "--data", "phantom:2", "--out", "o", "--seeds", "a"), "takes whole numbers with commas"),
        (("benchmark", "run", "--data", "phantom:2", "--out", "o"), "nothing would be scored"),
        (("benchmark", "run", "--data", "phantom:2", "--out", "o", "--fold", "0", "--scale", "tiny"), "no scale is called 'tiny'"),
        (("benchmark", "table", "absent"), "no such folder"),
        (("benchmark", "table", "absent", "--format", "word"), "is one of text, markdown, latex, csv"),
        (("benchmark", "table", "absent", "--on", "all"), "is one of held-out, test"),
        (("figures", "5", "--out", "a.svg"), "less than or equal to 4"),
        (("figures", "4", "--out", "a.svg"), "Missing --results"),
        (("figures", "4", "--out", "a.bmp"), "figures are written as"),
        (("figures", "4", "--out", "a.svg", "--on", "all"), "is held-out or test"),
    ],
)
def test_wrong_arguments_leave_with_two_and_a_sentence(run, arguments, told):
    result = run(*arguments)
    assert result.exit_code == 2
    assert told in " ".join(result.stderr.replace("│", " ").split())


@pytest.mark.parametrize("command", ["run", "table"])
def test_help_shows_an_example(run, command):
    shown = " ".join(run("benchmark", command, "--help").stdout.split())
    assert "Example" in shown
    assert f"shortaxis benchmark {command}" in shown
