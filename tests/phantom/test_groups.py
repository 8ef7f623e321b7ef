"""What patients of each group have in common."""

from __future__ import annotations

import numpy as np
import pytest

from shortaxis.errors import InputError
from shortaxis.phantom.groups import GROUPS, draw_patient


def patients(group: str) -> list:
    return [draw_patient(np.random.default_rng(seed), group) for seed in range(60)]


def test_groups_are_those_of_acdc() -> None:
    assert set(GROUPS) >= {"NOR", "DCM", "HCM", "MINF", "RV"}


def test_ejection_fractions_fit_the_definitions_of_the_groups() -> None:
    assert all(patient.lv_ef > 50 for patient in patients("NOR"))
    assert all(patient.lv_ef < 40 and patient.lv_edv >= 200 for patient in patients("DCM"))
    assert all(patient.lv_ef > 55 and patient.wall + patient.septum > 15 for patient in patients("HCM"))
    assert all(patient.lv_ef < 40 and patient.akinetic > 0 for patient in patients("MINF"))
    assert all(patient.rv_ef < 40 and patient.lv_ef >= 50 for patient in patients("RV"))


def test_right_ventricle_is_dilated_in_the_rv_group() -> None:
    normal, dilated = (np.median([patient.rv_edv for patient in patients(group)]) for group in ("NOR", "RV"))
    assert dilated > 1.3 * normal


@pytest.mark.parametrize("group", GROUPS)
def test_both_ventricles_eject_nearly_the_same_volume(group: str) -> None:
    for patient in patients(group):
        assert patient.rv_edv * patient.rv_ef == pytest.approx(patient.lv_edv * patient.lv_ef, rel=0.041)


@pytest.mark.parametrize("group", GROUPS)
def test_bodies_are_human(group: str) -> None:
    for patient in patients(group):
        assert 140 <= patient.height_cm <= 205
        assert 18 <= patient.weight_kg / (patient.height_cm / 100) ** 2 <= 34
        assert 50 <= patient.heart_rate <= 95


def test_unknown_group_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="'ARVC'; known are NOR, DCM, HCM, MINF, RV"):
        draw_patient(np.random.default_rng(0), "ARVC")
