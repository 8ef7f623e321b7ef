"""A new network, rule, loss, data set, protocol, metric or row is one file and one line; no test has to be changed for it.

Each is added to a copy of the package, and the tests that look at what is registered are run against that copy.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import shortaxis

TESTS = Path(__file__).parent
RECIPE = 'extends = "{base}"\nname = "5unet-uncertainty"\ntitle = "Five UNets"\n[[members]]\nnetwork = "unet"\ncount = 5\n'
FILES = {
    "networks/plain.py": '''
"""Two convolutions."""

from torch import nn


class Plain(nn.Sequential):
    """Logits from a neighbourhood of 3 × 3 pixels."""

    def __init__(self, classes: int = 4) -> None:
        super().__init__(nn.Conv2d(1, 8, 3, padding=1), nn.Tanh(), nn.Conv2d(8, classes, 1))
''',
    "ensemble/rules/geometric.py": '''
"""The geometric mean."""

import torch

from shortaxis.ensemble.pooling import Pooled


class Geometric:
    """Softmax of the mean logarithm."""

    def __call__(self, members, averaging, frame_of_slice):
        n, _, _, height, width = members.shape
        pooled = torch.softmax(members.clamp(min=1e-7).log().mean(dim=0), dim=1)
        return Pooled(pooled, None, members.new_full((n, len(averaging), height, width), 1 / n))
''',
    "losses/brier.py": '''
"""The squared error."""

from shortaxis.losses.terms import one_hot, weighted_mean


def brier(probabilities, labels, weight):
    """Mean squared error of the probabilities."""
    return weighted_mean((probabilities - one_hot(labels, probabilities)).square().mean(dim=(1, 2, 3)), weight)
''',
    "datasets/listing.py": '''
"""A data set that is a list of files."""

from shortaxis.datasets.dataset import Dataset


def read_listing(path):
    """Read the list."""
    return Dataset(path.name, ())
''',
    "recipes/rows/5unet-uncertainty.toml": RECIPE.format(base="4unet-uncertainty.toml"),
    "recipes/beyond/5unet-uncertainty.toml": RECIPE.format(base="3unet-no-outer-softmax.toml"),
    "recipes/paper/5unet-uncertainty.toml": RECIPE.format(base="4unet-uncertainty.toml"),
}
# In each file, what is put before the first line that begins so.
LINES = {
    "networks/__init__.py": {
        "from shortaxis.registry": "from shortaxis.networks.plain import Plain",
        '        "unet"': '        "plain": Plain,',
    },
    "ensemble/rules/__init__.py": {
        "from shortaxis.registry": "from shortaxis.ensemble.rules.geometric import Geometric",
        '        "fixed"': '        "geometric": Geometric,',
    },
    "losses/__init__.py": {
        "from shortaxis.registry": "from shortaxis.losses.brier import brier",
        '        "equation-4"': '        "brier": brier,',
    },
    "datasets/__init__.py": {
        "from shortaxis.registry": "from shortaxis.datasets.listing import read_listing",
        '        "mnms"': '        "listing": read_listing,',
    },
    "metrics/protocols.py": {
        "def protocols_named": 'PROTOCOLS["strict"] = type("Strict", (Paper,), {"name": "strict", "description": "as paper"})()\n\n',
        "        looked = ": '        figures["lv_found"] = Figure.mean(patients, 100.0 * (_column(scores, "dsc_lv") > 0), unit="%")',
    },
}
RUN = [
    "networks/test_networks.py",
    "ensemble/test_trial.py",
    "ensemble/test_rules.py",
    "losses/test_losses.py",
    "datasets/test_open_dataset.py",
    "metrics/test_protocols.py",
    "test_evaluation.py",
    "recipes",
    "benchmark/test_rows.py",
    "benchmark/test_scales.py",
    "training/test_recipe.py",
]
# What is new, and what speaks of all that there is.
CHOSEN = (
    "plain or geometric or brier or strict or unknown or known_ones or known_by or named or bare_path or full_marks or table or averages "
    "or all_is or ablation_holds or printed or own_does_not_expect or (5unet and any_recipe) or names_of"
)


@pytest.fixture
def extended(tmp_path: Path) -> Path:
    """The folder of a copy of the package with one more of each."""
    package = tmp_path / "shortaxis"
    shutil.copytree(Path(shortaxis.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in FILES.items():
        (package / name).write_text(text.lstrip(), encoding="utf-8")
    for name, additions in LINES.items():
        lines = (package / name).read_text(encoding="utf-8").splitlines()
        for start, added in additions.items():
            place = next(index for index, line in enumerate(lines) if line.startswith(start))
            lines.insert(place, added)
        (package / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *words], cwd=TESTS.parent, env=environment, capture_output=True, text=True, check=False, timeout=280
    )


@pytest.mark.slow
def test_one_more_of_everything_fails_no_test(extended: Path) -> None:
    code = (
        "from shortaxis import networks, losses, datasets, metrics, ensemble, training;"
        "print('plain' in networks.NETWORKS, 'geometric' in ensemble.POOLINGS, 'brier' in losses.LOSSES, 'listing' in datasets.READERS,"
        " 'strict' in metrics.PROTOCOLS, training.load_recipe('rows/5unet-uncertainty').members[0].count)"
    )
    assert run(extended, "-c", code).stdout == "True True True True True 5\n"
    tests = [str(TESTS / name) for name in RUN]
    done = run(extended, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow and not data", "-k", CHOSEN, *tests)
    assert done.returncode == 0, done.stdout[-3000:]
