from __future__ import annotations

from types import SimpleNamespace

import pytest

from shortaxis.benchmark import speed as speed_module
from shortaxis.benchmark.speed import training_speed
from shortaxis.errors import InputError
from shortaxis.training import load_recipe
from shortaxis.training.loop import Run
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


def test_the_warm_up_is_not_timed(monkeypatch):
    """By a clock that only training moves: 100 s a step of warm-up, then 2 s a step."""
    clock = [0.0]
    train = Run.train

    def timed(run, *, steps):
        clock[0] += steps * (100.0 if run.step == 0 else 2.0)
        return train(run, steps=steps)

    monkeypatch.setattr(Run, "train", timed)
    monkeypatch.setattr(speed_module, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    speed = training_speed(small(), device="cpu", steps=3, warm_up=2)
    assert speed.seconds == 6.0
    assert speed.slices_per_second == speed.slices / 6


def test_arithmetic_is_counted_by_hand():
    # One member, one level, two 3x3 convolutions 1->2 and 2->2 and a 1x1 head 2->4 on 16x16 pixels, two operations each, three passes.
    content = recipe_to_dict(small()) | {"members": [{"network": "unet", "count": 1, "options": {"widths": [2]}}]}
    speed = training_speed(recipe_from_dict(content), device="cpu", steps=1, warm_up=1)
    assert speed.gflop_per_slice * 1e9 == pytest.approx(3 * 2 * 256 * (9 * 2 + 9 * 4 + 8))


def test_no_steps_are_refused():
    with pytest.raises(InputError, match="at least 1"):
        training_speed(small(), device="cpu", steps=0)
