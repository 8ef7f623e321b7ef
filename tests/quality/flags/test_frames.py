from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shortaxis.quality.flags.frames import frames_on_other_grids
from shortaxis.study import Study


def frame(slices=8, spacing=(8.0, 1.5, 1.5)):
    return Study(np.zeros((1, slices, 6, 5), np.float32), spacing)


@pytest.mark.parametrize("other", [frame(7), frame(spacing=(9.0, 1.5, 1.5)), frame(spacing=(8.0, 1.5, 1.6))])
def test_frames_that_differ_are_flagged_with_both_names(other):
    flag = frames_on_other_grids([("ed.nii", frame()), ("es.nii", other)])
    assert flag is not None
    assert "ed.nii has 8 slices" in flag.message
    assert f"es.nii has {other.n_slices} slices" in flag.message


def test_frames_of_one_grid_are_not_flagged():
    assert frames_on_other_grids([("ed.nii", frame()), ("es.nii", replace(frame(), spacing=(8.0001, 1.5, 1.5)))]) is None
    assert frames_on_other_grids([("ed.nii", frame())]) is None
