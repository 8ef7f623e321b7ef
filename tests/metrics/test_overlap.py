"""Eq. 5 and the rules for structures that are absent."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from shortaxis.labels import Structure
from shortaxis.metrics.overlap import dsc, dsc_of_confusion, dsc_of_counts, exchanged, slice_confusion

labels_3d = hnp.arrays(np.uint8, (3, 5, 4), elements=st.integers(0, 3))


def test_dsc_of_hand_worked_masks():
    truth = np.array([[1, 1, 1, 0], [0, 0, 0, 0]])
    prediction = np.array([[0, 1, 1, 1], [1, 1, 0, 0]])
    assert dsc(truth, prediction) == pytest.approx(2 * 2 / (3 + 5))


def test_equation_5_of_hand_worked_counts():
    np.testing.assert_allclose(dsc_of_counts([2, 0, 5], [8, 3, 10]), [0.5, 0.0, 1.0])
    np.testing.assert_array_equal(dsc_of_counts([[2.0], [0.0]], [8, 0]), [[0.5, np.nan], [0.0, np.nan]])
    assert dsc_of_counts(0, 0, absent=1.0) == 1.0


def test_absent_on_one_side_scores_zero():
    empty, full = np.zeros((2, 2)), np.ones((2, 2))
    assert dsc(full, empty) == 0.0
    assert dsc(empty, full) == 0.0


def test_absent_on_both_sides_is_undefined_unless_the_caller_says():
    empty = np.zeros((2, 2))
    assert np.isnan(dsc(empty, empty))
    assert dsc(empty, empty, absent=1.0) == 1.0


@pytest.mark.parametrize("function", [dsc, slice_confusion])
def test_unequal_shapes_are_refused(function):
    with pytest.raises(ValueError, match=r"\(1, 2, 2\).*\(1, 2, 3\)"):
        function(np.zeros((1, 2, 2), np.uint8), np.zeros((1, 2, 3), np.uint8))


def test_confusion_counts_true_by_predicted_for_each_slice():
    truth = np.array([[[0, 1, 2, 3]], [[3, 3, 3, 3]]], np.uint8)
    prediction = np.array([[[0, 1, 3, 3]], [[3, 3, 2, 0]]], np.uint8)
    expected = np.zeros((2, 4, 4), int)
    for true, predicted in ((0, 0), (1, 1), (2, 3), (3, 3)):
        expected[0, true, predicted] += 1
    expected[1, 3, [3, 2, 0]] = [2, 1, 1]
    np.testing.assert_array_equal(slice_confusion(truth, prediction), expected)


def test_absent_class_in_a_confusion_takes_the_value_that_was_asked_for():
    confusion = np.diag([5, 0, 2, 1])
    confusion[Structure.MYO, Structure.LV] = 2
    np.testing.assert_allclose(dsc_of_confusion(confusion, absent=1.0), [1, 1, 2 * 2 / (4 + 2), 2 * 1 / (1 + 3)])
    assert np.isnan(dsc_of_confusion(confusion)[Structure.RV])


@given(labels_3d, labels_3d)
@settings(max_examples=50)
def test_confusion_gives_the_dsc_of_simpleitk(truth, prediction):
    scores = dsc_of_confusion(slice_confusion(truth, prediction).sum(0))
    oracle = SimpleITK.LabelOverlapMeasuresImageFilter()
    oracle.Execute(SimpleITK.GetImageFromArray(truth), SimpleITK.GetImageFromArray(prediction))
    for structure in (1, 2, 3):
        if (truth == structure).any():  # SimpleITK refuses a label that the first image has not
            assert scores[structure] == pytest.approx(oracle.GetDiceCoefficient(structure))
            assert dsc(truth == structure, prediction == structure) == pytest.approx(oracle.GetDiceCoefficient(structure))


@given(labels_3d, labels_3d)
def test_dsc_is_symmetric_and_within_0_and_1(truth, prediction):
    scores = dsc_of_confusion(slice_confusion(truth, prediction), absent=1.0)
    np.testing.assert_array_equal(scores, dsc_of_confusion(slice_confusion(prediction, truth), absent=1.0))
    assert ((scores >= 0) & (scores <= 1)).all()


@given(labels_3d)
def test_dsc_of_a_segmentation_with_itself_is_1(labels):
    assert (dsc_of_confusion(slice_confusion(labels, labels), absent=1.0) == 1.0).all()


@pytest.mark.parametrize("stray", [np.full((1, 2, 2), 4), np.full((1, 2, 2), -1), np.zeros((1, 2, 2)), np.zeros((1, 2, 2), bool)])
@pytest.mark.parametrize("side", [0, 1])
def test_what_is_no_label_is_not_counted(stray, side):
    both = [np.zeros((1, 2, 2), np.uint8)] * 2
    both[side] = stray
    with pytest.raises(ValueError, match=f"{('truth', 'prediction')[side]} .*labels 0 to 3"):
        slice_confusion(*both)


@pytest.mark.parametrize("names", [(1, 3, 2), (2, 1, 3), (3, 2, 1), (2, 3, 1), (3, 1, 2)])
def test_structures_under_other_names_are_found_whatever_the_order(names):
    truth = np.arange(4).repeat(30).astype(np.uint8)[None, None]
    prediction = np.array([0, *names], np.uint8)[np.roll(truth, 1)]
    assert exchanged(slice_confusion(truth, prediction).sum(0)) == dict(zip((1, 2, 3), names, strict=True))


@pytest.mark.parametrize(
    "confusion",
    [
        np.diag([9, 9, 9, 9]),  # all is right
        [[9, 0, 0, 0], [9, 0, 0, 0], [0, 0, 9, 0], [9, 0, 0, 0]],  # RV and LV missed
        [[9, 0, 0, 0], [0, 0, 0, 5], [0, 0, 9, 0], [0, 0, 0, 9]],  # both cavities called LV
        [[9, 0, 0, 0], [0, 1, 0, 8], [0, 0, 9, 0], [0, 8, 0, 1]],  # exchanged, but for more than a tenth
        np.zeros((4, 4), int),
    ],
)
def test_what_is_merely_wrong_is_not_called_exchanged(confusion):
    assert exchanged(np.array(confusion)) == {}
