"""A small cine of which every image is known by its brightness, planes without files, and the real study where there is one."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pydicom
import pytest

from shortaxis.io.dicom.headers import Plane
from shortaxis.study import Study, Subject

SUNNYBROOK_VARIABLE = "SHORTAXIS_SUNNYBROOK"
AXIS = np.array([0.65, -0.60, -0.45]) / np.linalg.norm([0.65, -0.60, -0.45])
"""From base to apex in LPS: left, front, feet."""
COLUMN = np.cross(AXIS, [0.0, 0.0, 1.0]) / np.linalg.norm(np.cross(AXIS, [0.0, 0.0, 1.0]))
ROW = np.cross(COLUMN, AXIS)
"""ROW x COLUMN = AXIS."""


def oblique_affine(step: float = 8.0, row: float = 1.5, column: float = 1.25) -> np.ndarray:
    """A right-handed short-axis stack in RAS+ mm."""
    affine = np.eye(4)
    affine[:3, :3] = np.column_stack([AXIS * step, COLUMN * row, ROW * column])
    affine[:3, 3] = [-31.25, 17.5, 88.125]
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine


@pytest.fixture(scope="session")
def cine() -> Study:
    """Five phases of five slices; the brightness of an image is 100 + 100 · slice + 10 · phase, with a pattern of 0 to 9 on top."""
    pattern = np.random.default_rng(0).integers(0, 10, (36, 40))
    levels = 100 + 100 * np.arange(5)[None, :] + 10 * np.arange(5)[:, None]
    return Study(
        pixels=(levels[:, :, None, None] + pattern).astype(np.float32),
        spacing=(8.0, 1.5, 1.25),
        affine=oblique_affine(),
        phase_times=(0.0, 160.0, 320.0, 480.0, 640.0),
        subject=Subject("cine", height_cm=175.0, weight_kg=70.0),
    )


@pytest.fixture
def make_plane():
    """Make a short-axis plane so many mm below the base, without a file."""
    numbers = iter(range(1, 10000))

    def make(at: float = 0.0, **changes) -> Plane:
        number = next(numbers)
        clocks = {"InstanceNumber": number * 1e5} | changes.pop("clocks", {})
        given = {
            "path": Path(f"IM{number:05d}.dcm"),
            "frame": 0,
            "sop_class_uid": "1.2",
            "sop_instance_uid": f"1.2.{number}",
            "study_uid": "1",
            "series_uid": "1.5",
            "series_number": 5,
            "frame_of_reference": "1.9",
            "description": "",
            "image_type": ("ORIGINAL", "PRIMARY"),
            "shape": (7, 9),
            "spacing": (1.5, 1.25),
            "orientation": (*ROW, *COLUMN),
            "position": tuple(AXIS * at),
            "thickness": 8.0,
            "clocks": clocks,
            "acquired": 0.0,
            "acquisition_number": 1,
            "sequence": "GR",
            "echo_time": 1.5,
            "inversion_time": None,
            "is_phase": False,
            "is_flow": False,
            "rescale": (1.0, 0.0),
            "rr_interval": None,
            "temporal_resolution": None,
            "height_m": None,
            "weight_kg": None,
            "manufacturer": None,
        }
        return Plane(**given | changes)

    return make


@pytest.fixture
def make_cine(make_plane):
    """Make the planes of a cine: slices at 0, 8, ... mm, phases at 0, 40, ... ms."""

    def make(slices: int = 5, phases: int = 10, *, start: float = 0.0, step: float = 8.0, **changes) -> list[Plane]:
        return [
            make_plane(start + step * d, **{**changes, "clocks": {"TriggerTime": 40.0 * t, **changes.get("clocks", {})}})
            for d in range(slices)
            for t in range(phases)
        ]

    return make


@pytest.fixture(scope="session")
def sunnybrook() -> Path:
    """Folder of the Sunnybrook study SCD0000301; a test that needs it is marked `data` and skips where the folder is absent."""
    beside = Path(__file__).parents[4] / "shared" / "data" / "sunnybrook" / "SCD0000301"
    root = Path(os.environ.get(SUNNYBROOK_VARIABLE, beside))
    if not any(root.rglob("*.dcm")):
        pytest.skip(f"no Sunnybrook study: set {SUNNYBROOK_VARIABLE} to the folder of SCD0000301")
    return root


@pytest.fixture
def edit_files():
    """Change files by a function of the data set and its number: its place in the list, or one less than an attribute."""

    def edit(files, change, by=None) -> None:
        for place, file in enumerate(files):
            dataset = pydicom.dcmread(file)
            change(dataset, place if by is None else int(dataset[by].value) - 1)
            dataset.save_as(file)

    return edit
