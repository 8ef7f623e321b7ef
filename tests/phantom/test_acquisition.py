"""The scanner."""

from __future__ import annotations

import numpy as np
import pytest

from shortaxis.phantom.acquisition import Scanner, set_up_scanner
from shortaxis.phantom.scan import Scan

SCAN = Scan((8, 1.4, 1.4), (6, 96, 80), 0, (66, 50), 8)


def plain(noise: float, window: np.ndarray | None = None) -> Scanner:
    sensitivity = np.ones(SCAN.shape, np.float32)
    return Scanner(sensitivity, np.ones(SCAN.shape[1:], np.float32) if window is None else window, noise, 1e4)


def test_air_is_rayleigh_distributed() -> None:
    air = np.zeros(SCAN.shape, np.float32)
    for scanner in (plain(0.02), set_up_scanner(np.random.default_rng(0), SCAN, noise=0.03)):
        picture = scanner.acquire(np.random.default_rng(1), air)
        assert picture.mean() / picture.std() == pytest.approx(np.sqrt(np.pi / (4 - np.pi)), rel=0.03)
        assert (picture >= 0).all()


def test_air_of_an_unfiltered_picture_has_the_mean_of_the_noise_asked_for() -> None:
    picture = plain(0.02).acquire(np.random.default_rng(1), np.zeros(SCAN.shape, np.float32))
    assert picture.mean() == pytest.approx(0.02 * 1e4 * np.sqrt(np.pi / 2), rel=0.01)


def test_bright_tissue_has_gaussian_noise_and_the_rician_bias() -> None:
    picture = plain(0.1).acquire(np.random.default_rng(1), np.full(SCAN.shape, 0.5, np.float32))
    assert np.square(picture / 1e4).mean() == pytest.approx(0.5**2 + 2 * 0.1**2, rel=0.01)
    assert picture.std() / 1e4 == pytest.approx(0.1, rel=0.05)


def test_without_noise_the_picture_is_the_magnitude_of_the_signal_in_whole_numbers() -> None:
    signal = np.random.default_rng(0).uniform(-1, 1, SCAN.shape).astype(np.float32)
    picture = plain(0.0).acquire(np.random.default_rng(1), signal)
    np.testing.assert_allclose(picture, np.abs(signal) * 1e4, atol=0.51)
    np.testing.assert_array_equal(picture, np.rint(picture))


def test_water_and_fat_cancel_in_the_voxel_between_them() -> None:
    signal = np.ones(SCAN.shape, np.float32)
    signal[:, :, 40:] = -1
    scanner = set_up_scanner(np.random.default_rng(0), SCAN, noise=0)
    picture = plain(0, scanner.window).acquire(np.random.default_rng(1), signal)
    assert picture[:, :, 38:42].min() < 0.5 * picture[:, :, 20].mean()


def test_point_spread_keeps_the_level_and_blurs_a_point() -> None:
    scanner = set_up_scanner(np.random.default_rng(0), SCAN, noise=0)
    flat = plain(0, scanner.window).acquire(np.random.default_rng(1), np.ones(SCAN.shape, np.float32))
    np.testing.assert_allclose(flat, 1e4, atol=1)
    point = np.zeros(SCAN.shape, np.float32)
    point[:, 48, 40] = 1
    spread = plain(0, scanner.window).acquire(np.random.default_rng(1), point)
    assert spread.argmax() % (96 * 80) == 48 * 80 + 40
    assert 0.1e4 < spread.max() < 0.8e4


@pytest.mark.parametrize("seed", range(8))
def test_bias_field_is_smooth_and_near_one_at_the_heart(seed: int) -> None:
    sensitivity = set_up_scanner(np.random.default_rng(seed), SCAN).sensitivity
    assert sensitivity[:, 40:55, 28:44] == pytest.approx(1, abs=0.25)
    assert np.abs(np.diff(sensitivity, axis=2)).max() < 0.2
    assert sensitivity.std() > 0.01
