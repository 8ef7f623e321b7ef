from __future__ import annotations

import numpy as np
import pytest

from shortaxis.quality.appearance import APPEARANCE, appearance

SPACING = (8.0, 1.5, 2.0)


@pytest.fixture(scope="module")
def scan():
    rng = np.random.default_rng(3)
    rows, columns = np.mgrid[:61, :51]
    distance = np.hypot((rows - 30) * 1.5, (columns - 25) * 2.0)
    labels = np.zeros((4, 61, 51), np.uint8)
    labels[1:, distance < 24] = 2
    labels[1:, distance < 16] = 3
    image = 40 + 80 * (labels == 3) + 20 * (labels == 2) + rng.normal(0, 4, labels.shape)
    return image, labels


def figures(image, labels, spacing=SPACING):
    return dict(zip(APPEARANCE, appearance(image, labels, spacing), strict=True))


@pytest.mark.parametrize(("scale", "offset"), [(1.0, -500.0), (0.01, 0.0), (37.0, 12.0)])
def test_the_scale_of_the_grey_values_does_not_matter(scan, scale, offset):
    image, labels = scan
    np.testing.assert_allclose(
        appearance(scale * image + offset, labels, SPACING), appearance(image, labels, SPACING), rtol=1e-7, atol=1e-9
    )


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_quarter_turns_do_not_matter(scan, turns):
    image, labels = (np.rot90(array, turns, axes=(1, 2)) for array in scan)
    spacing = SPACING if turns == 2 else (SPACING[0], SPACING[2], SPACING[1])
    np.testing.assert_allclose(appearance(image, labels, spacing), appearance(*scan, SPACING), rtol=1e-7, atol=1e-9)


def test_sizes_and_greys_are_what_they_are_called(scan):
    found = figures(*scan)
    assert np.exp(found["pixel"]) == pytest.approx(np.sqrt(3))
    assert np.exp(found["slice_distance"]) == pytest.approx(8)
    assert np.exp(found["view"]) == pytest.approx(61 * 1.5)
    assert found["contrast"] == pytest.approx(found["blood_brightness"] - found["wall_brightness"])
    assert found["blood_brightness"] > found["wall_brightness"] > 0


def test_noise_raises_the_grain_and_nothing_of_the_geometry(scan):
    image, labels = scan
    noisy = image + np.random.default_rng(0).normal(0, 12, image.shape)
    clear, grainy = figures(image, labels), figures(noisy, labels)
    assert grainy["grain"] > clear["grain"] + 0.5
    assert [grainy[name] for name in ("pixel", "slice_distance", "view")] == [clear[name] for name in ("pixel", "slice_distance", "view")]


def test_a_scan_without_a_heart_cannot_be_described(scan):
    image, labels = scan
    assert appearance(image, np.zeros_like(labels), SPACING) is None
    assert appearance(image, np.where(labels == 2, 0, labels), SPACING) is None


def test_an_even_image_has_finite_figures(scan):
    assert np.isfinite(appearance(np.full(scan[0].shape, 7.0), scan[1], SPACING)).all()
