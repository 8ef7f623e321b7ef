from __future__ import annotations

from dataclasses import replace

import pytest

from shortaxis.quality.flags import study_flags
from shortaxis.study import Subject


@pytest.mark.parametrize(("height", "weight", "flagged"), [(170, 70, False), (None, 170, False), (70, 170, True), (17, 70, True)])
def test_a_body_size_that_no_patient_has(healthy, height, weight, flagged):
    study = replace(healthy.study, subject=Subject(height_cm=height, weight_kg=weight))
    names = [flag.name for flag in study_flags(replace(healthy, study=study))]
    assert ("implausible_body_size" in names) == flagged
