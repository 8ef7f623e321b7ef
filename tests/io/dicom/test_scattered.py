"""What exports and anonymisers tear apart is put together again, and nothing else."""

from __future__ import annotations

import random

import numpy as np
import pytest

from shortaxis.io.dicom import find_studies, read_dicom
from shortaxis.io.dicom.phases import order_phases
from shortaxis.io.dicom.scattered import across_midnight, gathered
from shortaxis.io.dicom.series import choose, stacks_of
from shortaxis.phantom.dicom import Accidents, write_dicom

DAY = 86400.0


def chosen(planes, folder):
    found, notes = gathered(planes)
    stack, said = choose(folder, stacks_of(found))
    return stack, [*notes, *said]


@pytest.mark.parametrize("kind", ["phase", "file"])
@pytest.mark.parametrize("clocked", [True, False])
def test_a_series_for_each_phase_or_file_is_joined(make_plane, tmp_path, kind, clocked):
    planes = [
        make_plane(
            8.0 * d,
            series_uid=f"{t}" if kind == "phase" else f"{t}.{d}",
            series_number=500 + t if kind == "phase" else 5,
            clocks={"InstanceNumber": (d + 1 if kind == "phase" else 5 * d + t) * 1e5, **({"TriggerTime": 150.0 * t} if clocked else {})},
        )
        for t in range(5)
        for d in range(4)
    ]
    order = {plane.path: number // 4 for number, plane in enumerate(planes)}
    random.Random(0).shuffle(planes)
    stack, notes = chosen(planes, tmp_path)
    assert (len(stack.slices), stack.n_phases) == (4, 5)
    assert "own series" in notes[0]
    assert [[order[plane.path] for plane in images] for images in order_phases(stack.slices).planes] == [[0, 1, 2, 3, 4]] * 4


def test_late_enhancement_acquired_again_is_not_made_a_cine(make_plane):
    planes = [
        make_plane(8.0 * d, series_uid=f"{t}", series_number=90 + t, clocks={"TriggerTime": 640.0 + 5 * t})
        for t in range(6)
        for d in range(4)
    ]
    assert gathered(planes) == (planes, [])


def test_a_study_uid_for_each_file_means_nothing(tmp_path, cine, edit_files):
    files = write_dicom(tmp_path, cine, vendor="SIEMENS")
    edit_files(files, lambda dataset, n: setattr(dataset, "StudyInstanceUID", f"1.2.{n}"))
    assert find_studies(tmp_path) == [tmp_path]
    with pytest.warns(UserWarning, match="StudyInstanceUID"):
        assert np.array_equal(read_dicom(tmp_path).pixels, cine.pixels)


def test_two_studies_are_still_two(make_cine):
    planes = make_cine(5, 8, study_uid="1") + make_cine(5, 8, study_uid="2")
    assert {plane.study_uid for plane in gathered(planes)[0]} == {"1", "2"}


@pytest.mark.parametrize("day", [0.0, 737000 * DAY])
def test_times_far_apart_are_shifted_only_where_no_date_is_known(make_plane, day):
    clocks = [day + hours * 3600.0 for hours in (7, 22)]
    planes = across_midnight([make_plane(clocks={"AcquisitionTime": clock}) for clock in clocks])
    assert [plane.clocks["AcquisitionTime"] - clock for plane, clock in zip(planes, clocks, strict=True)] == [0.0 if day else DAY, 0.0]


@pytest.mark.parametrize("dated", [True, False])
def test_phases_are_in_order_across_midnight(tmp_path, cine, edit_files, dated):
    """The third slice is acquired while the day changes."""

    def change(dataset, n):
        seconds = DAY - 40.3 + 20 * (n // 5) + 0.16 * (n % 5)
        hours = int(seconds % DAY)
        clock = f"{hours // 3600:02d}{hours // 60 % 60:02d}{hours % 60:02d}.{int(seconds % 1 * 1e6):06d}"
        del dataset.TriggerTime, dataset.AcquisitionDate, dataset.ContentDate
        dataset.AcquisitionTime = dataset.ContentTime = clock
        if dated:
            dataset.AcquisitionDate = dataset.ContentDate = "20200131" if seconds < DAY else "20200201"

    edit_files(write_dicom(tmp_path, cine, accidents=Accidents(shuffle=3, reverse=False)), change, by="InstanceNumber")
    study = read_dicom(tmp_path)
    assert study.source.clock == "AcquisitionTime"
    assert np.array_equal(study.pixels, cine.pixels)
