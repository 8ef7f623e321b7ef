"""A tiny data set and recipe: bright discs on a dark ground, learnt in seconds by a tiny network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from shortaxis.datasets.dataset import Dataset, FrameRef
from shortaxis.study import Frame
from shortaxis.training.recipe import Recipe, recipe_from_dict

if TYPE_CHECKING:
    from collections.abc import Callable

RECIPE: dict[str, Any] = {
    "name": "tiny",
    "title": "Tiny",
    "seed": 3,
    "grid": {"kind": "physical", "spacing_mm": 2.0, "size": 32},
    "members": [{"network": "unet", "count": 2, "options": {"widths": [4, 8], "dropout": 0.1}}],
    "pooling": {"rule": "uncertainty", "outer_softmax": False},
    "loss": {"name": "dice-cross-entropy"},
    "optimizer": {"name": "adamw", "learning_rate": 0.02},
    "schedule": {"epochs": 4, "warmup_epochs": 1},
    "batch": {"frames": 2, "slices": 12},
    "augmentation": {"rotation_deg": 20.0, "elastic_mm": 1.0, "noise": 0.1, "crop": 24},
    "averaging": {"decay": 0.9},
}


def make_frame(name: str, patient: str, phase: str, depth: int, seed: int) -> Frame:
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:32, :32]
    labels = np.zeros((depth, 32, 32), np.uint8)
    y, x = rng.uniform(12, 20, 2)
    distance = np.hypot(rows - y, columns - x)
    labels[:, distance < 9] = 2
    labels[:, distance < 5] = 3
    labels[:, (distance < 12) & (columns < x - 5)] = 1
    levels = np.array([10.0, 160.0, 60.0, 200.0])
    image = levels[labels] + rng.normal(0, 8, labels.shape)
    return Frame(name, patient, phase, "NOR", image.astype(np.float32), labels, (8.0, 2.0, 2.0))


def make_dataset(patients: int = 4) -> Dataset:
    refs = []
    for index in range(patients):
        for phase in ("ED", "ES"):
            patient = f"p{index}"
            frame = make_frame(f"{patient}_{phase}", patient, phase, depth=3 + index % 3, seed=index * 2 + (phase == "ES"))
            refs.append(FrameRef(frame.name, patient, phase, "NOR", lambda frame=frame: frame))
    return Dataset("discs", tuple(refs))


@pytest.fixture(scope="session")
def discs() -> Dataset:
    return make_dataset()


@pytest.fixture
def recipe() -> Callable[..., Recipe]:
    def change(**tables: Any) -> Recipe:
        merged = {key: RECIPE.get(key, {}) | value if isinstance(value, dict) else value for key, value in tables.items()}
        return recipe_from_dict(RECIPE | merged)

    return change
