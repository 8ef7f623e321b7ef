"""The members of one model under other rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
import torch

from shortaxis.benchmark.figures.cost import family_of
from shortaxis.benchmark.repooling import POOLINGS, repooled, score_repooled, unseen_by
from shortaxis.benchmark.result import read_results
from shortaxis.benchmark.rows import Row, rows_named
from shortaxis.benchmark.table import build_table
from shortaxis.ensemble.model_file import ModelSpec
from shortaxis.errors import InputError
from shortaxis.inference.predictor import Model
from shortaxis.training.recipe import Members, Search, load_recipe

if TYPE_CHECKING:
    from pathlib import Path

UNET = {"network": "unet", "options": {"widths": [4, 8], "dropout": 0.1}}


def model_of(members: list[dict], **card: object) -> Model:
    torch.manual_seed(0)
    spec = ModelSpec("pair", members, {"rule": "uncertainty"}, {"kind": "physical", "spacing_mm": 2.0, "size": 32}, dict(card))
    return Model(spec.build(), spec)


@pytest.fixture
def pair() -> Model:
    return model_of([UNET, UNET], held_out_patients=["p1", "p3", "elsewhere"], steps=7, train_patients=["p0"], training_seconds=60.0)


def row(name: str) -> Row:
    return Row(name, load_recipe(name))


def test_a_row_of_fewer_members_is_there_for_every_choice_of_them(pair: Model) -> None:
    first, second = repooled(pair, [row("rows/unet")])
    assert (first.place, second.place) == ("rows/unet/members-1", "rows/unet/members-2")
    assert [len(entry.model.ensemble.members) for entry in (first, second)] == [1, 1]
    assert first.model.ensemble.members[0] is pair.ensemble.members[0]
    assert second.model.ensemble.members[0] is pair.ensemble.members[1]
    three = model_of([UNET, UNET, UNET])
    assert [entry.members for entry in repooled(three, [row("rows/2unet-fixed")])] == [(0, 1), (0, 2), (1, 2)]


def test_only_pooling_and_views_are_the_rows(pair: Model) -> None:
    fixed, turned = (repooled(pair, [row(name)])[0].model for name in ("beyond/fixed-no-outer-softmax", "rows/2unet-augmenting"))
    slices = np.random.default_rng(0).normal(size=(4, 32, 32)).astype(np.float32)
    before, after = pair.run_networks(slices), fixed.run_networks(slices)
    assert torch.equal(before.members, after.members)
    assert torch.allclose(after.probabilities, after.members.mean(dim=0), atol=1e-6)
    assert not torch.allclose(before.probabilities, after.probabilities)
    assert (len(fixed.augmenting.transforms), len(turned.augmenting.transforms)) == (0, 1)
    assert fixed.grid == turned.grid == pair.grid


def test_rows_by_default_all_fit_two_unets(pair: Model) -> None:
    entries = repooled(pair, rows_named(POOLINGS))
    assert {entry.row.name for entry in entries} == set(POOLINGS)
    assert len({entry.place for entry in entries}) == len(entries)


def test_a_network_that_is_more_than_the_rows_stands_in_where_there_is_no_other() -> None:
    deep = UNET | {"network": "depth-unet"}
    entries = repooled(model_of([deep, deep]), rows_named(POOLINGS))
    assert {entry.row.name for entry in entries} == set(POOLINGS)
    mixed = model_of([deep, UNET])
    assert [entry.members for entry in repooled(mixed, [row("rows/unet")])] == [(1,)]
    with pytest.raises(InputError, match=r"unet and unet.* 'pair' of depth-unet"):
        repooled(mixed, [row("rows/2unet-fixed")])
    with pytest.raises(InputError, match="'pair' of unet and unet does not have"):
        repooled(model_of([UNET, UNET]), [row("beyond/depth-unet")])


def test_no_member_stands_in_for_two() -> None:
    deep = UNET | {"network": "depth-unet"}
    both = Row("both", msgspec.structs.replace(load_recipe("rows/2unet-fixed"), members=(Members("unet"), Members("depth-unet"))))
    assert {entry.members for entry in repooled(model_of([deep, deep]), [both])} == {(0, 1), (1, 0)}


def test_members_that_the_model_has_not_are_refused(pair: Model) -> None:
    with pytest.raises(InputError, match=r"rows/d3p pools deeplabv3plus.*'pair'"):
        repooled(pair, [row("rows/d3p")])
    with pytest.raises(InputError, match=r"rows/3unet-uncertainty .*unet and unet"):
        repooled(pair, [row("rows/3unet-uncertainty")])


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("beyond/learned-temperature", "the rule 'learned-temperature'"),
        ("rows/1unet-1d3p-meta", "the policy 'meta'"),
        ("rows/2unet-bagging", "the policy 'bagging'"),
    ],
)
def test_a_row_that_lives_by_its_training_is_refused(pair: Model, name: str, what: str) -> None:
    with pytest.raises(InputError, match=f"{name} .*{what}.*training"):
        repooled(pair, [row(name)])


def test_weights_that_are_searched_are_refused(pair: Model) -> None:
    searched = msgspec.structs.replace(load_recipe("rows/2unet-fixed"), search=Search())
    with pytest.raises(InputError, match="lives by its search of weights"):
        repooled(pair, [Row("mine", searched)])


def test_members_come_in_the_order_of_the_row() -> None:
    deeplab = {"network": "deeplabv3plus", "options": {"channels": 8}}
    turned = model_of([deeplab, UNET])
    (entry,) = repooled(turned, [row("rows/1unet-1d3p-fixed")])
    assert entry.members == (1, 0)
    assert [member["network"] for member in entry.model.spec.members] == ["unet", "deeplabv3plus"]
    assert entry.model.ensemble.members[1] is turned.ensemble.members[0]


def test_those_are_scored_whom_the_members_have_not_seen(pair: Model, discs) -> None:
    assert unseen_by(pair, discs({"p0": 0, "p1": 1, "p3": 3})).patients == ("p1", "p3")
    with pytest.raises(InputError, match=r"'pair' .*every patient .*--all"):
        unseen_by(pair, discs({"p0": 0}))
    with pytest.raises(InputError, match="'pair' does not say whom"):
        unseen_by(model_of([UNET]), discs({"p0": 0}))


def test_a_folder_with_results_is_not_added_to(pair: Model, discs, tmp_path: Path) -> None:
    entries = repooled(pair, [row("rows/2unet-fixed")])
    (path,) = score_repooled(entries, discs({"p1": 1}), tmp_path, "x.safetensors")
    before = path.read_bytes()
    with pytest.raises(InputError, match="holds results already"):
        score_repooled(entries, discs({"p3": 3}), tmp_path, "x.safetensors")
    assert path.read_bytes() == before


def test_notices_are_kept_and_what_all_share_is_said_once(pair: Model, discs, tmp_path: Path) -> None:
    rows = [row("rows/2unet-augmenting-as-published"), row("rows/2unet-uncertainty")]
    score_repooled(repooled(pair, rows), discs({"p0": 0, "p1": 1}), tmp_path, "x.safetensors")
    results = read_results(tmp_path)
    assert {tuple(result.held_out_patients) for result in results} == {("p1",)}
    notes = build_table(results).notes
    assert any(note.startswith("all rows: members of x.safetensors") and "1 of the 2 patients" in note for note in notes)
    assert any(note.startswith("rows/2unet-augmenting-as-published: ") for note in notes)
    families = {result.row.rpartition("/")[2]: family_of(result) for result in results}
    assert families == {"2unet-augmenting-as-published": "augmenting", "2unet-uncertainty": "uncertainty"}


def test_results_are_those_of_a_benchmark_and_say_what_they_are(pair: Model, discs, tmp_path: Path) -> None:
    told: list[tuple[float, int, str]] = []
    rows = [row("rows/unet"), row("rows/2unet-uncertainty")]
    paths = score_repooled(repooled(pair, rows), discs({"p1": 1, "p3": 3}), tmp_path, "x.safetensors", lambda *at: told.append(at))
    results = read_results(tmp_path)
    assert len(paths) == len(results) == 3
    assert sorted((result.row, result.seed) for result in results) == [("rows/2unet-uncertainty", 0), ("rows/unet", 0), ("rows/unet", 1)]
    assert all("members of x.safetensors" in result.notice for result in results)
    assert all(result.held_out is not None and result.held_out.frames == 4 for result in results)
    assert {(result.steps, result.updates // result.members, result.train_patients[0]) for result in results} == {(7, 7, "p0")}
    assert told[0][:2] == (0.25, 3)
    assert told[-1] == (3.0, 3, "rows/2unet-uncertainty/members-1-2")
    built = build_table(results)
    assert any(note.startswith("all rows: members of x.safetensors") for note in built.notes)
    assert not any("is not matched with" in note for note in built.notes)
