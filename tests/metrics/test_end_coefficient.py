"""Eq. 6 in its two readings, on hand-worked frames."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shortaxis.metrics.end_coefficient import end_coefficient, end_slices, paper_end_score, passes, reference_end_score
from shortaxis.metrics.overlap import slice_confusion

# One slice with two pixels of every class, and the same with one LV pixel called MYO: BG 1, RV 1, MYO 4/5, LV 2/3.
FULL = np.array([[0, 0, 1, 1], [2, 2, 3, 3]], np.uint8)
FLAWED = np.array([[0, 0, 1, 1], [2, 2, 2, 3]], np.uint8)
EMPTY = np.zeros((2, 4), np.uint8)
NO_LV = np.array([[0, 0, 1, 1], [2, 2, 0, 0]], np.uint8)
FLAWED_THREE = (1 + 4 / 5 + 2 / 3) / 3
FLAWED_FOUR = (1 + 1 + 4 / 5 + 2 / 3) / 4


def scores(truth, prediction):
    confusion = slice_confusion(np.stack(truth), np.stack(prediction))
    return reference_end_score(confusion), paper_end_score(confusion)


@pytest.mark.parametrize(("depth", "slices"), [(1, {0}), (2, {0, 1}), (3, {0, 1, 2}), (4, {0, 1, 2, 3}), (10, {0, 1, 8, 9})])
def test_end_slices_are_the_first_and_last_two_each_once(depth, slices):
    assert set(end_slices(depth)) == slices
    assert len(end_slices(depth)) == len(slices)


def test_end_slices_come_in_the_order_of_the_authors_code():
    assert end_slices(6) == (0, 5, 1, 4)


def test_a_frame_without_slices_is_refused():
    with pytest.raises(ValueError, match="at least one slice"):
        end_slices(0)


def test_middle_slices_do_not_matter():
    assert scores([FULL] * 5, [FULL, FULL, EMPTY, FULL, FULL]) == (1.0, 1.0)


def test_reference_averages_four_classes_and_paper_three():
    reference, paper = scores([FULL] * 4, [FLAWED, FULL, FULL, FULL])
    assert reference == pytest.approx((FLAWED_FOUR + 3) / 4)
    assert paper == pytest.approx((FLAWED_THREE + 3) / 4)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_short_frames_count_each_slice_once(depth):
    reference, paper = scores([FULL] * depth, [FLAWED] + [FULL] * (depth - 1))
    assert reference == pytest.approx((FLAWED_FOUR + depth - 1) / depth)
    assert paper == pytest.approx((FLAWED_THREE + depth - 1) / depth)


def test_reference_rewards_an_empty_slice_that_is_left_empty_and_paper_ignores_it():
    reference, paper = scores([EMPTY, FULL, FULL, FULL], [EMPTY, FLAWED, FULL, FULL])
    assert reference == pytest.approx((1 + FLAWED_FOUR + 2) / 4)
    assert paper == pytest.approx((FLAWED_THREE + 2) / 3)


def test_reference_scores_a_structure_invented_in_an_empty_slice_as_zero():
    # BG 2·2/(8+2); the three structures 0.
    assert scores([EMPTY], [FULL])[0] == pytest.approx((2 * 2 / (8 + 2)) / 4)


def test_paper_counts_only_slices_in_which_all_three_are_annotated():
    _, paper = scores([NO_LV, FULL, FULL, FULL], [EMPTY, FULL, FULL, FULL])
    assert paper == 1.0


def test_paper_scores_an_empty_prediction_zero():
    reference, paper = scores([FULL] * 4, [EMPTY] * 4)
    assert paper == 0.0
    assert reference == pytest.approx((2 * 2 / (2 + 8)) / 4)


def test_paper_does_not_count_a_frame_without_a_fully_annotated_end_slice():
    _, paper = scores([NO_LV, EMPTY, FULL, EMPTY, NO_LV], [NO_LV, EMPTY, FULL, EMPTY, NO_LV])
    assert np.isnan(paper)


def test_the_threshold_is_strict():
    np.testing.assert_array_equal(passes([0.8, np.nextafter(0.8, 1), np.nan]), [0, 1, np.nan])


def test_end_coefficient_is_the_share_of_the_frames_that_count():
    assert end_coefficient([0.9, 0.7, np.nan, 0.81, 0.8]) == 0.5


def test_end_coefficient_without_a_frame_that_counts_is_undefined():
    assert np.isnan(end_coefficient([np.nan, np.nan]))
    assert np.isnan(end_coefficient([]))


@pytest.mark.parametrize("scores", [[91.0, 70.0, 99.0], [0.9, -0.1], [np.inf]])
def test_scores_in_per_cent_and_others_outside_0_and_1_are_refused(scores):
    with pytest.raises(ValueError, match=r"in \[0, 1\], not at .*per cent"):
        end_coefficient(scores)


@pytest.mark.parametrize("score", [reference_end_score, paper_end_score])
def test_labels_in_place_of_counts_are_refused(score):
    with pytest.raises(ValueError, match=r"\(D, 4, 4\), not \(3, 2, 4\)"):
        score(np.stack([FULL] * 3))


@given(st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_scores_are_symmetric_in_reference_one_for_identity_and_within_0_and_1(depth, seed):
    generator = np.random.default_rng(seed)
    truth, prediction = generator.integers(0, 4, (2, depth, 3, 3)).astype(np.uint8)
    there, back, same = (slice_confusion(a, b) for a, b in ((truth, prediction), (prediction, truth), (truth, truth)))
    assert reference_end_score(there) == pytest.approx(reference_end_score(back))
    assert reference_end_score(same) == 1.0
    assert np.isnan(paper_end_score(same)) or paper_end_score(same) == 1.0
    assert 0 <= reference_end_score(there) <= 1
    assert np.isnan(paper_end_score(there)) or 0 <= paper_end_score(there) <= 1
