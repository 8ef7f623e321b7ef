from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from shortaxis import make_phantom
from shortaxis.ensemble.finder import HeartFinder, build_finder, frames_to_search
from shortaxis.ensemble.model_file import read_finder
from shortaxis.errors import InputError
from shortaxis.inference.predictor import released_finder_path, released_model_path
from shortaxis.preprocessing import PhysicalGrid, pose_of_labels

GRID = PhysicalGrid(2.0, 64)


class _ByGreyValue(nn.Module):
    """A network that knows each structure by its grey value, in any orientation."""

    def __init__(self) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.zeros(4))

    def forward(self, slices):
        scale = (slices - slices.amin(dim=(1, 2, 3), keepdim=True)) / (slices.amax() - slices.amin())
        return torch.cat([-200 * (scale - at / 3) ** 2 for at in range(4)], dim=1)


def _picture(rv: tuple[int, int] = (-2, -17)) -> np.ndarray:
    """Three slices, 64 x 64 pixels of 2 mm: the LV 5 mm below and 8 mm right of the middle, the RV at `rv` pixels (down, right) of it."""
    rows, columns = np.mgrid[0:64, 0:64] - 31.5
    down, right = rows - 2.5, columns - 4
    picture = np.zeros((3, 64, 64))
    picture[:, np.hypot(down - rv[0], right - rv[1]) < 7] = 1
    left = np.hypot(down, right) < 9
    picture[:, left & (down < 0)] = 2
    picture[:, left & (down >= 0)] = 3
    return picture


def test_the_heart_is_found():
    pose = HeartFinder(_ByGreyValue(), GRID).find([_picture()], (10.0, 2.0, 2.0))
    assert pose.direction_deg == pytest.approx(180 - np.rad2deg(np.arctan(2 / 17)), abs=2)
    assert pose.certainty == pytest.approx(1, abs=0.02)
    assert pose.centre_mm[0] == pytest.approx(5 - 2 * 2 * 7**2 / (7**2 + 9**2), abs=1)


def test_a_pose_follows_the_picture_in_all_eight_ways():
    finder, picture = HeartFinder(_ByGreyValue(), GRID), _picture()
    plain = finder.find([picture], (10.0, 2.0, 2.0))
    for turns in range(4):
        for flip in (False, True):
            turned = np.rot90(picture[..., ::-1] if flip else picture, turns, axes=(1, 2))
            pose = finder.find([turned], (10.0, 2.0, 2.0))
            direction = (180 - plain.direction_deg if flip else plain.direction_deg) + 90 * turns
            assert (pose.direction_deg - direction + 180) % 360 - 180 == pytest.approx(0, abs=1e-3)
            assert np.hypot(*pose.centre_mm) == pytest.approx(np.hypot(*plain.centre_mm), abs=1e-3)


def test_of_two_bright_blobs_the_larger_is_the_heart():
    picture = _picture()
    picture[0, 2:6, 2:6] = 3
    pose = HeartFinder(_ByGreyValue(), GRID).find([picture], (10.0, 2.0, 2.0))
    plain = HeartFinder(_ByGreyValue(), GRID).find([_picture()], (10.0, 2.0, 2.0))
    assert pose.centre_mm == pytest.approx(plain.centre_mm, abs=1e-6)


def test_in_a_picture_without_a_heart_nothing_is_found():
    finder = HeartFinder(_ByGreyValue(), GRID)
    speck = np.zeros((3, 64, 64))
    speck[0, 30:32, 30:32] = 3
    assert finder.find([speck], (10.0, 2.0, 2.0)).certainty == 0


def test_ways_that_disagree_make_a_pose_unsure():
    class Stubborn(_ByGreyValue):
        """Says of every picture, however it lies, that the RV is on its left."""

        def forward(self, slices):
            fixed = torch.from_numpy(_picture()[:1]).float()[:, None].expand(len(slices), -1, -1, -1)
            return super().forward(fixed)

    pose = HeartFinder(Stubborn(), GRID).find([_picture()], (10.0, 2.0, 2.0))
    assert pose.certainty < 0.2


def test_the_heart_is_looked_for_at_diastole_and_about_systole():
    pixels = np.arange(9).reshape(9, 1, 1, 1)
    assert [int(frame.item()) for frame in frames_to_search(pixels)] == [0, 3]
    assert [int(frame.item()) for frame in frames_to_search(pixels, 7)] == [1, 7]
    assert len(frames_to_search(pixels[:1])) == 1


def test_whether_a_picture_is_mirrored_is_passed_on():
    finder = HeartFinder(_ByGreyValue(), GRID)
    assert finder.find([_picture()], (10.0, 2.0, 2.0), mirrored=True).mirrored


def test_a_table_without_a_grid_is_refused():
    with pytest.raises(InputError, match="spacing_mm"):
        build_finder(_ByGreyValue(), {"network": "unet"})


def test_the_released_finder_finds_a_virtual_heart():
    made = make_phantom(4, phases=("ED",), n_slices=4, spacing=(16.0, 1.8, 1.8))
    true = pose_of_labels(made.labels[0], (1.8, 1.8))
    pose = build_finder(*read_finder(released_finder_path())).find([made.study.pixels[0]], made.study.spacing)
    assert pose.is_sure
    assert pose.centre_mm == pytest.approx(true.centre_mm, abs=10)
    assert abs((pose.direction_deg - true.direction_deg + 180) % 360 - 180) < 20


def test_an_ensemble_is_no_finder():
    with pytest.raises(InputError, match="no finder"):
        read_finder(released_model_path())
