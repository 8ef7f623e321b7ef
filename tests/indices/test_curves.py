"""Volume-time curves: ED and ES, heart rate, peak rates."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortaxis.indices.curves import cycle_length, find_phases, peak_rates, volume_curves, with_phases
from shortaxis.labels import Structure
from shortaxis.phantom import GROUPS
from shortaxis.phantom.motion import SYSTOLE, ejected_share, end_systole_phase
from shortaxis.study import Segmentation, Study

VOXEL_ML = 0.1


def beat(n_phases=30, edv=120.0, esv=50.0):
    return edv - (edv - esv) * ejected_share(n_phases)


def segmented(lv_ml, rv_ml=None, **known):
    """A cine of one slice whose cavities have these volumes, to the nearest 0.1 ml."""
    labels = np.zeros((len(lv_ml), 1, 60, 60), np.uint8)
    for frame, lv, rv in zip(labels.reshape(len(lv_ml), -1), lv_ml, lv_ml if rv_ml is None else rv_ml, strict=True):
        frame[: round(lv / VOXEL_ML)] = Structure.LV
        frame[len(frame) - round(rv / VOXEL_ML) :] = Structure.RV
    return Segmentation(Study(np.zeros(labels.shape, np.float32), (10.0, 5.0, 2.0), **known), labels)


def times(n_phases=30, cycle=900.0):
    return tuple(cycle * phase / n_phases for phase in range(n_phases))


def apart(one, other, n_phases):
    return min((one - other) % n_phases, (other - one) % n_phases)


def test_ed_is_the_largest_and_es_the_smallest_volume():
    assert find_phases(np.array([100.0, 80, 60, 45, 40, 55, 75, 90, 95, 98])) == (0, 4)


@given(n_phases=st.integers(10, 40), turned=st.integers(0, 39))
def test_ed_and_es_turn_with_the_cine(n_phases, turned):
    diastole, systole = find_phases(np.roll(beat(n_phases), turned))
    assert apart(diastole, turned, n_phases) <= 1
    assert apart(systole, end_systole_phase(n_phases) + turned, n_phases) <= 1


@settings(max_examples=50)
@given(bad=st.integers(0, 29), ml=st.sampled_from([0.0, 20.0, 170.0, 240.0]))
def test_one_phase_segmented_badly_does_not_win(bad, ml):
    curve = beat()
    curve[bad] = ml
    diastole, systole = find_phases(curve)
    assert apart(diastole, 0, 30) <= 1
    assert apart(systole, end_systole_phase(30), 30) <= 1


@pytest.mark.parametrize("curve", [np.zeros(20), np.full(20, 83.1), beat(4), np.array([100.0])])
def test_level_and_short_curves_have_no_phases(curve):
    assert find_phases(curve) is None


def test_phases_of_the_study_override_what_would_be_found():
    free = volume_curves(segmented(beat(20)))
    assert (free.end_diastole, free.end_systole, free.found) == (0, 7, ("end_diastole", "end_systole"))
    both = volume_curves(segmented(beat(20), end_diastole=2, end_systole=9))
    assert (both.end_diastole, both.end_systole, both.found) == (2, 9, ())
    one = volume_curves(segmented(beat(20), end_diastole=2))
    assert (one.end_diastole, one.end_systole, one.found) == (2, 7, ("end_systole",))
    other = volume_curves(segmented(beat(20), end_systole=9))
    assert (other.end_diastole, other.end_systole, other.found) == (0, 9, ("end_diastole",))


def test_short_cines_have_no_phases_but_those_given():
    curves = volume_curves(segmented(beat(4), end_systole=1))
    assert (curves.end_diastole, curves.end_systole, curves.found) == (None, 1, ())
    assert with_phases(segmented(beat(4))).end_diastole is None


def test_volumes_are_read_off_the_curve_as_measured():
    ml = beat(20)
    ml[7] += 4  # one bump, which smoothing would flatten
    curves = volume_curves(segmented(ml, ml / 2))
    np.testing.assert_allclose(curves.lv_ml, ml, atol=VOXEL_ML)
    np.testing.assert_allclose(curves.rv_ml, ml / 2, atol=VOXEL_ML)
    assert not curves.myocardium_ml.any()


def test_heart_rate_is_that_of_phases_that_cover_the_heartbeat():
    curves = volume_curves(segmented(beat(), phase_times=times(cycle=800.0)))
    assert curves.cycle_ms == pytest.approx(800)
    assert curves.heart_rate == pytest.approx(75)
    assert curves.no_cycle is None


def test_open_curve_has_no_heart_rate():
    curves = volume_curves(segmented(beat(30)[:22], phase_times=times()[:22]))
    assert (curves.heart_rate, curves.lv_rates) == (None, None)
    reason = "the LV volume at the last phase is far from that at the first, so the phases do not cover the heartbeat"
    assert curves.no_cycle == curves.no_rates == reason


def test_missing_phases_leave_no_heart_rate():
    kept = [phase for phase in range(30) if phase not in {11, 12}]
    length, reason = cycle_length([times()[phase] for phase in kept], beat()[kept])
    assert length is None
    assert "not evenly spaced" in reason


def test_phases_a_little_uneven_are_even_enough():
    jitter = np.where(np.arange(30) % 2, 3.0, 0.0)
    assert cycle_length(np.array(times()) + jitter, beat())[0] == pytest.approx(900, rel=0.12)


@pytest.mark.parametrize(
    ("phase_times", "reason"),
    [
        (None, "the times of the phases are not known"),
        ((0.0,) * 30, "the times of the phases do not rise"),
        (tuple(range(30)), "the times of the phases span 30 ms, which is no heartbeat"),
        (tuple(1000.0 * phase for phase in range(30)), "the times of the phases span 30000 ms, which is no heartbeat"),
        ((*times()[:29], np.nan), "the times of the phases do not rise"),
    ],
)
def test_times_of_no_heartbeat_are_not_believed(phase_times, reason):
    curves = volume_curves(segmented(beat(), phase_times=phase_times))
    assert (curves.phase_times, curves.heart_rate, curves.lv_rates) == (None, None, None)
    assert curves.no_cycle == curves.no_rates == reason


def test_few_phases_have_no_rates():
    curves = volume_curves(segmented(beat(8), phase_times=times(8)))
    assert curves.heart_rate == pytest.approx(60000 / 900)
    assert curves.lv_rates is None
    assert re.search("^8 phases .*10 are needed", curves.no_rates)
    length, reason = cycle_length(times(4), beat(4))
    assert length is None
    assert re.search("^4 phases .*5 are needed", reason)


@settings(max_examples=30)
@given(n_phases=st.integers(10, 40), harmonic=st.integers(1, 3), cycle=st.floats(400, 1500), start=st.floats(0, 100))
def test_rates_of_a_wave_are_its_slopes(n_phases, harmonic, cycle, start):
    moments = start + np.array(times(n_phases, cycle))
    rates = peak_rates(100 + 30 * np.cos(2 * np.pi * harmonic * (moments - start) / cycle), moments, cycle)
    steepest = 30 * 2 * np.pi * harmonic / cycle * 1000
    assert rates.ejection == pytest.approx(steepest, rel=1e-3)
    assert rates.filling == pytest.approx(steepest, rel=1e-3)
    assert (rates.ejection_ms - start) % (cycle / harmonic) == pytest.approx(cycle / harmonic / 4, rel=0.03)
    assert (rates.filling_ms - start) % (cycle / harmonic) == pytest.approx(cycle / harmonic * 3 / 4, rel=0.03)


@pytest.mark.parametrize("n_phases", [20, 25, 30])
def test_rates_of_exact_volumes_are_those_of_the_heartbeat(n_phases):
    # The phantom ejects along half a cosine, and fills to three quarters along another in the first 45 % of diastole.
    curves = volume_curves(segmented(beat(n_phases), beat(n_phases, 140, 80), phase_times=times(n_phases)))
    systole = end_systole_phase(n_phases) / n_phases
    for rates, stroke in ((curves.lv_rates, 70), (curves.rv_rates, 60)):
        assert rates.ejection == pytest.approx(stroke * np.pi / 2 / (systole * 0.9), rel=0.05)
        assert rates.filling == pytest.approx(0.75 * stroke * np.pi / 2 / (0.45 * (1 - systole) * 0.9), rel=0.05)
        assert rates.ejection_ms < systole * 900 < rates.filling_ms


@pytest.mark.parametrize("group", GROUPS)
def test_cine_of_ten_slices_has_its_phases_rates_and_heart_rate(drawn, group):
    cine = drawn(3, group, n_slices=10, n_phases=25, pixel=2.0)
    moments = tuple(cine.beat * phase / 25 for phase in range(25))
    curves = volume_curves(cine.segmentation(phase_times=moments))
    assert apart(curves.end_diastole, 0, 25) <= 1
    assert apart(curves.end_systole, end_systole_phase(25), 25) <= 1
    assert curves.heart_rate == pytest.approx(cine.heart.patient.heart_rate)


@pytest.mark.parametrize("group", GROUPS)
def test_rates_of_a_fine_stack_are_those_of_the_heartbeat(drawn, group):
    cine = drawn(2, group, n_slices=44, n_phases=20, pixel=2.5, distance=3.0)
    moments = tuple(cine.beat * phase / 20 for phase in range(20))
    curves = volume_curves(cine.segmentation(phase_times=moments))
    patient, systole = cine.heart.patient, end_systole_phase(20) / 20
    assert systole == pytest.approx(SYSTOLE, abs=0.02)
    seconds = cine.beat / 1000
    for rates, stroke in ((curves.lv_rates, patient.lv_edv * patient.lv_ef / 100), (curves.rv_rates, patient.rv_edv * patient.rv_ef / 100)):
        assert rates.ejection == pytest.approx(stroke * np.pi / 2 / (systole * seconds), rel=0.1)
        assert rates.filling == pytest.approx(0.75 * stroke * np.pi / 2 / (0.45 * (1 - systole) * seconds), rel=0.1)


def test_curves_go_through_json():
    for segmentation in (segmented(beat(20), phase_times=times(20)), segmented(beat(4))):
        curves = volume_curves(segmentation)
        read = json.loads(json.dumps(curves.as_dict(), allow_nan=False))
        assert read["lv_ml"] == curves.lv_ml.tolist()
        assert read["heart_rate"] == curves.heart_rate
        assert read["found"] == list(curves.found)
        assert (read["lv_rates"] is None) == (curves.lv_rates is None)
        assert curves.lv_rates is None or read["lv_rates"]["filling"] == curves.lv_rates.filling


def test_study_with_both_phases_stays_as_it_is():
    segmentation = segmented(beat(20), end_diastole=3, end_systole=4)
    assert with_phases(segmentation) is segmentation.study
    assert with_phases(replace(segmentation, study=replace(segmentation.study, end_diastole=None))).end_diastole == 0


@pytest.mark.parametrize("late", [0, 2, 17])
def test_the_rv_turns_at_phases_of_its_own(late):
    curves = volume_curves(segmented(beat(20), np.roll(beat(20, 140, 70), late)))
    assert (curves.end_diastole, curves.end_systole) == (0, 7)
    assert (curves.rv_end_diastole, curves.rv_end_systole) == (late, (7 + late) % 20)
    assert (curves.rv_edv_own, curves.rv_esv_own) == pytest.approx((140, 70))
    assert (set(curves.rv_found), curves.no_rv_phases) == ({"rv_end_diastole", "rv_end_systole"}, None)


def test_phases_of_the_rv_that_the_study_names_override_what_would_be_found():
    curves = volume_curves(segmented(beat(20), np.roll(beat(20), 3), rv_end_systole=9))
    assert (curves.rv_end_diastole, curves.rv_end_systole, curves.rv_found) == (3, 9, ("rv_end_diastole",))
    assert (curves.end_diastole, curves.end_systole) == (0, 7)


@pytest.mark.parametrize(("rv", "reason"), [(beat(4), "4 phases"), (beat(1), "1 phase does"), (np.full(20, 90.0), "same at every phase")])
def test_where_the_rv_has_no_phases_of_its_own_there_is_a_reason(rv, reason):
    curves = volume_curves(segmented(beat(len(rv)), rv))
    assert (curves.rv_end_diastole, curves.rv_end_systole, curves.rv_edv_own, curves.rv_esv_own) == (None,) * 4
    assert reason in curves.no_rv_phases
