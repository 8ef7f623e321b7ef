"""Volumes of the continuous shapes, against an independent integration of the surfaces."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate

from shortaxis.phantom.geometry import CAVITY_SHARE, EQUATOR, RV_END, Heart, State, profile, rv_profile
from shortaxis.phantom.groups import GROUPS, draw_patient

EJECTED = (0.0, 0.37, 1.0)


def heart_of(group: str, seed: int = 3) -> Heart:
    return Heart(draw_patient(np.random.default_rng(seed), group), slope=(0.05, 0.1))


def integrated(heart: Heart, state: State) -> tuple[float, float, float]:
    """(LV, MYO, RV) in ml: ½∮r² dθ by a trapezoid sum over 3600 angles, then Gauss-Legendre along the axis."""
    theta = np.linspace(0, 2 * np.pi, 3600, endpoint=False)[:, None]
    nodes, weights = np.polynomial.legendre.leggauss(120)

    def volume(top: float, bottom: float, areas: int) -> np.ndarray:
        # z = bottom - (bottom - top)·t² takes the root-like tips of the shapes out of the sum.
        t = (nodes + 1) / 2
        z = bottom - (bottom - top) * t**2
        surfaces = heart.surfaces(state, heart.angular(theta), z[None, :])
        ring = 0.5 * np.array([np.square(surface).sum(axis=0) for surface in surfaces]) * 2 * np.pi / len(theta)
        return (ring * (weights / 2 * (bottom - top) * 2 * t)).sum(axis=1)[areas] / 1000

    cavity = volume(state.base, heart.cavity_length, 0)
    outer = volume(state.base, heart.length, 1)
    end = state.base + RV_END * (heart.length - state.base)
    right = volume(state.base, end, 2) - volume(state.base, end, 1)
    return cavity, outer - cavity, right


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("ejected", EJECTED)
def test_stated_volumes_are_those_of_the_surfaces(group: str, ejected: float) -> None:
    heart = heart_of(group)
    state = heart.state(ejected)
    cavity, wall, right = integrated(heart, state)
    assert cavity == pytest.approx(state.lv_ml, rel=1e-9)
    assert wall == pytest.approx(heart.wall_ml, rel=1e-9)
    assert right == pytest.approx(state.rv_ml, rel=1e-4)


@pytest.mark.parametrize("group", GROUPS)
def test_volumes_of_the_cycle_are_those_the_patient_drew(group: str) -> None:
    heart = heart_of(group)
    diastole, systole = heart.state(0), heart.state(1)
    patient = heart.patient
    assert diastole.lv_ml == patient.lv_edv
    assert 100 * (1 - systole.lv_ml / diastole.lv_ml) == pytest.approx(patient.lv_ef)
    assert 100 * (1 - systole.rv_ml / diastole.rv_ml) == pytest.approx(patient.rv_ef)


def test_closed_form_of_the_truncated_ellipsoid() -> None:
    share, _ = integrate.quad(lambda s: float(profile(np.array(s))) ** 2, 0, 1)
    assert pytest.approx(share, rel=1e-9) == CAVITY_SHARE


def test_profiles_by_hand() -> None:
    np.testing.assert_allclose(profile(np.array([EQUATOR, 1.0, 1.5])), [1, 0, 0], atol=1e-7)
    np.testing.assert_allclose(rv_profile(np.array([0, RV_END, 1.0])), [1, 0, 0], atol=1e-7)


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("seed", range(5))
def test_surfaces_are_nested_and_the_wall_is_never_thin(group: str, seed: int) -> None:
    heart = heart_of(group, seed)
    theta = np.linspace(0, 2 * np.pi, 180)[:, None]
    for ejected in EJECTED:
        state = heart.state(ejected)
        z = np.linspace(state.base, heart.cavity_length, 60)[None]
        inner, outer, right = heart.surfaces(state, heart.angular(theta), z)
        assert (outer - inner).min() > 3.5
        assert (right >= outer).all()
        assert (inner >= 0).all()


def test_base_descends_while_the_apex_stays() -> None:
    heart = heart_of("NOR")
    assert heart.state(0).base == 0
    assert 8 < heart.state(1).base < 20
    apex = np.array([heart.length - 1e-3])
    for ejected in EJECTED:
        outer = heart.surfaces(heart.state(ejected), heart.angular(np.array([0.3])), apex).epicardium
        assert 0 < outer[0] < 1


def test_wall_thickens_in_systole_but_not_in_the_scar() -> None:
    normal, infarct = heart_of("NOR"), heart_of("MINF")
    assert (normal.mid_wall_thickness(normal.state(1)) > 1.25 * normal.mid_wall_thickness(normal.state(0))).all()
    scar = np.deg2rad(np.array([infarct.patient.septal_angle + infarct.patient.akinetic_centre]))
    middle = np.array([infarct.cavity_length / 2])
    endocardium = [infarct.surfaces(infarct.state(e), infarct.angular(scar), middle).endocardium[0] for e in (0, 1)]
    opposite = [infarct.surfaces(infarct.state(e), infarct.angular(scar + np.pi), middle).endocardium[0] for e in (0, 1)]
    assert abs(endocardium[1] - endocardium[0]) < 1.0
    assert opposite[0] - opposite[1] > 3.0


def test_septum_bulges_in_hypertrophy() -> None:
    heart = heart_of("HCM")
    thickness = heart.mid_wall_thickness(heart.state(0))
    assert thickness.argmax() == 0
    assert thickness[0] > 14
    assert thickness[3] < 12.5


def test_right_ventricle_lies_at_the_septal_angle() -> None:
    heart = heart_of("RV")
    theta = np.linspace(0, 2 * np.pi, 720, endpoint=False)
    _, outer, right = heart.surfaces(heart.state(0), heart.angular(theta), np.array([30.0]))
    depth = right - outer
    middle = np.rad2deg(np.angle((depth * np.exp(1j * theta)).sum())) % 360
    assert abs(middle - heart.patient.septal_angle) < 12
    assert (depth == 0).mean() > 0.5
