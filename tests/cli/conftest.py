"""Small things to run the commands on: a tiny model, a cine, an ACDC folder; and a runner that keeps stdout and stderr apart."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from shortaxis.cli import app
from shortaxis.datasets.acdc import write_acdc_patient
from shortaxis.ensemble.model_file import ModelSpec, save_model
from shortaxis.io import write_like
from shortaxis.phantom import make_phantom

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

    Run = Callable[..., Result]

MEMBER = {"network": "unet", "options": {"widths": [4, 8]}}


@pytest.fixture
def run() -> Run:
    """Run a command line; the arguments may be paths."""
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="session")
def model_file(tmp_path_factory) -> Path:
    """An untrained model that is quick to run."""
    torch.manual_seed(0)
    spec = ModelSpec(
        "tiny", [MEMBER, MEMBER], {"rule": "uncertainty"}, {"kind": "physical", "spacing_mm": 3.0, "size": 64}, {"data": "none"}
    )
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    save_model(path, spec.build(), spec)
    return path


@pytest.fixture(scope="session")
def _phantoms():
    return [make_phantom(seed, n_phases=6, n_slices=6, spacing=(10.0, 3.0, 3.0), identifier=f"patient{101 + seed}") for seed in range(2)]


@pytest.fixture(scope="session")
def _acdc(tmp_path_factory, _phantoms) -> Path:
    root = tmp_path_factory.mktemp("acdc")
    for phantom in _phantoms:
        write_acdc_patient(root, phantom.study, phantom.labels)
    return root


@pytest.fixture
def acdc(_acdc, tmp_path) -> Path:
    """Two ACDC patients, 101 and 102, with frames, labels and cines; a copy to do with as one likes."""
    return shutil.copytree(_acdc, tmp_path / "acdc")


@pytest.fixture
def frame(acdc, tmp_path) -> Path:
    """A 3D frame."""
    return shutil.copy(acdc / "patient101" / "patient101_frame01.nii.gz", tmp_path / "frame.nii.gz")


@pytest.fixture
def cine(_phantoms, tmp_path) -> Path:
    """A 4D cine of six phases."""
    path = tmp_path / "cine.nii.gz"
    write_like(_phantoms[0].study.pixels, _phantoms[0].study, path, dtype=np.float32)
    return path


@pytest.fixture(autouse=True)
def _released(model_file, monkeypatch) -> None:
    """Let the tiny model stand in for the released one, so that the tests are quick and do not hang on its training."""
    monkeypatch.setattr("shortaxis.inference.released_model_path", lambda: model_file)
