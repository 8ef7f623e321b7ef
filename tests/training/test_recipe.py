from __future__ import annotations

import pytest

from shortaxis.errors import InputError
from shortaxis.training.recipe import load_recipe, merged, recipe_from_dict, recipe_names, recipe_to_dict


def test_every_recipe_of_the_package_loads_and_survives_plain_types():
    names = recipe_names()
    assert {"release", "release-cpu"} <= set(names)
    for name in names:
        recipe = load_recipe(name)
        assert recipe_from_dict(recipe_to_dict(recipe)) == recipe


def test_an_unknown_name_is_told_with_its_nearest_and_where_all_are_listed():
    with pytest.raises(InputError, match=r"'relaese'; the nearest are release.*--list") as caught:
        load_recipe("relaese")
    assert len(str(caught.value)) < 200
    with pytest.raises(InputError, match=r"'xyzzy'; .*--list.*\.toml"):
        load_recipe("xyzzy")


def test_a_name_that_lacks_the_ending_of_a_file_is_told_so(tmp_path, monkeypatch):
    write(tmp_path, base='extends = "rows/base"\n', child='extends = "base"\n')
    with pytest.raises(InputError) as caught:
        load_recipe(tmp_path / "child.toml")
    told = "its `extends`: no recipe is called 'base'; for the file of that name write 'base.toml'"
    assert str(caught.value) == f"{tmp_path / 'child.toml'}: {told}"
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"'base'; .*write 'base\.toml'$"):
        load_recipe("base")


def test_what_a_recipe_extends_is_told_with_the_file_that_says_so(tmp_path):
    write(tmp_path, top='extends = "middle.toml"\n', middle='extends = "missing.toml"\n', other='extends = "rows/unett"\n')
    with pytest.raises(InputError) as caught:
        load_recipe(tmp_path / "top.toml")
    assert str(caught.value).startswith(
        f"{tmp_path / 'middle.toml'}: its `extends`: {tmp_path / 'missing.toml'}: the recipe cannot be read"
    )
    with pytest.raises(InputError, match=r"other\.toml: .*'rows/unett'.*rows/unet,"):
        load_recipe(tmp_path / "other.toml")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("name = ", "not a valid recipe"),
        ("name = 'a'", "missing required field"),
        ("name = 3", "Expected `str`"),
        (b"\xff\xfe", "not a valid recipe"),
    ],
)
def test_a_broken_file_is_named_with_its_reason(tmp_path, text, reason):
    path = tmp_path / "mine.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=reason) as caught:
        load_recipe(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"mine\.toml: the recipe cannot be read"):
        load_recipe(tmp_path / "mine.toml")


@pytest.mark.parametrize(
    ("table", "key", "value"),
    [
        ("optimizer", "name", "lion"),
        ("optimizer", "learning_rate", 0.0),
        ("schedule", "decay", "cosin"),
        ("schedule", "epochs", 0),
        ("batch", "frames", 0),
        ("averaging", "decay", 1.0),
        ("augmentation", "probability", 1.5),
        (None, "precision", "fp16"),
        (None, "seed", -1),
        (None, "members", []),
    ],
)
def test_a_value_out_of_its_bounds_is_an_error_that_names_the_key(recipe, table, key, value):
    content = recipe_to_dict(recipe())
    (content[table] if table else content)[key] = value
    with pytest.raises(InputError, match=rf"not a valid recipe: .*{key}"):
        recipe_from_dict(content)


def test_a_misspelt_key_is_an_error(recipe):
    content = recipe_to_dict(recipe())
    content["optimizer"]["learningrate"] = 1.0
    with pytest.raises(InputError, match=r"learningrate.*optimizer"):
        recipe_from_dict(content)


def write(folder, **files: str) -> None:
    for name, text in files.items():
        (folder / f"{name}.toml").write_text(text)


def test_a_recipe_that_extends_another_says_only_what_differs(tmp_path):
    write(
        tmp_path,
        mine='extends = "rows/base"\nname = "mine"\n[optimizer]\nlearning_rate = 3e-4\n[pooling]\nrule = "fixed"\nweights = [1.0]\n',
    )
    mine, base = load_recipe(tmp_path / "mine.toml"), load_recipe("rows/base")
    assert (mine.name, mine.title) == ("mine", base.title)
    assert mine.optimizer.learning_rate == 3e-4
    assert (mine.optimizer.name, mine.optimizer.weight_decay) == (base.optimizer.name, base.optimizer.weight_decay)
    assert mine.pooling == {"rule": "fixed", "weights": [1.0]}
    assert (mine.members, mine.schedule, mine.augmentation) == (base.members, base.schedule, base.augmentation)


def test_what_names_a_kind_is_replaced_whole():
    base = {
        "grid": {"kind": "physical", "size": 224},
        "batch": {"frames": 8, "slices": 80},
        "members": [1, 2],
        "deep": {"a": {"b": 1, "c": 2}},
    }
    change = {"grid": {"kind": "stretched"}, "batch": {"slices": 40}, "members": [3], "deep": {"a": {"b": 9}}, "batch2": {"x": 1}}
    assert merged(base, change) == {
        "grid": {"kind": "stretched"},
        "batch": {"frames": 8, "slices": 40},
        "members": [3],
        "deep": {"a": {"b": 9, "c": 2}},
        "batch2": {"x": 1},
    }
    assert base["batch"] == {"frames": 8, "slices": 80}


def test_a_recipe_may_extend_a_file_beside_it_and_so_on(tmp_path):
    (tmp_path / "sub").mkdir()
    write(tmp_path, one='extends = "rows/base"\n[schedule]\nsteps = 7\n')
    write(tmp_path / "sub", two='extends = "../one.toml"\nseed = 5\n')
    two = load_recipe(tmp_path / "sub" / "two.toml")
    assert (two.schedule.steps, two.seed) == (7, 5)


def test_recipes_that_extend_each_other_are_refused(tmp_path):
    write(tmp_path, one='extends = "two.toml"\n', two='extends = "one.toml"\n', own='extends = "own.toml"\n')
    for name in ("one", "two", "own"):
        with pytest.raises(InputError, match=r"\.toml: extends itself"):
            load_recipe(tmp_path / f"{name}.toml")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("extends = 3", "`extends` must be the name of a recipe or the path of a .toml file, not 3"),
        ("extends = 'nonsense'", "no recipe is called 'nonsense'"),
        ("extends = 'missing.toml'", r"missing\.toml: the recipe cannot be read"),
        ("extends = 'rows/base'\n[schedule]\nepochs = 3", "either as `epochs` or as `steps`"),
    ],
)
def test_an_unfit_base_is_an_error(tmp_path, text, reason):
    write(tmp_path, mine=text)
    with pytest.raises(InputError, match=reason):
        load_recipe(tmp_path / "mine.toml")


@pytest.mark.parametrize("schedule", [{"epochs": None, "steps": None}, {"epochs": 2, "steps": 2}])
def test_the_length_of_a_schedule_is_given_once(recipe, schedule):
    with pytest.raises(InputError, match="either as `epochs` or as `steps`"):
        recipe(schedule=schedule)


@pytest.mark.parametrize(("key", "value"), [("patients", "test"), ("share", 0.6), ("share", 0.0), ("steps", 1)])
def test_an_unfit_search_is_an_error_that_names_the_key(recipe, key, value):
    with pytest.raises(InputError, match=rf"not a valid recipe: .*{key}"):
        recipe(search={key: value})
