from __future__ import annotations

import numpy as np
import pytest

from shortaxis.quality.grid_frame import grid_frame
from shortaxis.quality.volume_evidence import EVIDENCE, volume_at_risk, volume_evidence

LV = 2


def box(sides, sure=1.0):
    """(4, D, 20, 20): an LV of side × side pixels in each slice, the rest background."""
    p = np.zeros((4, len(sides), 20, 20), np.float32)
    p[0] = 1
    for index, side in enumerate(sides):
        p[0, index, :side, :side], p[3, index, :side, :side] = 1 - sure, sure
    return p


def evidence(sides, slice_mm, members=None, sure=1.0):
    frame = grid_frame(box(sides, sure), np.stack([box(m) for m in (members or [sides])]), (2.0, 2.0))
    return dict(zip(EVIDENCE, volume_evidence(frame, np.array(slice_mm, float))[:, LV], strict=False))


def test_all_parts_are_in_millilitres():
    # Pixels of 4 mm²: sections of 400, 400 and 100 mm², and slices that stand for 10, 10 and 5 mm.
    found = evidence([10, 10, 5], [10, 10, 5], members=([10, 10, 5], [10, 5, 0]))
    assert found["volume"] == pytest.approx(4 + 4 + 0.5)
    assert found["undecided"] == pytest.approx(0, abs=1e-6)
    assert found["members_apart"] == pytest.approx(3 + 0.5)
    assert found["end_slices"] == pytest.approx(4)


def test_undecided_is_the_volume_times_the_smaller_of_both_probabilities():
    assert evidence([10], [10], sure=0.7)["undecided"] == pytest.approx(4 * 0.3, rel=1e-5)


def test_the_outermost_sections_are_those_of_the_structure_and_not_of_the_stack():
    assert evidence([0, 5, 10, 10, 0], [10] * 5)["end_slices"] == pytest.approx(4)
    assert evidence([0, 5, 10, 3, 0], [10] * 5)["end_slices"] == pytest.approx(1)


def test_a_structure_that_is_not_there_has_no_evidence():
    frame = grid_frame(box([10, 10]), box([10, 10])[None], (2.0, 2.0))
    assert not volume_evidence(frame, np.array([10.0, 10.0]))[:, :LV].any()


def test_the_volume_at_risk_is_each_section_times_its_risk():
    areas = np.array([[0.0] * 4, [0.0] * 4, [400.0, 400.0, 100.0, 100.0]])
    at_risk = volume_at_risk(areas, np.array([10.0, 10.0, 10.0, 5.0]), np.array([0.5, 0.0, 0.1, 1.0]))
    assert at_risk.tolist() == pytest.approx([0, 0, 2 + 0.1 + 0.5])


def test_a_slice_beyond_the_mask_counts_as_if_the_structure_went_on():
    areas = np.array([[0, 0, 400.0, 400, 100, 0, 0]] * 3)
    sections = [volume_at_risk(areas, np.full(7, 10.0), risk)[LV] for risk in np.eye(7)]
    assert sections == pytest.approx([0, 4, 4, 4, 1, 1, 0])
    assert areas[0].tolist() == [0, 0, 400, 400, 100, 0, 0]
