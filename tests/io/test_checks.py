"""What is no cine of the heart is refused, and what looks a little like it is not."""

from __future__ import annotations

import numpy as np
import pytest

from shortaxis.errors import InputError
from shortaxis.io.checks import refuse_unfit
from shortaxis.phantom import make_phantom
from shortaxis.study import Study


@pytest.fixture(scope="module")
def heart():
    return make_phantom(3, n_phases=6, n_slices=6, spacing=(10.0, 3.0, 3.0))


def study(pixels):
    return Study(np.ascontiguousarray(pixels, np.float32), (10.0, 3.0, 3.0))


def test_a_cine_and_each_of_its_frames_pass(heart):
    refuse_unfit(heart.study, "in.nii")
    for frame in heart.study.pixels:
        refuse_unfit(study(frame[np.newaxis]), "in.nii")
        refuse_unfit(study(frame[np.newaxis, 2:3]), "in.nii")


@pytest.mark.parametrize(
    "change",
    [
        lambda labels: labels,
        lambda labels: labels * 85.0,
        lambda labels: labels / 3.0,
        lambda labels: labels + np.random.default_rng(0).uniform(-5e-4, 5e-4, labels.shape),
        lambda labels: labels > 0,
        lambda labels: np.where(np.arange(len(labels))[:, None, None, None] == 2, labels, 0),
    ],
    ids=["labels", "scaled", "shares", "rounded", "mask", "one_phase"],
)
def test_labels_are_refused_in_any_dress(heart, change):
    with pytest.raises(InputError, match=r"in\.nii.*label"):
        refuse_unfit(study(change(heart.labels)), "in.nii")


def test_a_bright_spot_and_a_masked_background_are_no_labels(heart):
    pixels = heart.study.pixels.copy()
    pixels[:, :, 3, 3] = 1e7
    pixels[:, :, :20] = 0
    refuse_unfit(study(pixels), "in.nii")


def test_phases_stored_as_slices_are_refused(heart):
    cine = heart.study.pixels[:, 2]
    for stored in (cine, np.repeat(cine, 4, axis=0), cine[:4]):
        with pytest.raises(InputError, match="time"):
            refuse_unfit(study(stored[np.newaxis]), "in.nii")
    with pytest.raises(InputError, match="exchanged"):
        refuse_unfit(study(heart.study.pixels.swapaxes(0, 1)), "in.nii")


def test_a_blank_phase_is_named(heart):
    pixels = heart.study.pixels.copy()
    pixels[3] = 7
    with pytest.raises(InputError, match="phase 4"):
        refuse_unfit(study(pixels), "in.nii")
