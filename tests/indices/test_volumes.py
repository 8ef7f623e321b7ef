"""Volumes, ejection fraction and mass on hand-worked labels."""

from __future__ import annotations

import numpy as np
import pytest

from shortaxis.errors import InputError
from shortaxis.indices import body_surface_area, structure_volumes, ventricular_indices
from shortaxis.labels import Structure

SPACING = (10.0, 2.0, 1.0)  # one voxel is 0.02 ml


def frame(rv, myo, lv):
    """Labels (2, 50, 50) with these numbers of voxels, the last LV voxel in another slice than the first."""
    flat = np.zeros(2 * 50 * 50, np.uint8)
    flat[:rv], flat[rv : rv + myo], flat[len(flat) - lv :] = Structure.RV, Structure.MYO, Structure.LV
    return flat.reshape(2, 50, 50)


ED, ES = frame(500, 1000, 2000), frame(300, 1100, 800)


def test_volume_is_area_times_slice_distance_summed_over_slices():
    labels = np.zeros((3, 4, 5), np.uint8)
    labels[0, :2, :2], labels[1, 0, :3], labels[2, 0, 0] = Structure.LV, Structure.LV, Structure.LV
    areas = np.array([4, 3, 1]) * 2.0 * 1.0  # mm²
    assert structure_volumes(labels, SPACING)[Structure.LV] == pytest.approx(areas.sum() * 10.0 / 1000)


def test_volumes_of_a_cine_keep_the_phases():
    volumes = structure_volumes(np.stack([ED, ES]), SPACING)
    np.testing.assert_allclose(volumes[:, 1:], [[10, 20, 40], [6, 22, 16]])


def test_indices_of_hand_worked_frames():
    found = {name: (index.value, index.unit) for name, index in ventricular_indices(ED, ES, SPACING).items() if index.value is not None}
    assert found == {
        "lv_edv": (pytest.approx(40), "ml"),
        "lv_esv": (pytest.approx(16), "ml"),
        "lv_sv": (pytest.approx(24), "ml"),
        "lv_ef": (pytest.approx(60), "%"),
        "rv_edv": (pytest.approx(10), "ml"),
        "rv_esv": (pytest.approx(6), "ml"),
        "rv_sv": (pytest.approx(4), "ml"),
        "rv_ef": (pytest.approx(40), "%"),
        "lv_mass": (pytest.approx(21), "g"),
        "sv_difference": (pytest.approx(20), "ml"),
        "sv_difference_percent": (pytest.approx(100 * 20 / 14), "%"),
    }


def test_each_frame_is_measured_with_its_own_spacing():
    assert ventricular_indices(ED, ES, SPACING, (5.0, 2.0, 1.0))["lv_esv"].value == pytest.approx(8)


def test_every_index_says_what_it_is_and_why_it_is_missing():
    for found in (ventricular_indices(None, None, SPACING), ventricular_indices(ED, ES, SPACING, height_cm=180, weight_kg=80)):
        for name, index in found.items():
            assert index.name == name
            assert index.unit
            assert index.definition
            assert index.source
            assert (index.value is None) == (index.reason is not None)


def test_without_end_systole_only_what_needs_it_is_missing():
    found = ventricular_indices(ED, None, SPACING)
    missing = {name for name, index in found.items() if index.reason == "the end-systolic phase is not known"}
    assert missing == {"sv_difference", "sv_difference_percent"} | {
        f"{side}_{name}" for side in ("lv", "rv") for name in ("esv", "sv", "ef", "co", "esv_indexed", "sv_indexed", "co_indexed")
    }
    assert found["lv_mass"].value == pytest.approx(21)


def test_without_end_diastole_only_end_systolic_volumes_remain():
    found = ventricular_indices(None, ES, SPACING)
    assert {name for name, index in found.items() if index.value is not None} == {"lv_esv", "rv_esv"}
    assert found["lv_mass"].reason == found["lv_ef"].reason == "the end-diastolic phase is not known"


def test_an_empty_cavity_has_a_volume_of_zero_but_no_ejection_fraction():
    found = ventricular_indices(frame(500, 0, 0), ES, SPACING)
    assert found["lv_edv"].value == 0.0
    assert (found["lv_ef"].value, found["lv_ef"].reason) == (None, "EDV is zero: no LV")
    assert found["rv_ef"].value == pytest.approx(40)


def test_body_surface_area_of_mosteller():
    assert body_surface_area(160, 57.6) == pytest.approx(1.6)


def test_indexed_values_are_divided_by_the_body_surface_area():
    found = ventricular_indices(ED, ES, SPACING, height_cm=160, weight_kg=57.6)
    assert found["bsa"].value == pytest.approx(1.6)
    assert (found["lv_edv_indexed"].value, found["lv_edv_indexed"].unit) == (pytest.approx(40 / 1.6), "ml/m²")
    assert (found["lv_mass_indexed"].value, found["lv_mass_indexed"].unit) == (pytest.approx(21 / 1.6), "g/m²")
    assert "lv_ef_indexed" not in found


