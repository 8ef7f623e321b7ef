from __future__ import annotations

import pytest

from shortaxis.errors import InputError
from shortaxis.training.recipe import load_recipe, recipe_from_dict, recipe_names, recipe_to_dict


def test_every_recipe_of_the_package_loads_and_survives_plain_types():
    names = recipe_names()
    assert {"release", "release-cpu"} <= set(names)
    for name in names:
        recipe = load_recipe(name)
        assert recipe_from_dict(recipe_to_dict(recipe)) == recipe


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(InputError, match=r"no recipe is called 'nonsense'.*release"):
        load_recipe("nonsense")


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
        ("optimizer", "name", "sgd"),
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
