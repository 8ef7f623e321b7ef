"""The rules that order phases, settle repeats and fill gaps, on planes without files."""

from __future__ import annotations

import random

import pytest

from shortaxis.io.dicom.phases import acquisitions, choose_clock, order_phases


def times(phases, clock="TriggerTime"):
    return [[plane.clocks[clock] for plane in planes] for planes in phases.planes]


def test_the_first_clock_that_every_image_has_and_that_tells_them_apart_is_chosen(make_plane):
    def planes(**clocks):
        return [[make_plane(d, clocks={name: run[t] for name, run in clocks.items()}) for t in range(4)] for d in range(3)]

    rising, flat, jitter = [0, 200, 400, 600], [7, 7, 7, 7], [10, 12, 11, 13]
    assert choose_clock(planes(TriggerTime=rising, TemporalPositionIndex=[1, 2, 3, 4])) == "TriggerTime"
    assert choose_clock(planes(TriggerTime=flat, TemporalPositionIndex=[1, 2, 3, 4])) == "TemporalPositionIndex"
    assert choose_clock(planes(TriggerTime=jitter, ContentTime=rising)) == "ContentTime"
    assert choose_clock(planes(TriggerTime=flat, AcquisitionTime=flat)) == "InstanceNumber"
    some = planes(TriggerTime=rising)
    del some[1][2].clocks["TriggerTime"]
    assert choose_clock(some) == "InstanceNumber"


def test_phases_are_sorted_in_every_slice(make_cine):
    planes = make_cine(2, 6)
    slices = [planes[:6], planes[6:]]
    for one in slices:
        random.Random(0).shuffle(one)
    assert times(order_phases(slices)) == [[0, 40, 80, 120, 160, 200]] * 2


def test_a_second_series_at_the_same_place_is_a_repeat_and_the_later_counts(make_cine):
    first = make_cine(1, 6, series_uid="a", acquired=100.0)
    again = make_cine(1, 6, series_uid="b", acquired=50.0)
    ordered = order_phases([again + first])
    assert ordered.planes[0] == first
    assert "slice 1 was acquired 2 times" in " ".join(ordered.notes)


def test_acquisition_numbers_part_repeats_that_overlap_in_time(make_cine):
    first = make_cine(1, 6, acquisition_number=1)
    again = make_cine(1, 6, acquisition_number=2)
    for plane in again:
        plane.clocks["TriggerTime"] += 3
    assert acquisitions(first + again, "TriggerTime") == [first, again]


