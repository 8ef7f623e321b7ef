"""The way of the command line: a sitting by names, for members that are trained apart."""

from __future__ import annotations

import json

from shortaxis.datasets.splits import Split
from shortaxis.training import sitting
from shortaxis.training.sitting import train_sitting


def test_a_sitting_that_goes_on_with_members_apart_keeps_the_split_of_the_run(apart, discs, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sitting, "open_dataset", lambda _spec: discs)
    monkeypatch.setattr(sitting, "load_recipe", lambda _name: apart("stacking"))
    first = train_sitting("mine", "discs", tmp_path, per_group=1, device="cpu", steps=5)
    assert not first.complete
    split = Split.from_json(tmp_path / "split.json")
    last = train_sitting("mine", "discs", tmp_path, device="cpu", resume=True)
    assert last.complete
    facts = json.loads((tmp_path / "run.json").read_text())
    assert facts["held_out_patients"] == list(split.held_out)
    assert {patient for stage in facts["stages"] for patient in stage["patients"]} == set(split.train)
    assert last.validation is not None


def test_the_seed_asked_for_moves_every_member_and_every_draw(apart, discs, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sitting, "open_dataset", lambda _spec: discs)
    monkeypatch.setattr(sitting, "load_recipe", lambda _name: apart("bagging"))
    for seed in (1, 2):
        train_sitting("mine", "discs", tmp_path / str(seed), seed=seed, device="cpu", steps=1)
    one, two = (json.loads((tmp_path / str(seed) / "run.json").read_text()) for seed in (1, 2))
    assert (one["recipe"]["seed"], two["recipe"]["seed"]) == (1, 2)
    assert [stage["patients"] for stage in one["stages"]] != [stage["patients"] for stage in two["stages"]]
