"""Wall thickness and thickening by AHA segment."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from shortaxis.indices.aha import aha_model
from shortaxis.indices.thickness import regional_indices, wall_thickness
from shortaxis.phantom import GROUPS
from shortaxis.phantom.geometry import RV_HALF_WIDTH
from shortaxis.study import Segmentation, Study

THETA = np.deg2rad(np.arange(0, 360, 0.5))
FROM_INSERTION = np.array([1, 2, 3, 4, 5, 0])  # segments 2, 3, 4, 5, 6, 1: from the anterior insertion through the septum


def true_thickness(drawn, state, z):
    """Radial thickness of the continuous wall in one slice, by segment from the true anterior insertion, seen from the true centroid."""
    heart, angular = drawn.heart, drawn.heart.angular(THETA)
    curves = []
    for surface in ("endocardium", "epicardium"):
        radius = np.full(THETA.shape, 25.0)
        for _ in range(25):  # the sheared valve plane makes a slice's z depend on the radius
            sheared = z - heart.slope[0] * radius * np.sin(THETA) - heart.slope[1] * radius * np.cos(THETA)
            radius = getattr(heart.surfaces(state, angular, sheared), surface)
        curves.append(radius)
    inner, outer = curves
    y0, x0 = (float((inner**3 / 3 * part(THETA)).sum() / (inner**2 / 2).sum()) for part in (np.sin, np.cos))

    def seen(radius, theta):
        return np.arctan2(radius * np.sin(theta) - y0, radius * np.cos(theta) - x0)

    inserts = np.deg2rad(heart.patient.septal_angle) + RV_HALF_WIDTH
    inserts = seen(np.interp(inserts % (2 * np.pi), THETA, outer, period=2 * np.pi), inserts)
    angles = seen((inner + outer) / 2, THETA)
    widths = np.angle(np.exp(1j * (np.roll(angles, -1) - np.roll(angles, 1))))
    segment = np.rad2deg(inserts - angles) % 360 // 60
    return [np.average((outer - inner)[segment == place], weights=widths[segment == place]) for place in range(6)]


def test_the_order_of_slices_at_end_diastole_holds_at_end_systole(drawn):
    phantom = drawn(1, "NOR", n_slices=10, pixel=2.0)
    diastole, systole = (np.asarray(labels) for labels in phantom.labels[:2])
    labels = np.stack([diastole, systole[::-1]])  # the masks of the second frame say the contrary of those of the first
    study = Study(np.zeros(labels.shape, np.float32), phantom.scan.spacing, end_diastole=0, end_systole=1)
    found = regional_indices(Segmentation(study, labels))
    expected = wall_thickness(labels[1], study.spacing, basal_first=True).mm
    assert [found[f"wall_thickness_es_aha{number:02}"].value for number in range(1, 17)] == pytest.approx(expected)
    assert not np.allclose(expected, wall_thickness(labels[1], study.spacing).mm)


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("seed", [0, 3])
def test_thickness_is_within_half_a_millimetre_of_the_truth_at_base_and_mid(drawn, group, seed):
    phantom = drawn(seed, group, n_slices=10)
    for labels, state in zip(phantom.labels, phantom.states, strict=True):
        levels = aha_model(labels, phantom.scan.spacing, phantom.scan.affine).levels
        measured = wall_thickness(labels, phantom.scan.spacing, phantom.scan.affine)
        assert measured.orientation == "affine"
        for level in (0, 1):
            slices = [index for index, at in levels.items() if at == level]
            truth = np.median([true_thickness(phantom, state, float(phantom.scan.z[index, 0, 0])) for index in slices], axis=0)
            np.testing.assert_allclose(measured.mm[6 * level + FROM_INSERTION], truth, atol=0.5)


def test_phantom_in_standard_display_needs_no_affine(drawn):
    phantom = drawn(1, "NOR", n_slices=10, pixel=2.0)
    told, untold = (wall_thickness(phantom.labels[0], phantom.scan.spacing, affine) for affine in (phantom.scan.affine, None))
    assert (told.orientation, untold.orientation) == ("affine", "image")
    np.testing.assert_array_equal(told.mm, untold.mm)


@pytest.mark.parametrize("seed", range(3))
def test_akinetic_segments_do_not_thicken_and_those_across_do(drawn, seed):
    phantom = drawn(seed, "MINF", n_slices=10)
    found = regional_indices(phantom.segmentation(end_diastole=0, end_systole=1))
    patient = phantom.heart.patient
    angles = np.deg2rad(np.arange(0, 360, 1.0))
    motion = phantom.heart.angular(angles).motion
    segment = (np.rad2deg(np.deg2rad(patient.septal_angle) + RV_HALF_WIDTH - angles) % 360 // 60).astype(int)
    moving = np.array([motion[segment == place].mean() for place in range(6)])
    for level in (0, 1):
        thickening = np.array([found[f"wall_thickening_aha{6 * level + 1 + place:02}"].value for place in FROM_INSERTION])
        assert moving.min() < 0.15
        assert moving.max() > 0.9
        assert (thickening[moving < 0.15] < 10).all()
        assert (thickening[moving > 0.9] > 15).all()


def test_regional_indices_say_unit_definition_and_source(drawn):
    found = regional_indices(drawn(1, "HCM", n_slices=10, pixel=2.0).segmentation(end_diastole=0, end_systole=1))
    assert len(found) == 3 * 17 + 1
    for name, index in found.items():
        assert index.name == name
        assert index.unit == ("%" if "thickening" in name else "mm")
        assert index.definition
        assert "Cerqueira" in index.source
        assert index.reason is None
    diastole = [found[f"wall_thickness_ed_aha{number:02}"].value for number in range(1, 17)]
    assert found["wall_thickness_ed_mean"].value == pytest.approx(np.mean(diastole))
    assert found["wall_thickness_ed_max"].value == max(diastole) > 14
    systole = found["wall_thickness_es_aha09"].value
    assert found["wall_thickening_aha09"].value == pytest.approx(100 * (systole - diastole[8]) / diastole[8])
    assert "at end-diastole, segment 8: mid anteroseptal" in found["wall_thickness_ed_aha08"].definition
    json.dumps({name: asdict(index) for name, index in found.items()}, allow_nan=False)


def test_what_cannot_be_measured_says_why(drawn):
    phantom = drawn(1, "NOR", n_slices=10, pixel=2.0)
    unknown = regional_indices(phantom.segmentation(end_diastole=0))
    assert unknown["wall_thickness_ed_aha01"].value > 0
    assert unknown["wall_thickness_es_aha01"].reason == "the end-systolic phase is not known"
    assert unknown["wall_thickening_mean"].reason == "the end-systolic phase is not known"
    phantom.labels[0] = 0
    empty = regional_indices(phantom.segmentation(end_diastole=0, end_systole=1))
    for name in ("wall_thickness_ed_aha01", "wall_thickness_ed_mean", "wall_thickness_ed_max", "wall_thickening_aha16"):
        assert empty[name].value is None
        assert empty[name].reason.startswith("0 slices have a closed ring")
    assert empty["wall_thickness_es_mean"].value > 0


def test_a_cut_basal_slice_does_not_decide():
    # Nine rings of 8 mm; in the first the valve plane has taken all but 2 mm of the lateral wall.
    y, x = np.ogrid[:80, :80]
    y, x = (y - 40) * 1.25, (x - 44) * 1.25
    labels = np.zeros((9, 80, 80), np.uint8)
    labels[:, (np.hypot(y, x) < 40) & (x < -15)] = 1
    labels[:, np.hypot(y, x) < 30] = 2
    labels[:, np.hypot(y, x) < 22] = 3
    labels[0, (labels[0] == 2) & (x > 24)] = 0
    thickness = wall_thickness(labels, (8.0, 1.25, 1.25))
    assert thickness.orientation == "image"
    np.testing.assert_allclose(thickness.mm, 8.0, atol=0.3)