def test_acquisition_numbers_that_count_phases_part_nothing(make_plane):
    planes = [make_plane(clocks={"TriggerTime": 40.0 * t}, acquisition_number=t) for t in range(6)]
    assert acquisitions(planes, "TriggerTime") == [planes]
    halves = [make_plane(clocks={"TriggerTime": 40.0 * t}, acquisition_number=t // 3) for t in range(6)]
    assert acquisitions(halves, "TriggerTime") == [halves]


def test_a_clock_that_starts_anew_along_the_instance_numbers_parts_repeats(make_cine):
    first, again = make_cine(1, 6), make_cine(1, 6)
    for plane in again:
        plane.clocks["TriggerTime"] *= 1.03
    mixed = first + again
    random.Random(1).shuffle(mixed)
    assert acquisitions(mixed, "TriggerTime") == [first, again]


def test_instance_numbers_that_start_in_the_middle_of_the_cycle_part_nothing(make_plane):
    planes = [make_plane(clocks={"TriggerTime": 40.0 * (t % 6)}) for t in range(3, 9)]
    assert acquisitions(planes, "TriggerTime") == [sorted(planes, key=lambda plane: plane.clocks["InstanceNumber"])]


def test_the_same_reading_twice_is_a_repeat_of_that_image(make_plane):
    planes = [make_plane(clocks={"TriggerTime": 40.0 * t}, acquired=1.0) for t in range(4)]
    again = make_plane(clocks={"TriggerTime": 80.0}, acquired=2.0)
    found = acquisitions([*planes, again], "TriggerTime")
    assert sorted(map(len, found)) == [1, 4]
    ordered = order_phases([[*planes, again]])
    assert len(ordered.planes[0]) == 4
    assert "the last complete one counts" in ordered.notes[0]


def test_an_aborted_repeat_does_not_replace_a_whole_acquisition(make_cine):
    whole = make_cine(1, 10, series_uid="a", acquired=1.0)
    aborted = make_cine(1, 4, series_uid="b", acquired=2.0)
    assert order_phases([whole + aborted]).planes[0] == whole


def test_lost_phases_are_filled_at_their_own_time(make_cine):
    full = make_cine(3, 10)
    slices = [full[:10], [plane for plane in full[10:20] if plane.clocks["TriggerTime"] not in {120.0, 360.0}], full[20:]]
    ordered = order_phases(slices)
    filled = times(ordered)[1]
    assert [filled[t] for t in range(10) if t not in {3, 9}] == [40.0 * t for t in range(10) if t not in {3, 9}]
    assert filled[3] in {80.0, 160.0}
    assert filled[9] in {320.0, 0.0}, "the cycle is a circle: phase 0 follows phase 9"
    assert ordered.times == tuple(40.0 * t for t in range(10))


def test_a_slice_sampled_at_another_rate_is_matched_by_its_place_in_the_cycle(make_plane):
    usual = [[make_plane(d, clocks={"TriggerTime": 40.0 * t}) for t in range(10)] for d in (0, 8)]
    # Twenty phases of half the step fill the same cycle: every second one is wanted.
    fine = [make_plane(16, clocks={"TriggerTime": 20.0 * t}) for t in range(20)]
    assert times(order_phases([*usual, fine]))[2] == [40.0 * t for t in range(10)]
    # A slower heart: eight steps of 75 ms are 600 ms, each phase 1/8 of the cycle.
    slow = [make_plane(16, clocks={"TriggerTime": 75.0 * t}) for t in range(8)]
    assert times(order_phases([*usual, slow]))[2] == [75.0 * t for t in (0, 1, 2, 2, 3, 4, 5, 6, 6, 7)]


def test_of_two_equally_common_numbers_of_phases_the_larger_counts(make_cine):
    planes = make_cine(2, 6)
    ordered = order_phases([planes[:6], planes[6:11]])
    assert [len(of) for of in ordered.planes] == [6, 6]


def test_a_slice_with_less_than_half_of_the_phases_is_left_out(make_cine):
    planes = make_cine(3, 10)
    ordered = order_phases([planes[:10], planes[10:14], planes[20:]])
    assert len(ordered.planes) == 2
    assert "slice 2 was left out, with 4 of 10 phases" in " ".join(ordered.notes)


def test_half_of_two_phases_is_one_and_is_repeated(make_cine):
    planes = make_cine(3, 2)
    ordered = order_phases([planes[:2], planes[2:3], planes[4:]])
    assert times(ordered)[1] == [0.0, 0.0]


def test_a_still_image_keeps_its_one_phase(make_plane):
    ordered = order_phases([[make_plane(0)], [make_plane(8), make_plane(8, acquisition_number=2)], [make_plane(16)]])
    assert [len(of) for of in ordered.planes] == [1, 1, 1]


@pytest.mark.parametrize(
    ("clock", "readings", "told", "expected"),
    [
        ("NominalPercentageOfCardiacPhase", [0, 25, 50, 75], {"rr_interval": 800.0}, (0, 200, 400, 600)),
        ("NominalPercentageOfCardiacPhase", [0, 25, 50, 75], {}, None),
        ("TemporalPositionIndex", [1, 2, 3, 4], {"temporal_resolution": 50.0}, (0, 50, 100, 150)),
        ("TemporalPositionIndex", [1, 2, 3, 4], {}, None),
        ("ContentTime", [1, 2, 3, 4], {}, None),
    ],
)
def test_phase_times_are_in_ms_or_unknown(make_plane, clock, readings, told, expected):
    ordered = order_phases([[make_plane(d, clocks={clock: value}, **told) for value in readings] for d in (0, 8, 16)])
    assert ordered.clock == clock
    assert ordered.times == expected
