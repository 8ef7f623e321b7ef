"""A tiny model and small studies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from shortaxis.ensemble.model_file import ModelSpec, save_model
from shortaxis.io import write_like
from shortaxis.phantom import make_phantom

if TYPE_CHECKING:
    from pathlib import Path

SPEC = ModelSpec(
    "tiny",
    [{"network": "unet", "options": {"widths": [4, 8]}}] * 2,
    {"rule": "uncertainty", "outer_softmax": False},
    {"kind": "physical", "spacing_mm": 4.0, "size": 64},
)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> Path:
    """An untrained model that is quick to run."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    save_model(path, SPEC.build(), SPEC)
    return path


@pytest.fixture(scope="session")
def heart():
    """A phantom of six phases that is quick to make and to segment."""
    return make_phantom(3, n_phases=6, n_slices=6, spacing=(10.0, 3.0, 3.0))


@pytest.fixture
def cohort(heart, tmp_path) -> Path:
    """A folder of four frames, `a` to `d`, of which none is like another."""
    folder = tmp_path / "cohort"
    for index, name in enumerate("abcd"):
        write_like(heart.study.pixels[index], heart.study, folder / f"{name}.nii", dtype=np.float32)
    return folder
