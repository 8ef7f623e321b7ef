"""Rows, a data set and results that take no time: tiny networks on bright discs, and results made by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from shortaxis.benchmark.result import SCHEMA_VERSION, ProtocolScores, Result, ScoredSet, Shared, case_row
from shortaxis.datasets.dataset import Dataset, FrameRef
from shortaxis.datasets.packed import write_packed
from shortaxis.metrics.case import Case
from shortaxis.metrics.protocols import PROTOCOLS
from shortaxis.study import Frame

if TYPE_CHECKING:
    from collections.abc import Callable

TINY = """
name = "{name}"
title = "{title}"
seed = 7
[grid]
kind = "physical"
spacing_mm = 2.0
size = 32
[[members]]
network = "unet"
count = {count}
options = {{ widths = [4, 8], dropout = 0.1 }}
[pooling]
rule = "{rule}"
outer_softmax = false
[loss]
name = "dice-cross-entropy"
[optimizer]
name = "adamw"
learning_rate = 0.02
[schedule]
epochs = {epochs}
warmup_epochs = 1
[batch]
frames = 2
slices = 12
"""


def make_frame(name: str, patient: str, phase: str, seed: int, depth: int = 3) -> Frame:
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:32, :32]
    labels = np.zeros((depth, 32, 32), np.uint8)
    y, x = rng.uniform(12, 20, 2)
    distance = np.hypot(rows - y, columns - x)
    labels[:, distance < 9] = 2
    labels[:, distance < 5] = 3
    labels[:, (distance < 12) & (columns < x - 5)] = 1
    image = np.array([10.0, 160.0, 60.0, 200.0])[labels] + rng.normal(0, 8, labels.shape)
    return Frame(name, patient, phase, "NOR", image.astype(np.float32), labels, (8.0, 2.0, 2.0))


def make_discs(patients: dict[str, int], name: str = "discs") -> Dataset:
    """Patients by name; two of one seed share their images."""
    refs = []
    for patient, seed in patients.items():
        for phase in ("ED", "ES"):
            frame = make_frame(f"{patient}_{phase}", patient, phase, seed * 2 + (phase == "ES"))
            refs.append(FrameRef(frame.name, patient, phase, "NOR", lambda frame=frame: frame))
    return Dataset(name, tuple(refs))


@pytest.fixture
def discs() -> Callable[..., Dataset]:
    return make_discs


@pytest.fixture
def pack(tmp_path) -> Callable[..., str]:
    """Write discs as a packed data set, and give its spec."""

    def write(patients: dict[str, int], name: str = "discs") -> str:
        path = tmp_path / f"{name}.zip"
        write_packed(make_discs(patients), path)
        return f"packed:{path}"

    return write


@pytest.fixture
def row_file(tmp_path) -> Callable[..., str]:
    """Write a tiny recipe, and give its path."""

    def write(name: str = "unet", *, count: int = 1, rule: str = "fixed", epochs: int = 2, more: str = "") -> str:
        path = tmp_path / f"{name}.toml"
        path.write_text(TINY.format(name=name, title=f"Tiny {name}", count=count, rule=rule, epochs=epochs) + more)
        return str(path)

    return write


def make_case(patient: str, shift: int, phase: str = "ED") -> Case:
    """Three nested squares on 16×16 pixels, and the same moved by `shift` pixels as the prediction."""
    truth = np.zeros((5, 16, 16), np.uint8)
    truth[:, 2:6, 2:14], truth[:, 7:14, 3:13], truth[:, 9:12, 5:10] = 1, 2, 3
    return Case(f"{patient}_{phase}", patient, truth, np.roll(truth, shift, axis=2), (8.0, 1.5, 1.5), phase, "NOR")


def make_scored(shifts: dict[str, int], shared: tuple[str, ...] = (), data: str = "discs") -> ScoredSet:
    cases = [make_case(patient, shift, phase) for patient, shift in shifts.items() for phase in ("ED", "ES")]
    protocols = {}
    for name, protocol in PROTOCOLS.items():
        rows = [case_row(protocol.score(case)) for case in cases]
        protocols[name] = ProtocolScores(protocol.description, {}, rows, {} if shared else None)
    return ScoredSet(data, list(shifts), len(cases), 5 * len(cases), 0.25 * len(cases), protocols)


@pytest.fixture
def make_result() -> Callable[..., Result]:
    """A result whose held-out (and test) patients were predicted with labels moved by so many pixels."""

    def make(row: str = "rows/unet", seed: int = 0, held_out: dict[str, int] | None = None, **changes: Any) -> Result:
        recipe = {"members": [{"network": "unet", "count": 1}], "schedule": {"steps": 100}, "augmentation": {"flip": True}}
        shared = changes.pop("shared", [])
        facts: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "row": row,
            "title": row.rpartition("/")[2].upper(),
            "policy": "joint",
            "recipe": recipe,
            "seed": seed,
            "budget": "recipe",
            "train_patients": ["t1", "t2"],
            "held_out_patients": sorted(held_out or {}),
            "fold": None,
            "folds": None,
            "training_data": "discs",
            "complete": True,
            "steps": 100,
            "total_steps": 100,
            "members": 1,
            "updates": 100,
            "updates_besides": 0,
            "slices": 900,
            "train_seconds": 60.0,
            "parameters": 2_000_000,
            "flops": 16_000_000_000,
            "edge": 224,
            "hardware": "CPU",
            "torch": "2.0",
            "shortaxis": "0.1.0",
            "commit": None,
            "modified": None,
            "date": "2026-01-01",
            "held_out": None if held_out is None else make_scored(held_out),
        }
        test = changes.pop("test", None)
        if test is not None:
            facts["test"] = make_scored(test, tuple(pair.test for pair in shared), changes.pop("test_data", "acdc"))
        return Result(**facts | changes, shared=shared)

    return make


@pytest.fixture
def squares() -> Callable[..., Case]:
    return make_case


@pytest.fixture
def twins() -> list[Shared]:
    return [Shared("t1", "b")]
