"""HD95 and ASSD against hand-worked cases, brute force and SimpleITK."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp
from scipy.spatial import cKDTree

from shortaxis.metrics.surface import directed_distances, surface_distance

SPACING = (8.0, 1.5, 1.25)
masks = hnp.arrays(bool, (4, 6, 7))


def brute_surface_points(mask, spacing):
    """Centres in mm of the voxels that have a face neighbour outside the mask or the image."""
    padded = np.pad(mask, 1)
    points = []
    for index in np.argwhere(padded):
        for axis in range(3):
            for step in (-1, 1):
                neighbour = index.copy()
                neighbour[axis] += step
                if not padded[tuple(neighbour)]:
                    points.append(tuple(index))
    return np.array(sorted(set(points))) * spacing


def blob(centre, radii, shape=(9, 40, 44)):
    grid = np.indices(shape)
    return sum(((axis - c) / r) ** 2 for axis, c, r in zip(grid, centre, radii, strict=True)) <= 1


def test_two_voxels_are_as_far_apart_as_their_centres():
    truth, prediction = np.zeros((2, 3, 4, 5), bool)
    truth[0, 0, 0] = prediction[1, 2, 0] = True
    distance = surface_distance(truth, prediction, SPACING)
    assert distance.hd95 == pytest.approx(np.hypot(8.0, 2 * 1.5))
    assert distance.assd == pytest.approx(np.hypot(8.0, 2 * 1.5))


def test_one_missing_slice_is_one_slice_distance_away_hand_worked():
    # Columns of one voxel: truth in slices 0, 1, 2, prediction in 0, 1. Distances 0, 0, 8 and 0, 0.
    truth, prediction = np.zeros((2, 3, 1, 1), bool)
    truth[:], prediction[:2] = True, True
    distance = surface_distance(truth, prediction, SPACING)
    assert distance.assd == pytest.approx(8 / 5)
    assert distance.hd95 == pytest.approx(0.9 * 8)  # 95 % of the way from the first to the third of 0, 0, 8


def test_a_single_slice_is_compared_by_its_outline():
    truth = np.zeros((1, 7, 7), bool)
    truth[0, 1:6, 1:6] = True
    prediction = truth.copy()
    prediction[0, 3, 3] = False  # a hole far inside: its rim of four is surface, one voxel from the outline of truth
    there, back = directed_distances(truth, prediction, (1.0, 1.0, 1.0))
    assert there.tolist() == [0.0] * 16
    assert sorted(back.tolist()) == [0.0] * 16 + [1.0] * 4


@pytest.mark.parametrize(("truth", "prediction"), [(0, 0), (0, 1), (1, 0)])
def test_distance_to_an_empty_structure_is_undefined(truth, prediction):
    distance = surface_distance(np.full((2, 3, 3), truth), np.full((2, 3, 3), prediction), SPACING)
    assert np.isnan(distance.hd95)
    assert np.isnan(distance.assd)


@pytest.mark.parametrize("shapes", [((2, 3, 3), (2, 3, 4)), ((3, 3), (3, 3))])
def test_wrong_shapes_are_refused(shapes):
    with pytest.raises(ValueError, match="must be one"):
        surface_distance(np.ones(shapes[0]), np.ones(shapes[1]), SPACING)


@given(masks.filter(np.any), masks.filter(np.any))
@settings(max_examples=60)
def test_distances_are_those_of_brute_force(truth, prediction):
    a, b = brute_surface_points(truth, SPACING), brute_surface_points(prediction, SPACING)
    there, back = cKDTree(b).query(a)[0], cKDTree(a).query(b)[0]
    distance = surface_distance(truth, prediction, SPACING)
    assert distance.hd95 == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)))
    assert distance.assd == pytest.approx((there.sum() + back.sum()) / (len(there) + len(back)))


@given(masks, masks)
def test_distances_are_symmetric_and_not_negative(truth, prediction):
    distance = surface_distance(truth, prediction, SPACING)
    again = surface_distance(prediction, truth, SPACING)
    np.testing.assert_allclose([distance.hd95, distance.assd], [again.hd95, again.assd])
    assert np.isnan(distance.hd95) or (distance.hd95 >= 0 and distance.assd >= 0)


@given(masks.filter(np.any))
def test_a_mask_is_at_no_distance_from_itself(mask):
    distance = surface_distance(mask, mask, SPACING)
    assert (distance.hd95, distance.assd) == (0.0, 0.0)


def test_distances_are_those_of_simpleitk():
    truth, prediction = blob((4, 20, 20), (3.2, 11, 9)), blob((4.5, 22, 19), (2.5, 10, 12))
    there, back = directed_distances(truth, prediction, SPACING)

    def contour(mask):
        image = SimpleITK.GetImageFromArray(mask.astype(np.uint8))
        image.SetSpacing(SPACING[::-1])
        return SimpleITK.LabelContour(image, fullyConnected=False)

    def distances(source, target):
        field = SimpleITK.SignedMaurerDistanceMap(contour(target), squaredDistance=False, useImageSpacing=True)
        return np.abs(SimpleITK.GetArrayFromImage(field))[SimpleITK.GetArrayFromImage(contour(source)) > 0]

    np.testing.assert_allclose(np.sort(there), np.sort(distances(truth, prediction)), atol=1e-4)
    np.testing.assert_allclose(np.sort(back), np.sort(distances(prediction, truth)), atol=1e-4)


def test_the_farthest_distance_of_two_boxes_is_the_hausdorff_distance_of_simpleitk():
    truth, prediction = np.zeros((2, 6, 12, 12), bool)
    truth[1:3, 2:5, 2:6] = True
    prediction[3:6, 7:11, 5:12] = True
    images = [SimpleITK.GetImageFromArray(mask.astype(np.uint8)) for mask in (truth, prediction)]
    for image in images:
        image.SetSpacing(SPACING[::-1])
    oracle = SimpleITK.HausdorffDistanceImageFilter()
    oracle.Execute(*images)
    assert np.concatenate(directed_distances(truth, prediction, SPACING)).max() == pytest.approx(oracle.GetHausdorffDistance())
