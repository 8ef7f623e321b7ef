"""Which series is the short-axis cine: the rules one by one, on planes without files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from shortaxis.errors import InputError
from shortaxis.io.dicom.series import Stack, choose, stacks_of

HERE = Path("study")


def chosen(planes):
    return choose(HERE, stacks_of(planes))[0]


def reason(planes):
    (stack,) = stacks_of(planes)
    return stack.reason


def test_slices_in_series_of_their_own_are_one_stack(make_cine):
    planes = [
        plane
        for d in range(6)
        for plane in make_cine(1, 8, start=8.0 * d, series_uid=f"1.{d}", series_number=20 + d, frame_of_reference="one")
    ]
    stack = chosen(planes)
    assert (len(stack.slices), stack.n_phases, stack.series) == (6, 8, tuple(range(20, 26)))
    assert stack.name == "series 20, 21, 22, 23, 24, 25"


def test_two_frames_of_reference_do_not_make_one_stack_unless_every_file_has_its_own(make_cine, make_plane):
    planes = make_cine(4, 8, frame_of_reference="one") + make_cine(1, 8, start=32.0, series_uid="b", frame_of_reference="two")
    assert len(chosen(planes).slices) == 4
    senseless = [
        make_plane(8.0 * d, series_uid=str(d), frame_of_reference=f"{d}.{t}", clocks={"TriggerTime": 40.0 * t})
        for d in range(5)
        for t in range(8)
    ]
    assert len(chosen(senseless).slices) == 5


def test_halves_of_a_stack_join_and_two_whole_stacks_do_not(make_cine):
    halves = make_cine(4, 8, series_uid="a") + make_cine(4, 8, start=32.0, series_uid="b")
    assert len(chosen(halves).slices) == 8
    twice = make_cine(5, 8, series_uid="a", series_number=3, acquired=1.0) + make_cine(5, 8, series_uid="b", series_number=4, acquired=2.0)
    stack, notes = choose(HERE, stacks_of(twice))
    assert stack.series == (4,), "the later one"
    assert re.search("series 4 is taken .*series 3", " ".join(notes))


@pytest.mark.parametrize(
    "change",
    [{"shape": (8, 8)}, {"spacing": (2.0, 2.0)}, {"echo_time": 4.0}, {"sequence": "SE"}, {"image_type": ("ND",)}, {"study_uid": "2"}],
)
def test_a_slice_of_another_grid_or_technique_does_not_join(make_cine, change):
    planes = make_cine(4, 8) + make_cine(1, 8, start=32.0, series_uid="b", **change)
    assert sorted(len(stack.slices) for stack in stacks_of(planes)) == [1, 4]


def test_the_largest_stack_wins_over_a_description(make_cine):
    planes = make_cine(9, 20, series_uid="a", series_number=1) + make_cine(3, 12, series_uid="b", series_number=2, description="cine sax")
    assert chosen(planes).series == (1,)


def test_a_description_decides_between_comparable_stacks(make_cine):
    planes = make_cine(9, 20, series_uid="a", series_number=1, description="tagging sax")
    planes += make_cine(9, 18, series_uid="b", series_number=2, description="cine short axis")
    planes += make_cine(9, 20, series_uid="c", series_number=3, acquired=9.0)
    assert chosen(planes).series == (2,)


def test_of_both_versions_the_distortion_corrected_one_is_taken(make_cine):
    planes = make_cine(5, 8, image_type=("ORIGINAL", "ND"), series_number=7, series_uid="b", acquired=5.0)
    planes += make_cine(5, 8, image_type=("ORIGINAL", "DIS2D"), series_number=6, series_uid="a", acquired=5.0)
    assert chosen(planes).series == (6,)


def test_magnitude_and_phase_in_one_series_are_parted(make_cine):
    planes = make_cine(5, 8) + make_cine(5, 8, is_phase=True)
    assert {stack.reason is None for stack in stacks_of(planes)} == {True, False}
    assert not any(plane.is_phase for plane in chosen(planes).planes)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"is_phase": True}, "phase of the signal"),
        ({"is_flow": True}, "flow measurement"),
        ({"sequence": "IR GR", "inversion_time": 300.0}, "inversion recovery"),
    ],
)
def test_another_kind_of_cine_is_left_out(make_cine, change, told):
    assert told in reason(make_cine(5, 8, **change))


def test_planes_off_the_short_axis_pass_only_by_description(make_plane):
    def axial(**changes):
        return [
            make_plane(orientation=(1, 0, 0, 0, 1, 0), position=(0, 0, 8.0 * d), clocks={"TriggerTime": 40.0 * t}, **changes)
            for d in range(5)
            for t in range(8)
        ]

    assert "63° off" in reason(axial())
    assert reason(axial(description="cine_sax_dextrocardia")) is None


@pytest.mark.parametrize("name", ["inversion", "echo"])
def test_times_that_differ_within_a_slice_mark_maps(make_plane, name):
    planes = [make_plane(8.0 * d, clocks={"TriggerTime": 100.0 * t}, **{f"{name}_time": 100.0 * t + 1}) for d in range(3) for t in range(6)]
    assert f"differs in {name} time" in reason(planes)


def test_one_image_a_slice_is_no_cine(make_cine):
    assert "one image at each slice" in reason(make_cine(8, 1))


def test_the_same_image_twice_at_each_slice_is_no_cine(make_cine):
    twice = make_cine(5, 1, acquired=1.0) + make_cine(5, 1, acquired=2.0)
    assert reason(twice).startswith("has 2 images at each slice")


def test_two_slices_are_too_few_and_three_are_enough(make_cine):
    assert "has 2 slices in this direction" in reason(make_cine(2, 8))
    assert reason(make_cine(3, 8)) is None


def test_trigger_times_of_several_beats_are_no_cine(make_plane):
    beats = [make_plane(8.0 * d, clocks={"TriggerTime": 900.0 * t}) for d in range(3) for t in range(30)]
    assert reason(beats).startswith("runs over 26 s")


def test_acquisition_times_of_several_beats_are_no_cine_where_nothing_else_tells(make_plane):
    shots = [
        make_plane(8.0 * d, clocks={"TemporalPositionIndex": 1.0 + t, "AcquisitionTime": 100.0 + t}) for d in range(3) for t in range(30)
    ]
    assert "more than one heartbeat" in reason(shots)
    same = [make_plane(8.0 * d, clocks={"TemporalPositionIndex": 1.0 + t, "AcquisitionTime": 100.0}) for d in range(3) for t in range(30)]
    assert reason(same) is None


def test_nothing_fit_is_an_error_with_the_reasons(make_cine):
    planes = make_cine(8, 1, series_number=1, series_uid="a") + make_cine(1, 8, series_number=None, series_uid="b")
    with pytest.raises(InputError, match=r"study: .*without number: .*1 slice.*series 1"):
        choose(HERE, stacks_of(planes))


def test_cines_of_two_studies_are_an_error(make_cine):
    planes = make_cine(5, 8, study_uid="1") + make_cine(5, 8, study_uid="2")
    with pytest.raises(InputError, match="several studies"):
        choose(HERE, stacks_of(planes))


def test_no_message_shows_a_description(make_cine):
    planes = make_cine(5, 8, series_uid="a", description="secret") + make_cine(5, 8, series_uid="b", description="secret")
    stack, notes = choose(HERE, stacks_of(planes))
    assert "secret" not in stack.name + "".join(notes)


def test_a_stack_without_series_numbers_has_a_name(make_plane):
    assert Stack((make_plane(series_number=None),)).name == "a series without number"
