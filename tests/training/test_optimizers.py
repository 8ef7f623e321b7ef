"""Optimizers and decays by name."""

from __future__ import annotations

import pytest
import torch

from shortaxis.errors import InputError
from shortaxis.training.optimizers import decay_of, optimizer_of
from shortaxis.training.recipe import Schedule


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ({"decay": "polynomial"}, {0.0: 1.0, 0.5: 0.5**0.9, 1.0: 0.0}),
        ({"decay": "exponential", "final": 0.01}, {0.0: 1.0, 0.5: 0.1, 1.0: 0.01}),
        ({"decay": "tenths", "at": (0.25, 0.75)}, {0.0: 1.0, 0.25: 0.1, 0.5: 0.1, 0.75: 0.01}),
        ({"decay": "constant"}, {0.0: 1.0, 1.0: 1.0}),
        ({"decay": "cosine"}, {0.0: 1.0, 0.5: 0.5, 1.0: 0.0}),
    ],
)
def test_decay_by_hand(schedule, expected) -> None:
    for done, factor in expected.items():
        assert decay_of(Schedule(steps=10, **schedule), done) == pytest.approx(factor, abs=1e-9)


def test_sgd_has_the_momentum_and_the_decay_of_the_recipe(recipe) -> None:
    options = recipe(optimizer={"name": "sgd", "learning_rate": 0.5, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}).optimizer
    value = torch.nn.Parameter(torch.tensor([1.0]))
    optimizer = optimizer_of(options, [value])
    value.grad = torch.tensor([2.0])
    optimizer.step()
    gradient = 2.0 + 0.1 * 1.0
    assert value.item() == pytest.approx(1.0 - 0.5 * (gradient + 0.9 * gradient))


def test_adam_adds_its_weight_decay_to_the_gradient_and_adamw_does_not(recipe) -> None:
    """The first step of Adam is its learning rate, whatever the gradient; that of AdamW shrinks the weight beside it."""
    moved = {}
    for name in ("adam", "adamw"):
        options = recipe(optimizer={"name": name, "learning_rate": 0.01, "weight_decay": 0.5}).optimizer
        value = torch.nn.Parameter(torch.tensor([1.0]))
        value.grad = torch.tensor([2.0])
        optimizer_of(options, [value]).step()
        moved[name] = value.item()
    assert moved["adam"] == pytest.approx(1 - 0.01, abs=1e-6)
    assert moved["adamw"] == pytest.approx(1 - 0.01 * 0.5 - 0.01, abs=1e-6)


@pytest.mark.parametrize(
    ("tables", "key"),
    [
        ({"optimizer": {"name": "adam", "momentum": 0.9}}, "momentum"),
        ({"optimizer": {"name": "sgd", "nesterov": True}}, "nesterov"),
        ({"schedule": {"decay": "tenths"}}, "at"),
        ({"schedule": {"at": [0.5]}}, "at"),
    ],
)
def test_option_that_would_mean_nothing_is_refused(recipe, tables, key) -> None:
    with pytest.raises(InputError, match=key):
        recipe(**tables)
