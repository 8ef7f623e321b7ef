from __future__ import annotations

import numpy as np
import pytest

from shortaxis.labels import Structure
from shortaxis.quality.flags import study_flags

PARTS = [Structure.RV, Structure.MYO, Structure.LV]


def named(segmentation, name):
    return [flag for flag in study_flags(segmentation) if flag.name == name]


def reach(labels, structure):
    return np.flatnonzero((labels == structure).any(axis=(1, 2)))


@pytest.fixture
def ed():
    return 0


@pytest.mark.parametrize("structure", PARTS)
def test_a_structure_that_reaches_farther_at_systole(healthy, ed, es, structure):
    last = reach(healthy.labels[es], structure)[-1]
    for index in range(last, healthy.study.n_slices):
        part = healthy.labels[ed, index]
        part[part == structure] = Structure.BACKGROUND
    (flag,) = named(healthy, f"{structure.name.lower()}_farther_at_systole")
    assert f"slice {last + 1}," in flag.message
    assert (flag.value, flag.limit) == (1, 0)


@pytest.mark.parametrize("structure", [Structure.RV, Structure.MYO])
def test_a_structure_that_ends_abruptly_towards_the_apex(healthy, ed, structure):
    part = healthy.labels[ed]
    areas = (part == structure).sum(axis=(1, 2))
    last = int(areas.argmax())
    part[last + 1 :][part[last + 1 :] == structure] = Structure.BACKGROUND
    (flag,) = named(healthy, f"{structure.name.lower()}_ends_abruptly")
    assert flag.value == pytest.approx(100)
    assert f"slice {last + 1} " in flag.message


def test_a_stack_that_ends_with_the_structure_is_not_abrupt(healthy, with_labels, ed):
    last = int((healthy.labels[ed] == Structure.RV).sum(axis=(1, 2)).argmax())
    assert named(with_labels(healthy, healthy.labels[:, : last + 1]), "rv_ends_abruptly") == []
