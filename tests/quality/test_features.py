from __future__ import annotations

import numpy as np
import pytest

from shortaxis.quality.features import FEATURES, slice_features
from shortaxis.quality.grid_frame import grid_frame

SIZE = 40


def disc(radius: float, x: float = 20, y: float = 20) -> np.ndarray:
    rows, columns = np.mgrid[:SIZE, :SIZE]
    return np.hypot(rows - y, columns - x) <= radius


def labels(*slices: list[tuple[int, np.ndarray]]) -> np.ndarray:
    out = np.zeros((len(slices), SIZE, SIZE), np.uint8)
    for index, parts in enumerate(slices):
        for value, mask in parts:
            out[index][mask] = value
    return out


def heart(x: float = 20, scale: float = 1.0) -> list[tuple[int, np.ndarray]]:
    return [(1, disc(6 * scale, x - 8)), (2, disc(8 * scale, x)), (3, disc(5 * scale, x))]


def certain(choice: np.ndarray, sure: float = 1.0) -> np.ndarray:
    """Probabilities (4, D, G, G) that give the chosen class `sure` and share the rest."""
    p = np.full((4, *choice.shape), (1 - sure) / 3, np.float32)
    np.put_along_axis(p, choice[None].astype(int), sure, axis=0)
    return p


def signs(choice: np.ndarray, members: list[np.ndarray] | None = None, sure: float = 1.0, mm: float = 1.0) -> dict[str, np.ndarray]:
    pooled = certain(choice, sure)
    return slice_features(grid_frame(pooled, np.stack([certain(m) for m in (members or [choice, choice])]), (mm, mm)))


def test_every_sign_has_one_finite_value_a_slice():
    found = signs(labels(heart(), heart(), [], heart(scale=0.4)))
    assert set(found) == set(FEATURES)
    for values in found.values():
        assert values.shape == (4,)
        assert np.isfinite(values).all()


def test_an_even_certain_stack_shows_no_sign_but_its_ends():
    found = signs(labels(*[heart()] * 5))
    for name in ("member_disagreement", "softness", "edge_entropy", "faint_structure", "missing_structure", "area_change", "centroid_jump"):
        np.testing.assert_allclose(found[name], 0, atol=1e-6, err_msg=name)
    assert found["depth_in_heart"].tolist() == [1, 2, 3, 2, 1]


def test_members_that_see_different_things_disagree():
    both, moved, none = labels([(3, disc(5))]), labels([(3, disc(5, x=35))]), labels([])
    assert signs(both, [both, both])["member_disagreement"] == pytest.approx([0])
    assert signs(both, [both, moved])["member_disagreement"] == pytest.approx([1])
    assert signs(both, [both, none])["member_disagreement"] == pytest.approx([1])
    assert signs(none, [none, none])["member_disagreement"] == pytest.approx([0])
    assert signs(both, [both])["member_disagreement"] == pytest.approx([0])


def test_softness_is_one_less_the_expected_dsc():
    mask = labels([(3, disc(5))])
    n, rest = int(disc(5).sum()), int((~disc(5)).sum())
    # LV: 0.7 on the mask, 0.1 elsewhere: DSC expected 2 * 0.7 n / (0.7 n + 0.1 rest + n).
    expected = 1 - 1.4 * n / (1.7 * n + 0.1 * rest)
    assert signs(mask, sure=0.7)["softness"] == pytest.approx([expected], abs=1e-5)
    assert signs(labels([]))["softness"] == pytest.approx([0])


def test_a_missing_structure_is_counted_against_the_neighbour_towards_the_middle():
    only_lv = [(3, disc(5))]
    assert signs(labels(only_lv, heart(), heart(), heart(), []))["missing_structure"].tolist() == [2, 0, 0, 0, 3]


def test_a_faint_structure_is_one_that_the_mask_leaves_out():
    pooled = certain(labels([]))
    pooled[3, 0, :10, :10] = 0.4
    pooled[0, 0, :10, :10] = 0.6
    # 100 pixels of 2 mm by 2 mm at 0.4: 160 mm².
    assert slice_features(grid_frame(pooled, pooled[None], (2.0, 2.0)))["faint_structure"] == pytest.approx([1.6])


def test_jump_and_area_are_measured_in_the_units_of_the_body():
    found = signs(labels(heart(x=15), heart(x=20), heart(x=20), heart(x=20, scale=2 / 3)), mm=2.0)
    assert found["centroid_jump"] == pytest.approx([1.0, 0, 0, 0], abs=0.06)
    assert found["area_change"][3] == pytest.approx(2 * np.log(1.5), rel=0.1)
    assert signs(labels([(3, disc(5))]), mm=1.0)["smallness"] == pytest.approx([1.0 / 0.5642], rel=0.02)
    assert signs(labels([(3, disc(10))]), mm=2.0)["smallness"] == pytest.approx([10 / 20], rel=0.03)


def test_depth_counts_from_the_ends_of_the_heart_and_not_of_the_stack():
    assert signs(labels([], [], [], [], heart(), heart(), heart(), []))["depth_in_heart"].tolist() == [-2, -2, -1, 0, 1, 2, 1, 0]
    assert signs(labels(*[heart()] * 8))["depth_in_heart"].tolist() == [1, 2, 3, 3, 3, 3, 2, 1]


def test_base_and_apex_are_told_by_what_is_shown_or_by_who_calls():
    stack = labels([], [], [], heart(), heart(), heart(scale=0.5), heart(scale=0.3), [])
    # The heart's middle lies between slices 4 and 5, the stack's between 3 and 4.
    assert signs(stack)["basal"].tolist() == [1, 1, 1, 1, 1, 0, 0, 0]
    assert signs(stack[::-1])["basal"].tolist() == [0, 0, 0, 1, 1, 1, 1, 1]
    pooled = certain(stack)
    turned = slice_features(grid_frame(pooled, pooled[None], (1.0, 1.0), basal_first=False))
    assert turned["basal"].tolist() == [0, 0, 0, 0, 0, 1, 1, 1]


def test_an_empty_neighbour_makes_no_jump():
    assert signs(labels(heart(), [], heart()))["centroid_jump"].tolist() == [0, 0, 0]


def test_a_wider_rim_has_more_entropy():
    narrow, wide = certain(labels(heart())), certain(labels(heart()))
    wide[:, 0, :4, :] = 0.25
    edge = [slice_features(grid_frame(p, p[None], (1.0, 1.0)))["edge_entropy"][0] for p in (narrow, wide)]
    assert edge[0] == pytest.approx(0, abs=1e-6)
    # 160 mm² of full entropy over the circumference of a circle with the heart's area.
    area = (labels(heart()) > 0).sum()
    assert edge[1] == pytest.approx(160 / np.sqrt(4 * np.pi * area), rel=1e-4)
