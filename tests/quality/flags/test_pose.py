from __future__ import annotations

from dataclasses import replace

import pytest

from shortaxis.preprocessing import HeartPose
from shortaxis.quality.flags import study_flags


def names(segmentation) -> list[str]:
    return [flag.name for flag in study_flags(segmentation)]


@pytest.mark.parametrize("pose", [None, HeartPose((0, 0), 195, certainty=0.61)])
def test_a_located_heart_is_not_flagged(healthy, pose):
    assert "heart_not_located" not in names(replace(healthy, pose=pose))


def test_an_uncertain_pose_is_flagged_first(healthy):
    (flag, *_) = study_flags(replace(healthy, pose=HeartPose((0, 0), 195, certainty=0.59)))
    assert flag.name == "heart_not_located"
    assert (flag.value, flag.limit) == (pytest.approx(59), 60)
