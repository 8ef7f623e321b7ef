"""Masks against the continuous shapes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from shortaxis.labels import Structure
from shortaxis.phantom.geometry import Heart
from shortaxis.phantom.groups import GROUPS, draw_patient
from shortaxis.phantom.masks import draw_masks
from shortaxis.phantom.scan import Scan, plan_scan

CROSS = ndimage.generate_binary_structure(2, 1)


def drawn(group: str, spacing: tuple, n_slices: int, seed: int = 1, slope: tuple = (0.03, 0.1)) -> tuple[Heart, Scan, list, np.ndarray]:
    """Masks at ED and ES on a grid that holds the whole heart, the tilted base included."""
    rng = np.random.default_rng(seed)
    heart = Heart(draw_patient(rng, group), slope)
    matrix = tuple(int(200 / mm) for mm in spacing[1:])
    planned = plan_scan(rng, heart, spacing=spacing, n_slices=n_slices, matrix=matrix)
    scan = Scan(planned.spacing, planned.shape, first=-16.0, centre=planned.centre, thickness=planned.thickness)
    states = [heart.state(0.0), heart.state(1.0)]
    return heart, scan, states, draw_masks(heart, scan, states)


@pytest.mark.parametrize("group", GROUPS)
def test_finely_sampled_masks_have_the_stated_volumes(group: str) -> None:
    heart, scan, states, labels = drawn(group, (1.5, 1.0, 1.0), 95)
    ml = np.prod(scan.spacing) / 1000
    for phase, state in enumerate(states):
        assert (labels[phase] == Structure.LV).sum() * ml == pytest.approx(state.lv_ml, rel=0.005)
        assert (labels[phase] == Structure.RV).sum() * ml == pytest.approx(state.rv_ml, rel=0.005)
        assert (labels[phase] == Structure.MYO).sum() * ml == pytest.approx(heart.wall_ml, rel=0.005)


def test_volumes_converge_to_the_truth_as_the_grid_becomes_finer() -> None:
    def worst(spacing: tuple, n_slices: int) -> float:
        errors = []
        for seed in range(4):
            _, scan, states, labels = drawn("NOR", spacing, n_slices, seed)
            counted = (labels[1] == Structure.LV).sum() * np.prod(scan.spacing) / 1000
            errors.append(abs(counted / states[1].lv_ml - 1))
        return max(errors)

    coarse, middle, fine = worst((10, 2.5, 2.5), 15), worst((5, 1.5, 1.5), 29), worst((2, 1.0, 1.0), 70)
    assert fine < middle < coarse
    assert fine < 0.01


def test_a_slice_that_the_tilted_valve_plane_crosses_is_labelled_in_part() -> None:
    _, scan, _, labels = drawn("NOR", (2, 1.5, 1.5), 60, slope=(0.0, 0.15))
    seen = labels[0].any(axis=(1, 2))
    areas = (labels[0] > 0).sum(axis=(1, 2))
    first = int(np.argmax(seen))
    assert areas[first] < 0.3 * areas.max()
    # The plane is lower on the right, so the left side of the heart shows first.
    assert scan.x[0, np.nonzero(labels[0, first])[1]].mean() < -20


@pytest.mark.parametrize("group", GROUPS)
def test_cavity_is_enclosed_by_muscle_where_the_slice_lies_below_the_valve_plane(group: str) -> None:
    heart, scan, states, labels = drawn(group, (5, 1.9, 1.9), 28)
    for phase, state in enumerate(states):
        lowest = state.base + max(heart.extent()) * (abs(heart.slope[0]) + abs(heart.slope[1]))
        for position, mask in zip(scan.z[:, 0, 0], labels[phase], strict=True):
            cavity = mask == Structure.LV
            if position > lowest and cavity.any():
                around = ndimage.binary_dilation(cavity, CROSS) & ~cavity
                assert (mask[around] == Structure.MYO).all()


@pytest.mark.parametrize("group", GROUPS)
def test_right_ventricle_leans_on_the_muscle_and_never_touches_the_left_cavity(group: str) -> None:
    _, _, _, labels = drawn(group, (8, 1.5, 1.5), 18)
    slices = [mask for mask in labels.reshape(-1, *labels.shape[2:]) if (mask == Structure.RV).any()]
    assert len(slices) > 10
    for mask in slices:
        near = ndimage.binary_dilation(mask == Structure.RV, CROSS)
        assert (mask[near] == Structure.MYO).any()
        assert not (mask[near] == Structure.LV).any()


@pytest.mark.parametrize("group", GROUPS)
def test_each_structure_is_one_piece_in_a_slice_below_the_base(group: str) -> None:
    _, scan, states, labels = drawn(group, (8, 1.5, 1.5), 18)
    for phase, state in enumerate(states):
        for mask in labels[phase][scan.z[:, 0, 0] > state.base + 15]:
            for structure in (Structure.LV, Structure.MYO):
                assert ndimage.label(mask == structure)[1] <= 1


def test_base_leaves_the_top_slices_in_systole() -> None:
    _, _, _, labels = drawn("NOR", (5, 1.9, 1.9), 28)
    shown = labels.any(axis=(2, 3))
    assert shown[0].argmax() + 2 <= shown[1].argmax()
