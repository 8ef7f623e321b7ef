"""What all tests share: quiet libraries, and the real data where there are any."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import matplotlib as mpl
import pytest
from hypothesis import settings

mpl.use("Agg")
settings.register_profile("any machine", deadline=None)  # how long an example takes says what else the machine is doing
settings.load_profile("any machine")

ACDC_VARIABLE = "SHORTAXIS_ACDC"


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Keep torch, where a test has imported it, to one thread: the tests then take the same time beside other work."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@pytest.fixture(scope="session")
def acdc_root() -> Path:
    """Folder of ACDC's patients 001-100; a test that needs it is marked `data` and skips where the folder is absent."""
    beside = Path(__file__).parents[2] / "shared" / "data" / "acdc" / "training"
    root = Path(os.environ.get(ACDC_VARIABLE, beside))
    if not (root / "patient001" / "Info.cfg").is_file():
        pytest.skip(f"no ACDC training set: set {ACDC_VARIABLE} to the folder that holds patient001")
    return root
