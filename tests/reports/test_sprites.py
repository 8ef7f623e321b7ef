from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from shortaxis.reports.sprites import LARGEST_TILE, LEVELS, colours, grey_range, map_sheet, scan_sheet, to_grey, to_levels

CLEAR = [0.0] * (LEVELS - 1) + [1.0]


def opened(sheet):
    return Image.open(io.BytesIO(base64.b64decode(sheet.uri.partition("base64,")[2])))


def tile(sheet, place):
    left, top = place % sheet.across * sheet.pitch[0], place // sheet.across * sheet.pitch[1]
    return opened(sheet).crop((left, top, left + sheet.tile[0], top + sheet.tile[1]))


def test_every_tile_of_a_scan_is_where_the_sheet_says():
    frames = np.stack([np.full((11, 13), 20 * place, np.uint8) for place in range(7)])
    sheet = scan_sheet(frames)
    assert sheet.uri.startswith("data:image/jpeg;base64,")
    assert (sheet.across, sheet.tile, sheet.pitch) == (3, (13, 11), (16, 16))
    for place in range(7):
        assert np.abs(np.asarray(tile(sheet, place), int) - 20 * place).max() <= 1, "tiles bleed into each other"


def test_a_scan_keeps_its_grey_levels():
    ramp = np.tile(np.arange(256, dtype=np.uint8), (32, 1))[None]
    assert np.abs(np.asarray(tile(scan_sheet(ramp), 0), int) - ramp[0]).max() <= 4


def test_a_map_shows_the_colour_and_the_opacity_of_each_step_exactly():
    palette = colours("magma")
    steps = np.arange(LEVELS, dtype=np.uint8).reshape(1, 6, 8)
    shown = np.asarray(tile(map_sheet(steps, palette, CLEAR), 0).convert("RGBA"))
    assert shown[..., :3].reshape(-1, 3).tolist() == palette.tolist()
    assert shown[..., 3].ravel().tolist() == [0] * (LEVELS - 1) + [255]


@pytest.mark.parametrize("make", [scan_sheet, lambda frames: map_sheet(frames, colours("magma"), CLEAR)])
def test_a_tile_that_is_too_large_is_shown_smaller_in_its_shape(make):
    sheet = make(np.zeros((2, 2 * LARGEST_TILE, LARGEST_TILE), np.uint8))
    assert sheet.tile == (LARGEST_TILE // 2, LARGEST_TILE)


def test_black_and_white_are_percentiles():
    image = np.arange(1000, dtype=np.float32).reshape(10, 100)
    low, high = grey_range(image)
    assert (low, high) == pytest.approx((9.99, 994.005))
    assert to_grey(np.array([low - 5, low, high, high + 5]), low, high).tolist() == [0, 0, 255, 255]


def test_percentiles_of_many_pixels_are_read_off_a_share_of_them():
    image = np.random.default_rng(0).normal(size=(4, 900, 900)).astype(np.float32)
    assert grey_range(image) == pytest.approx(tuple(np.percentile(image, (1, 99.5))), abs=0.02)


def test_an_image_of_one_grey_value_is_black():
    assert to_grey(np.full((2, 2), 7.0), *grey_range(np.full((2, 2), 7.0))).max() == 0


def test_steps_of_a_map_run_from_its_lowest_to_its_highest_value():
    assert to_levels(np.array([-1.0, 0.0, 0.5, 1.0, 9.0]), 0.0, 1.0).tolist() == [0, 0, round((LEVELS - 1) / 2), LEVELS - 1, LEVELS - 1]
    assert to_levels(np.array([3.0, 3.0]), 3.0, 3.0).tolist() == [0, 0]
