from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from shortaxis.indices import volume_curves
from shortaxis.labels import Structure
from shortaxis.quality.flags import study_flags
from shortaxis.study import Repair


def only(segmentation, name, **known):
    """The one flag of this name."""
    (flag,) = [flag for flag in study_flags(segmentation, **known) if flag.name == name]
    return flag


@pytest.mark.parametrize(("step", "phases", "severity"), [(2, 10, "note"), (5, 4, "warning"), (20, 1, "warning")])
def test_few_phases(healthy, with_labels, step, phases, severity):
    flag = only(with_labels(healthy, healthy.labels[::step], phase_times=None), "few_phases")
    assert (flag.value, flag.limit, flag.severity) == (phases, 15, severity)
    said = {10: "are 10 phases, so ES may", 4: "are 4 phases, which do not show", 1: "is 1 phase, which does not show"}[phases]
    assert flag.message.startswith(f"there {said}")


def test_ed_and_es_as_frames_of_their_own_are_no_cine(healthy, with_labels, es):
    pair = with_labels(healthy, healthy.labels[[0, es]], phase_times=None, end_diastole=0, end_systole=1)
    assert study_flags(pair) == []


def test_a_short_cine_with_named_phases_is_a_note(healthy, with_labels):
    few = with_labels(healthy, healthy.labels[[0, 3, 7, 12]], phase_times=None, end_diastole=0, end_systole=2)
    assert only(few, "few_phases").severity == "note"


def test_a_phase_that_was_left_out(healthy, with_labels):
    kept = [phase for phase in range(20) if phase != 11]
    times = tuple(45.0 * phase for phase in kept)
    flag = only(with_labels(healthy, healthy.labels[kept], phase_times=times), "phases_missing")
    assert (flag.value, flag.limit, flag.unit) == (90.0, 67.5, "ms")
    assert "frames 11 and 12 are 90 ms apart" in flag.message


def test_a_cine_that_ends_before_the_heartbeat_does(healthy, with_labels):
    flag = only(with_labels(healthy, healthy.labels[:11], phase_times=None), "heartbeat_not_covered")
    lv = volume_curves(healthy).lv_ml[:11]
    assert flag.severity == "note"
    assert flag.value == pytest.approx(lv[0] - lv[-1])
    assert flag.limit == pytest.approx(np.abs(np.diff(lv)).max())


@pytest.mark.parametrize(("order", "percent"), [(slice(None, None, -1), 65), (slice(None), 35)])
def test_es_at_a_distance_that_no_heart_has(healthy, with_labels, names, order, percent):
    """Read backwards the phantom, whose systole takes 35 %, fills before it ejects."""
    turned = with_labels(healthy, healthy.labels[order])
    if percent < 60:
        assert names(turned) == []
        return
    flag = only(turned, "implausible_systole")
    assert (flag.value, flag.limit) == (percent, 60)


def test_es_right_behind_ed(healthy, with_labels):
    flag = only(with_labels(healthy, end_diastole=5, end_systole=7), "implausible_systole")
    assert (flag.value, flag.limit) == (10, 15)
    assert re.search(r"ES \(frame 8\) .*10 % .*ED \(frame 6\)", flag.message)


def test_a_named_es_that_is_not_the_smallest(healthy, with_labels, es):
    flag = only(with_labels(healthy, end_systole=es + 5), "named_phase_not_extreme")
    lv = volume_curves(healthy).lv_ml
    assert flag.value == pytest.approx(100 * (lv[es + 5] - lv.min()) / lv.max())
    assert f"ES is said to be frame {es + 6}, but the LV is smallest in frame {lv.argmin() + 1}" in flag.message


def test_a_named_ed_that_is_not_the_largest(healthy, with_labels, es):
    message = only(with_labels(healthy, end_diastole=es - 3), "named_phase_not_extreme").message
    assert f"ED is said to be frame {es - 2}, but the LV is largest in frame {volume_curves(healthy).lv_ml.argmax() + 1}" in message


def test_named_phases_that_are_extreme_are_believed(healthy, with_labels, es):
    assert study_flags(with_labels(healthy, end_diastole=0, end_systole=es)) == []


def repaired(healthy, number):
    return replace(healthy, repairs=(Repair(0, 0, Structure.LV, 0.0, 100.0),) * number)


def test_many_repairs_tell_of_an_unsteady_cine(healthy, names):
    places = 20 * healthy.study.n_slices * 3
    assert names(repaired(healthy, places // 20)) == []
    flag = only(repaired(healthy, places // 20 + 1), "unsteady_cine")
    assert flag.message.startswith(f"{places // 20 + 1} of {places} places")


@pytest.mark.parametrize(("counts", "flagged"), [((3, 8), []), ((4, 8), ["many_end_slices_to_check"]), ((0, 0), []), (None, [])])
def test_half_of_the_end_slices_to_check(healthy, names, counts, flagged):
    assert names(healthy, end_slices=counts) == flagged


def test_curves_at_hand_are_used(healthy):
    shifted = replace(volume_curves(healthy), end_systole=2)
    assert "implausible_systole" in [flag.name for flag in study_flags(healthy, curves=shifted)]


def test_warnings_come_before_notes(healthy, with_labels):
    labels = healthy.labels[::2].copy()
    labels[labels == Structure.RV] = Structure.BACKGROUND
    assert [flag.severity for flag in study_flags(with_labels(healthy, labels, phase_times=None))][-2:] == ["warning", "note"]