@pytest.mark.parametrize("known", [{}, {"height_cm": 180.0}, {"weight_kg": 80.0}])
def test_without_body_size_indexed_values_are_missing(known):
    found = ventricular_indices(ED, ES, SPACING, **known)
    assert found["bsa"].reason == found["lv_edv_indexed"].reason == "height and weight are not both known"


@pytest.mark.parametrize("size", [(0.0, 80.0), (180.0, -1.0), (np.nan, 80.0), (180.0, np.inf)])
def test_impossible_body_sizes_are_refused(size):
    with pytest.raises(InputError, match="height and weight must be positive"):
        body_surface_area(*size)


def test_cardiac_output_is_stroke_volume_times_heart_rate():
    found = ventricular_indices(ED, ES, SPACING, height_cm=160, weight_kg=57.6, heart_rate=75)
    assert (found["lv_co"].value, found["lv_co"].unit) == (pytest.approx(1.8), "l/min")
    assert found["rv_co"].value == pytest.approx(0.3)
    assert (found["lv_co_indexed"].value, found["lv_co_indexed"].unit) == (pytest.approx(1.8 / 1.6), "l/min/m²")
    assert found["heart_rate"].value == 75


def test_without_heart_rate_there_is_no_cardiac_output():
    found = ventricular_indices(ED, ES, SPACING)
    assert found["lv_co"].reason == found["heart_rate"].reason == "the heart rate is not known"


@pytest.mark.parametrize("rate", [0.0, -60.0, np.nan, np.inf])
def test_impossible_heart_rates_are_refused(rate):
    with pytest.raises(InputError, match="heart_rate must be positive"):
        ventricular_indices(ED, ES, SPACING, heart_rate=rate)


def test_stroke_volumes_without_a_positive_mean_have_a_difference_but_no_share():
    found = ventricular_indices(ES, ED, SPACING)
    assert found["sv_difference"].value == pytest.approx(-20)
    assert (found["sv_difference_percent"].value, found["sv_difference_percent"].reason) == (None, "the mean stroke volume is not positive")


@pytest.mark.parametrize(("height", "weight"), [(160, 57.6), (1.6, 57.6), (1600, 57_600)])
def test_body_size_is_taken_in_any_unit_that_its_number_shows(height, weight):
    assert ventricular_indices(ED, ES, SPACING, height_cm=height, weight_kg=weight)["bsa"].value == pytest.approx(1.6)


@pytest.mark.parametrize(("height", "weight", "named"), [(17, 70, "17"), (170, 0.7, "0.7"), (70, 170, "170 kg")])
def test_nothing_is_indexed_by_a_body_size_that_no_patient_has(height, weight, named):
    found = ventricular_indices(ED, ES, SPACING, height_cm=height, weight_kg=weight)
    unknown = [index for name, index in found.items() if name == "bsa" or name.endswith("_indexed")]
    assert len(unknown) > 5
    assert all(index.value is None for index in unknown)
    assert named in str(found["bsa"].reason)


def test_each_slice_counts_for_its_own_extent():
    labels = np.zeros((2, 3, 4, 5), np.uint8)
    labels[:, 0, :2, :2], labels[:, 1, 0, :3], labels[1, 2, 0, 0] = Structure.LV, Structure.LV, Structure.MYO
    volumes = structure_volumes(labels, SPACING, (7.0, 10.5, 14.0))
    np.testing.assert_allclose(volumes[:, Structure.LV], 2 * (4 * 7.0 + 3 * 10.5) / 1000)
    np.testing.assert_allclose(volumes[:, Structure.MYO], [0, 2 * 14.0 / 1000])
    np.testing.assert_allclose(structure_volumes(labels, SPACING, (10.0,) * 3), structure_volumes(labels, SPACING))


def test_where_slices_are_missing_volumes_and_mass_are_lower_bounds_and_ratios_are_not():
    found = ventricular_indices(ED, ES, SPACING, height_cm=180, weight_kg=80, extents_ed=(5.0, 10.0), slices_missing=True)
    bounded = {name for name, index in found.items() if index.lower_bound}
    names = {"lv_edv", "lv_esv", "rv_edv", "rv_esv", "lv_mass"}
    assert bounded == names | {f"{name}_indexed" for name in names}
    assert found["lv_edv"].value == pytest.approx(40)  # all of its voxels are in the second slice
    assert found["rv_edv"].value == pytest.approx(5)
    assert not any(index.lower_bound for index in ventricular_indices(ED, None, SPACING).values())


def test_the_rv_at_its_own_phases_needs_both_volumes():
    found = ventricular_indices(ED, ES, SPACING, rv_edv_own=120.0, no_rv_own="no ES of the RV")
    assert found["rv_edv_own"].value == 120
    for name in ("rv_esv_own", "rv_sv_own", "rv_ef_own"):
        assert (found[name].value, found[name].reason) == (None, "no ES of the RV")
    empty = ventricular_indices(ED, ES, SPACING, rv_edv_own=0.0, rv_esv_own=0.0)
    assert (empty["rv_sv_own"].value, empty["rv_ef_own"].value) == (0, None)
    assert "zero" in empty["rv_ef_own"].reason
