from __future__ import annotations

import pytest

from shortaxis.benchmark.speed import training_speed
from shortaxis.errors import InputError
from shortaxis.training import load_recipe
from shortaxis.training.recipe import recipe_from_dict, recipe_to_dict


def small():
    content = recipe_to_dict(load_recipe("release-cpu"))
    content["grid"]["size"] = 32
    content["augmentation"]["crop"] = 16
    content["members"] = [{"network": "unet", "count": 2, "options": {"widths": [2, 4]}}]
    return recipe_from_dict(content)


def test_the_figures_belong_together():
    speed = training_speed(small(), device="cpu", steps=3, warm_up=1)
    assert speed.steps == 3
    assert speed.slices_per_second == pytest.approx(speed.slices / speed.seconds)
    assert speed.slices == round((1 - speed.padding) * 3 * 30)
    assert 0 <= speed.padding < 0.3
    assert speed.tflops == pytest.approx(speed.gflop_per_slice * speed.slices_per_second / 1000)
    assert speed.peak_memory_gib is None
    assert speed.to_dict()["recipe"] == "release-cpu"


def test_arithmetic_is_counted_by_hand():
    # One member, one level, two 3x3 convolutions 1->2 and 2->2 and a 1x1 head 2->4 on 16x16 pixels, two operations each, three passes.
    content = recipe_to_dict(small()) | {"members": [{"network": "unet", "count": 1, "options": {"widths": [2]}}]}
    speed = training_speed(recipe_from_dict(content), device="cpu", steps=1, warm_up=1)
    assert speed.gflop_per_slice * 1e9 == pytest.approx(3 * 2 * 256 * (9 * 2 + 9 * 4 + 8))


def test_no_steps_are_refused():
    with pytest.raises(InputError, match="at least 1"):
        training_speed(small(), device="cpu", steps=0)
