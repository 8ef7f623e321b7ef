from __future__ import annotations

import numpy as np
import pytest

from shortaxis.quality.evidence import SIGNS
from shortaxis.quality.features import slice_features
from shortaxis.quality.grid_frame import grid_frame, heart_span, neighbour_index, ratio
from shortaxis.quality.phase_signs import PhaseView, phase_signs
from shortaxis.quality.structure_signs import doubt_of_presence

SIZE = 24


def probabilities(radii: list[float], seed: int = 0) -> np.ndarray:
    """(4, D, G, G): rings of myocardium around a cavity of these radii, unsure as they please; a slice of radius 0 is surely blank."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    distance = np.hypot(rows - 12, columns - 11)
    p = np.zeros((4, len(radii), SIZE, SIZE), np.float32)
    p[0] = 1
    for index, radius in enumerate(radii):
        if radius:
            choice = np.where(distance < radius, 3, np.where(distance < radius + 2, 2, 0))
            choice[:4, 4:9] = 1
            soft = rng.uniform(0.0, 0.2, (4, SIZE, SIZE))
            np.put_along_axis(soft, choice[None], 0.5, axis=0)
            p[:, index] = soft / soft.sum(axis=0)
    return p


def signs(radii: list[float], other: list[float], seed: int = 0) -> dict[str, np.ndarray]:
    frames = [grid_frame(p, np.stack([p, np.roll(p, 1, axis=3)]), (2.0, 2.0), True) for p in map(probabilities, (radii, other))]
    views = [PhaseView.of(frame, doubt_of_presence(frame)) for frame in frames]
    return slice_features(frames[0]) | phase_signs(*views)


@pytest.mark.parametrize("radii", [[6, 7, 6, 4, 3], [5, 6], [6], [6, 5, 4, 3]])
@pytest.mark.parametrize(("before", "after"), [(3, 0), (1, 2)])
def test_blank_slices_around_the_stack_change_no_sign_of_a_slice_of_the_heart(radii, before, after):
    smaller = [radius - 1 for radius in radii]
    # The noise of a slice hangs on how many were drawn before it: blank slices draw nothing.
    alone = signs(radii, smaller)
    padded = signs([0] * before + radii + [0] * after, [0] * before + smaller + [0] * after)
    assert set(alone) == set(SIGNS)
    for name, values in alone.items():
        np.testing.assert_allclose(padded[name][before : before + len(radii)], values, atol=1e-6, err_msg=name)


def test_the_neighbour_lies_towards_the_middle_of_the_heart():
    assert neighbour_index(7, (0, 6)).tolist() == [1, 2, 3, 2, 3, 4, 5]
    assert neighbour_index(7, (3, 6)).tolist() == [1, 2, 3, 4, 5, 4, 5]
    assert neighbour_index(4, (2, 2)).tolist() == [1, 2, 2, 2]
    assert neighbour_index(1, (0, 0)).tolist() == [0]


def test_the_span_of_the_heart_is_the_whole_stack_where_nothing_is_shown():
    assert heart_span([False, True, False, True, False]) == (1, 3)
    assert heart_span([False] * 5) == (0, 4)


def test_two_empty_masks_agree():
    assert ratio(np.array([1.0, 0.0]), np.array([4.0, 0.0])).tolist() == [0.25, 1.0]
