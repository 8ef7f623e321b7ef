"""What a GPU would refuse in a training step, found without one; see `stand_in_gpu.py`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).with_name("stand_in_gpu.py")
RECIPES = [
    "release",
    "rows/d3p",
    "rows/1unet-1d3p-uncertainty",
    "beyond/depth-unet",
    "beyond/error-correlation",
    "beyond/learned-temperature",
    "beyond/neighbourhood",
    "beyond/slicewise-dice",
    "beyond/end-weight",
]


@pytest.fixture(scope="module")
def told() -> list[dict[str, str]]:
    done = subprocess.run([sys.executable, "-W", "ignore", SCRIPT, *RECIPES], capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.skipif(torch.cuda.is_available(), reason="the real thing is there")
@pytest.mark.parametrize("name", RECIPES)
def test_a_step_mixes_no_devices_and_reads_nothing_back(name: str, told: list[dict[str, str]]) -> None:
    assert {"recipe": name, "device": "cuda:0", "dtype": "torch.float32", "shape": "()"} in told


@pytest.mark.skipif(torch.cuda.is_available(), reason="the real thing is there")
def test_the_stand_in_refuses_what_it_is_there_for(told: list[dict[str, str]]) -> None:
    assert "devices" in told[0]["mix"]
    assert told[0]["read"].startswith("DataDependentOutputException")
