from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shortaxis.quality.shifts import Shift, draw_shift, shifted
from shortaxis.study import Frame


def frame(depth=8, rows=20, columns=30):
    labels = np.zeros((depth, rows, columns), np.uint8)
    for index in range(depth):
        labels[index, 5 : 8 + index, 10:16] = 1 + index % 3
    image = np.random.default_rng(0).uniform(0, 100, labels.shape) + 100 * labels
    return Frame("p_ED", "p", "ED", None, image.astype(np.float32), labels, (8.0, 1.5, 2.0))


def test_the_empty_shift_keeps_labels_and_shape_and_the_order_of_the_greys():
    before = frame()
    after = shifted(before, Shift())
    assert np.array_equal(after.labels, before.labels)
    assert (after.image.shape, after.spacing) == (before.image.shape, before.spacing)
    low, high = np.percentile(before.image, (0.5, 99.5))
    np.testing.assert_allclose(after.image, 1000 * np.clip((before.image - low) / (high - low), 0, 1), atol=0.01)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_quarter_turns_take_labels_and_spacing_along(turns):
    before = frame()
    upright, turned = shifted(before, Shift()), shifted(before, Shift(turns=turns))
    assert np.array_equal(np.rot90(turned.labels, -turns, axes=(1, 2)), before.labels)
    assert np.array_equal(np.rot90(turned.image, -turns, axes=(1, 2)), upright.image)
    assert turned.spacing == ((8.0, 1.5, 2.0) if turns == 2 else (8.0, 2.0, 1.5))


def test_a_short_stack_lacks_slices_at_its_ends():
    before = frame(9)
    after = shifted(before, Shift(stack="short", base=2, apex=1))
    assert np.array_equal(after.labels, before.labels[2:8])
    assert after.image.shape == after.labels.shape


def test_a_stack_of_few_slices_is_not_shortened():
    before = frame(8)
    assert np.array_equal(shifted(before, Shift(stack="short", base=2, apex=1)).labels, before.labels)


def test_a_long_stack_runs_on_into_dark_slices_without_labels():
    before = frame()
    after = shifted(before, Shift(stack="long", base=2, apex=1))
    assert np.array_equal(after.labels[2:-1], before.labels)
    assert not after.labels[[0, 1, -1]].any()
    assert np.ptp(after.image[[0, 1, -1]]) == 0
    assert after.image[0, 0, 0] == after.image.min()


def test_the_field_of_view_is_cut_around_the_heart_and_no_farther_than_the_picture():
    before = frame()
    near = shifted(before, Shift(view_mm=24.0))
    assert near.labels.shape[1:] == (17, 13)  # 24 mm and one pixel: 16 + 1 rows of 1.5 mm, 12 + 1 columns of 2 mm
    assert near.image.shape == near.labels.shape
    assert near.labels.any(axis=(1, 2)).all()
    assert shifted(before, Shift(view_mm=500.0)).labels.shape == before.labels.shape


@pytest.mark.parametrize("change", [{"gamma": 1.4}, {"bend": 0.5}, {"field": 0.3}, {"coarse": 2.0}, {"noise": 0.2}, {"ghost": 0.1}])
def test_another_look_leaves_the_labels_alone_and_is_the_same_each_time(change):
    before = frame()
    first, second = (shifted(before, replace(Shift(seed=4), **change)) for _ in range(2))
    assert np.array_equal(first.labels, before.labels)
    assert np.array_equal(first.image, second.image)
    assert np.isfinite(first.image).all()
    assert not np.allclose(first.image, shifted(before, Shift()).image)


def test_the_frame_that_was_given_is_left_as_it_was():
    before = frame()
    image, labels = before.image.copy(), before.labels.copy()
    shifted(before, Shift(gamma=1.3, noise=0.2, ghost=0.1, turns=1, stack="long", base=1, apex=1))
    assert np.array_equal(before.image, image)
    assert np.array_equal(before.labels, labels)


def test_a_draw_hangs_on_patient_and_number_alone():
    assert draw_shift("patient001", 1) == draw_shift("patient001", 1)
    drawn = {draw_shift(patient, number) for patient in ("patient001", "patient002") for number in (1, 2)}
    assert len(drawn) == 4


def test_draws_stay_within_what_scanners_do_and_reach_every_kind():
    drawn = [draw_shift(f"p{k}") for k in range(200)]
    assert {shift.stack for shift in drawn} == {"whole", "short", "long"}
    assert {shift.turns for shift in drawn} == {0, 1, 2, 3}
    assert all(0.7 < shift.gamma < 1.42 and abs(shift.bend) <= 0.5 and 0 <= shift.noise <= 0.2 for shift in drawn)
    assert all(shift.view_mm is None or 120 <= shift.view_mm <= 170 for shift in drawn)
    # A bend of at most 1 keeps the grey scale in order.
    share = np.linspace(0, 1, 101)
    assert all((np.diff(share + shift.bend * np.sin(2 * np.pi * share) / (2 * np.pi)) > 0).all() for shift in drawn)
