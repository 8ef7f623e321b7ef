from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shortaxis.indices.aha import apex_is_last, stack_by_masks
from shortaxis.quality.flags import study_flags

NAMES = {"orientation_contradicted", "stack_turned_round"}


def raised(segmentation):
    return {flag.name for flag in study_flags(segmentation)} & NAMES


def along(segmentation, *signs):
    """The study with an affine whose axes (slice, row, column) run the other way where a sign is -1."""
    return replace(segmentation, study=replace(segmentation.study, affine=segmentation.study.affine @ np.diag([*signs, 1.0])))


def test_a_heart_that_lies_as_its_header_says_raises_none(whole):
    assert raised(whole) == set()


@pytest.mark.parametrize("signs", [(1, 1, -1), (1, -1, -1)])
def test_an_rv_on_the_left_by_the_header_is_flagged(whole, signs):
    assert "orientation_contradicted" in raised(along(whole, *signs))


def test_a_header_that_turns_base_and_apex_round_is_flagged_and_the_masks_hold(whole):
    turned = along(whole, -1, 1, 1)
    assert raised(turned) == {"stack_turned_round"}
    labels = whole.labels[0]
    assert apex_is_last(labels, turned.study.affine) == apex_is_last(labels, whole.study.affine) == apex_is_last(labels, None)


def test_without_orientation_there_is_nothing_to_contradict(whole):
    assert raised(replace(whole, study=replace(whole.study, affine=np.diag([8.0, 1.8, 1.8, 1.0])))) == set()


def test_masks_of_even_sections_leave_the_stack_to_the_header(healthy):
    labels = np.repeat(healthy.labels[0][4:5], 8, axis=0)
    assert stack_by_masks(labels) is None
    assert apex_is_last(labels, healthy.study.affine) == apex_is_last(healthy.labels[0], healthy.study.affine)
