"""A whole beating heart without pictures, to be damaged in one way at a time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shortaxis.phantom.geometry import Heart
from shortaxis.phantom.groups import GROUPS, draw_patient
from shortaxis.phantom.masks import draw_masks
from shortaxis.phantom.motion import ejected_share, end_systole_phase
from shortaxis.phantom.scan import plan_scan
from shortaxis.quality.flags import study_flags
from shortaxis.study import Segmentation, Study

PHASES = 20


def draw(seed: int, group: str) -> Segmentation:
    rng = np.random.default_rng(seed)
    heart = Heart(draw_patient(rng, group), (0.03, 0.06))
    scan = plan_scan(rng, heart, spacing=(8.0, 1.8, 1.8), matrix=(140, 120))
    labels = draw_masks(heart, scan, [heart.state(share) for share in ejected_share(PHASES)])
    times = tuple(45.0 * phase for phase in range(PHASES))
    return segmentation(labels, spacing=scan.spacing, affine=scan.affine, phase_times=times)


def segmentation(labels: np.ndarray, **known) -> Segmentation:
    return Segmentation(Study(np.broadcast_to(np.float32(0), labels.shape), **known), labels)


@pytest.fixture(scope="session", params=GROUPS)
def whole(request) -> Segmentation:
    """A whole heart of each group."""
    return draw(1, request.param)


@pytest.fixture(scope="session")
def _healthy() -> Segmentation:
    return draw(2, "NOR")


@pytest.fixture
def healthy(_healthy: Segmentation) -> Segmentation:
    """A whole healthy heart; its labels may be changed."""
    return replace(_healthy, labels=_healthy.labels.copy())


@pytest.fixture
def with_labels():
    """The study of a segmentation with other labels, and other facts."""

    def change(before: Segmentation, labels: np.ndarray | None = None, **known) -> Segmentation:
        labels = before.labels if labels is None else labels
        study = replace(before.study, pixels=np.broadcast_to(np.float32(0), labels.shape), **known)
        return Segmentation(study, labels)

    return change


@pytest.fixture
def names():
    """Names of the flags of a segmentation."""
    return lambda segmentation, **known: [flag.name for flag in study_flags(segmentation, **known)]


@pytest.fixture
def es() -> int:
    """The ES phase of a whole heart."""
    return end_systole_phase(PHASES)
