"""The grids and their inverses, against positions in mm, hand-worked rows, SciPy and SimpleITK."""

from __future__ import annotations

import math

import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import ndimage

from shortaxis.errors import InputError
from shortaxis.labels import FOREGROUND, N_CLASSES
from shortaxis.phantom import make_phantom
from shortaxis.preprocessing import PhysicalGrid, StretchedGrid, build_grid, grid_to_dict

quick = settings(max_examples=40)
spacings = st.tuples(st.floats(0.6, 2.5), st.floats(0.6, 2.5))
shapes = st.tuples(st.integers(2, 50), st.integers(2, 50))
grids = st.one_of(
    st.builds(PhysicalGrid, st.floats(0.6, 2.5), st.integers(1, 40)),
    st.builds(StretchedGrid, st.integers(1, 40)),
)


def from_centre(n: int, mm: float) -> np.ndarray:
    """Positions in mm of the centres of n pixels, from the middle of the image."""
    return (np.arange(n) - (n - 1) / 2) * mm


def dsc(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * float((a & b).sum()) / float(a.sum() + b.sum())


@quick
@given(grids, shapes, spacings, st.floats(-1e4, 1e4))
def test_a_constant_image_stays_constant_there_and_back(grid, shape, spacing, value: float) -> None:
    there = grid.sample(np.full((2, *shape), value), spacing)
    assert there.shape == (2, grid.size, grid.size)
    back = grid.restore(there, shape, spacing)
    assert back.shape == (2, *shape)
    assert there.dtype == back.dtype == np.float32
    assert_allclose(there, value, rtol=1e-5, atol=1e-5)
    assert_allclose(back, value, rtol=1e-5, atol=1e-5)


@quick
@given(grids, shapes, spacings, st.integers(0, 2**32 - 1))
def test_values_stay_within_their_range_and_probabilities_sum_to_one(grid, shape, spacing, seed: int) -> None:
    probabilities = np.random.default_rng(seed).dirichlet([0.3] * 4, (grid.size, grid.size)).transpose(2, 0, 1)
    back = grid.restore(probabilities, shape, spacing)
    assert back.min() >= 0
    assert back.max() <= 1 + 1e-5
    assert_allclose(back.sum(axis=0), 1, rtol=1e-5)


@quick
@given(grids, shapes, spacings, st.integers(0, 2**32 - 1))
def test_every_slice_is_sampled_like_any_other_and_flipping_commutes(grid, shape, spacing, seed: int) -> None:
    stack = np.random.default_rng(seed).normal(size=(3, *shape))
    sampled = grid.sample(stack, spacing)
    assert_allclose(sampled[1], grid.sample(stack[1], spacing), atol=1e-5)
    assert_allclose(grid.sample(stack[:, ::-1], spacing), sampled[:, ::-1], atol=1e-4)
    assert_allclose(grid.sample(stack[..., ::-1], spacing), sampled[..., ::-1], atol=1e-4)
    assert_allclose(grid.sample(stack.swapaxes(1, 2), spacing[::-1]), sampled.swapaxes(1, 2), atol=1e-4)


class TestPhysicalGrid:
    @quick
    @given(st.floats(0.5, 1.0), st.floats(1.0, 2.5), st.integers(20, 60), st.integers(8, 40))
    def test_linear_ramp_keeps_its_place_in_mm_on_a_finer_grid(self, grid_mm: float, mm: float, n: int, size: int) -> None:
        """The value of each pixel is its own position in mm, so what the grid holds must be the grid's positions."""
        rows = np.broadcast_to(from_centre(n, mm)[:, None], (n, n))
        sampled = PhysicalGrid(grid_mm, size).sample(rows, (mm, mm))[:, size // 2]
        edge = (n - 1) / 2 * mm
        assert_allclose(sampled, np.clip(from_centre(size, grid_mm), -edge, edge), atol=1e-3)

    @quick
    @given(st.floats(1.0, 4.0), st.integers(60, 70), st.integers(4, 12))
    def test_linear_ramp_keeps_its_place_to_a_tenth_of_a_pixel_on_a_coarser_grid(self, grid_mm: float, n: int, size: int) -> None:
        rows = np.broadcast_to(from_centre(n, 1.0)[:, None], (n, n))
        sampled = PhysicalGrid(grid_mm, size).sample(rows, (1.0, 1.0))[:, size // 2]
        assert_allclose(sampled, from_centre(size, grid_mm), atol=0.1)

    def test_coarser_grid_averages_with_a_triangle_as_wide_as_its_pixels(self) -> None:
        """Four pixels of 1 mm on two of 2 mm: centres at 0.5 and 2.5, weights 1 - distance / 2 at 0, 1, 2 (and 1, 2, 3)."""
        image = np.array([[1.0, 10.0, 100.0, 1000.0]] * 4)
        row = PhysicalGrid(2.0, 2).sample(image, (1.0, 1.0))[0]
        weights = np.array([0.75, 0.75, 0.25])
        assert_allclose(row, [weights @ [1, 10, 100] / 1.75, weights[::-1] @ [10, 100, 1000] / 1.75], rtol=1e-6)

    def test_fine_detail_is_averaged_and_not_skipped_on_a_coarser_grid(self) -> None:
        """Stripes of one pixel become grey, where plain interpolation would show false, broad stripes."""
        stripes = np.tile([0.0, 1.0], (60, 30))
        sampled = PhysicalGrid(2.9, 10).sample(stripes, (1.0, 1.0))
        assert_allclose(sampled, 0.5, atol=0.06)

    def test_same_grid_changes_nothing(self) -> None:
        image = np.random.default_rng(0).normal(size=(2, 9, 9)).astype(np.float32)
        assert_allclose(PhysicalGrid(1.3, 9).sample(image, (1.3, 1.3)), image, atol=1e-6)

    def test_smaller_grid_crops_the_middle_and_a_larger_one_repeats_the_edge(self) -> None:
        image = np.arange(25.0).reshape(5, 5)
        assert_allclose(PhysicalGrid(1.0, 3).sample(image, (1.0, 1.0)), image[1:4, 1:4], atol=1e-5)
        assert_allclose(PhysicalGrid(1.0, 9).sample(image, (1.0, 1.0)), np.pad(image, 2, mode="edge"), atol=1e-5)

    @quick
    @given(st.floats(0.5, 1.0), st.tuples(st.floats(1.0, 2.0), st.floats(1.0, 2.0)), shapes, st.integers(0, 2**32 - 1))
    def test_finer_grid_equals_linear_interpolation_by_scipy(self, grid_mm: float, spacing, shape, seed: int) -> None:
        image = np.random.default_rng(seed).normal(size=shape)
        size = 24
        at = [from_centre(size, grid_mm) / mm + (n - 1) / 2 for n, mm in zip(shape, spacing, strict=True)]
        expected = ndimage.map_coordinates(image, np.meshgrid(*at, indexing="ij"), order=1, mode="nearest")
        assert_allclose(PhysicalGrid(grid_mm, size).sample(image, spacing), expected, atol=1e-4)

    def test_finer_grid_equals_simpleitk_on_concentric_images(self) -> None:
        image = np.random.default_rng(1).normal(size=(21, 30)).astype(np.float32)
        spacing, grid = (1.7, 1.4), PhysicalGrid(1.1, 20)
        moving = SimpleITK.GetImageFromArray(image)
        moving.SetSpacing(spacing[::-1])
        moving.SetOrigin([from_centre(30, 1.4)[0], from_centre(21, 1.7)[0]])
        reference = SimpleITK.Image(20, 20, SimpleITK.sitkFloat32)
        reference.SetSpacing([1.1, 1.1])
        reference.SetOrigin([from_centre(20, 1.1)[0]] * 2)
        expected = SimpleITK.GetArrayFromImage(SimpleITK.Resample(moving, reference, SimpleITK.Transform(), SimpleITK.sitkLinear))
        assert_allclose(grid.sample(image, spacing), expected, atol=1e-4)

    @pytest.mark.parametrize("spacing", [(0.8, 0.8), (1.25, 1.25), (2.0, 1.6)])
    def test_a_blob_stays_where_it_is_in_mm(self, spacing: tuple[float, float]) -> None:
        shape = (130, 141)
        y, x = (from_centre(n, mm) for n, mm in zip(shape, spacing, strict=True))
        blob = np.exp(-((y[:, None] - 11.3) ** 2 + (x - -7.7) ** 2) / (2 * 6**2))
        grid = PhysicalGrid(1.25, 96)
        sampled = grid.sample(blob, spacing)
        positions = from_centre(96, 1.25)
        assert positions @ sampled.sum(axis=1) / sampled.sum() == pytest.approx(11.3, abs=0.05)
        assert positions @ sampled.sum(axis=0) / sampled.sum() == pytest.approx(-7.7, abs=0.05)
        back = grid.restore(sampled, shape, spacing)
        assert y @ back.sum(axis=1) / back.sum() == pytest.approx(11.3, abs=0.05)
        assert x @ back.sum(axis=0) / back.sum() == pytest.approx(-7.7, abs=0.05)

    def test_covers_what_lies_within_its_outer_edge(self) -> None:
        """Ten pixels of 1 mm reach 5 mm from the middle: of 2 mm pixels at ±1, ±3, ±5, ±7 the first three."""
        covered = PhysicalGrid(1.0, 10).covers((8, 2), (2.0, 2.0))
        assert covered.tolist() == [[row not in {0, 7}] * 2 for row in range(8)]

    @pytest.mark.parametrize("millimetres", [0, -1.25, math.nan, math.inf, "1.25"])
    def test_spacing_must_be_a_length(self, millimetres) -> None:
        with pytest.raises(InputError, match="spacing_mm must be a length above zero"):
            PhysicalGrid(millimetres)


class TestStretchedGrid:
    def test_spacing_is_ignored(self) -> None:
        image = np.random.default_rng(0).normal(size=(10, 14))
        grid = StretchedGrid(7)
        assert np.array_equal(grid.sample(image, (1.0, 1.0)), grid.sample(image, (1.0, 9.0)))
        assert np.array_equal(grid.restore(image, (5, 6), (1.0, 1.0)), grid.restore(image, (5, 6), (1.0, 9.0)))

    def test_outer_edges_meet(self) -> None:
        """Two pixels over four: centres at a quarter and three quarters of the way, so at -0.25, 0.25, 0.75, 1.25 of the pixels 0 and 1."""
        image = np.array([[0.0, 8.0]] * 2)
        assert_allclose(StretchedGrid(4).sample(image, (1.0, 1.0))[0], [0.0, 2.0, 6.0, 8.0], atol=1e-5)

    def test_enlarging_equals_scipy_with_pixels_as_areas(self) -> None:
        image = np.random.default_rng(2).normal(size=(9, 13))
        expected = ndimage.zoom(image, (40 / 9, 40 / 13), order=1, mode="nearest", grid_mode=True)
        assert_allclose(StretchedGrid(40).sample(image, (1.0, 1.0)), expected, atol=1e-4)

    def test_covers_the_whole_image(self) -> None:
        assert StretchedGrid(4).covers((50, 3), (1.0, 1.0)).tolist() == [[True] * 3] * 50


def test_pixels_have_one_size_on_the_physical_grid_and_the_image_s_own_on_the_stretched() -> None:
    """100 rows of 2 mm over 50 pixels are 4 mm each; 80 columns of 1.5 mm are 2.4 mm each."""
    assert PhysicalGrid(1.25, 50).pixel_mm((100, 80), (2.0, 1.5)) == (1.25, 1.25)
    assert StretchedGrid(50).pixel_mm((100, 80), (2.0, 1.5)) == (4.0, 2.4)


@pytest.mark.parametrize("spacing", [(8.0, 0.9, 0.9), (8.0, 1.25, 1.25), (8.0, 1.8, 1.8)], ids=["finer", "equal", "coarser"])
@pytest.mark.parametrize("grid", [PhysicalGrid(1.25, 224), StretchedGrid(224)], ids=["physical", "stretched"])
def test_labels_survive_the_way_to_the_grid_and_back(grid, spacing) -> None:
    """Masks as probabilities on the grid, back by interpolation, then argmax: the way of every segmentation."""
    labels = make_phantom(3, n_slices=4, spacing=spacing, phases=("ED",)).labels[0]
    one_hot = np.eye(N_CLASSES, dtype=np.float32)[labels].transpose(3, 0, 1, 2)
    in_plane = spacing[1:]
    back = grid.restore(grid.sample(one_hot, in_plane), labels.shape[1:], in_plane).argmax(axis=0)
    for structure in FOREGROUND:
        assert dsc(back == structure, labels == structure) > 0.99


@pytest.mark.parametrize("grid", [PhysicalGrid(1.5, 192), StretchedGrid(64)])
def test_a_grid_survives_plain_types(grid) -> None:
    assert build_grid(**grid_to_dict(grid)) == grid


@pytest.mark.parametrize("cls", [PhysicalGrid, StretchedGrid])
@pytest.mark.parametrize("size", [0, -3, 10**6, 22.5, "224"])
def test_size_must_be_a_sensible_number_of_pixels(cls, size) -> None:
    with pytest.raises(InputError, match="size must be a whole number"):
        cls(size=size)


def test_unknown_grid_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="'polar'; known are physical, stretched"):
        build_grid("polar")


@pytest.mark.parametrize(("kind", "options"), [("stretched", {"spacing_mm": 1.0}), ("physical", {"edge": 3})])
def test_option_that_does_not_fit_is_refused(kind: str, options: dict) -> None:
    with pytest.raises(InputError, match=f"grid '{kind}' does not take the options"):
        build_grid(kind, **options)
