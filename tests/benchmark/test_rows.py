"""Rows by name, and budgets."""

from __future__ import annotations

import pytest

from shortaxis.benchmark.rows import Budget, rows_named, with_steps
from shortaxis.errors import InputError
from shortaxis.training.recipe import load_recipe, recipe_names


def test_the_ablation_holds_every_recipe_of_its_folder_but_the_one_that_others_extend():
    names = [row.name for row in rows_named(["ablation"])]
    assert set(names) == {name for name in recipe_names() if name.startswith("rows/")} - {"rows/base"}
    assert names[:2] == ["rows/unet", "rows/d3p"]


def test_all_is_the_ablation_and_what_lies_beyond():
    together = {row.name for row in rows_named(["all"])}
    assert together == {row.name for row in rows_named(["ablation", "beyond"])}


def test_a_row_named_twice_is_one_row():
    assert [row.name for row in rows_named(["rows/unet", " rows/unet ", ""])] == ["rows/unet"]


def test_a_recipe_file_is_a_row_of_its_stem(row_file):
    (row,) = rows_named([row_file("mine")])
    assert row.name == "mine"
    assert row.policy == "joint"


def test_two_files_of_one_stem_are_refused(row_file, tmp_path):
    first = row_file("mine")
    (tmp_path / "other").mkdir()
    second = tmp_path / "other" / "mine.toml"
    second.write_text((tmp_path / "mine.toml").read_text())
    with pytest.raises(InputError, match="would both be the row 'mine'; rename"):
        rows_named([first, str(second)])


@pytest.mark.parametrize("asked", [[], [" "]])
def test_no_row_is_refused(asked):
    with pytest.raises(InputError, match="no row is named; give"):
        rows_named(asked)


def test_an_empty_group_is_refused(monkeypatch):
    monkeypatch.setattr("shortaxis.benchmark.rows.recipe_names", lambda: ["rows/base"])
    with pytest.raises(InputError, match="the group 'ablation' has no recipe"):
        rows_named(["ablation"])


def test_policies_are_told():
    policies = {row.name.rpartition("/")[2]: row.policy for row in rows_named(["ablation"])}
    assert policies["2unet-bagging"] == "bagging"
    assert policies["2unet-augmenting"] == "augmenting"
    assert policies["2unet-fixed"] == "joint"


@pytest.mark.parametrize(
    ("text", "told"), [(None, "recipe"), ("recipe", "recipe"), ("steps=200", "steps=200"), ("minutes=2.5", "minutes=2.5")]
)
def test_budgets_are_read_and_told(text, told):
    assert str(Budget.parse(text)) == told


@pytest.mark.parametrize("text", ["200", "steps=0", "steps=1.5", "minutes=-1", "minutes=inf", "hours=2", "steps=many"])
def test_other_budgets_are_refused(text):
    with pytest.raises(InputError, match="is not understood; write steps=2000"):
        Budget.parse(text)


@pytest.mark.parametrize("name", ["release-cpu", "rows/unet"])
def test_a_schedule_of_other_length_keeps_the_share_of_its_warm_up(name):
    old = load_recipe(name).schedule
    share = old.warmup_epochs / old.epochs if old.epochs else old.warmup_steps / old.steps
    new = with_steps(load_recipe(name), 1000).schedule
    assert (new.epochs, new.steps, new.warmup_epochs) == (None, 1000, 0.0)
    assert new.warmup_steps == pytest.approx(1000 * share, abs=0.5)
    assert new.decay == old.decay
