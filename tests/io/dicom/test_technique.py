"""Techniques told apart by their names, sequences and contrast before the number of images decides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shortaxis.errors import InputError
from shortaxis.io.dicom import read_dicom
from shortaxis.io.dicom.series import choose, stacks_of
from shortaxis.io.dicom.technique import named_technique
from shortaxis.phantom.dicom import write_dicom

HERE = Path("study")


@pytest.mark.parametrize(
    ("description", "technique"),
    [
        *((name, "tagging") for name in ("tagging_sax", "sa_tag_8mm", "cspamm", "gridtag sa")),
        *((name, "map") for name in ("t1map_sax", "t1 mapping sa", "t2*_sax", "shmolli_192i")),
        *((name, "perfusion") for name in ("perf_sax_stress", "first-pass")),
        *((name, "enhancement") for name in ("lge_sax", "psir_sax", "delayed enhancement")),
        *((name, "phase contrast") for name in ("q-flow aao", "phase contrast sax", "venc_250")),
        *((name, None) for name in ("cine_sax", "stage 2 cine sa", "lateral wall cine", "sax_flow_comp", "cine sax post lge", "performed")),
        *((name, None) for name in ("stress perfusion sa fiesta", "cine sax pre molli", "pc_sax", "flow_250")),
    ],
)
def test_names_tell_techniques(make_plane, description, technique):
    found = named_technique([make_plane(description=description)])
    assert found is None if technique is None else technique in found


def test_attributes_tell_techniques_where_names_do_not(make_plane):
    assert named_technique([make_plane(is_tagged=True)]) == "tagging"
    assert named_technique([make_plane(image_type=("DERIVED", "PRIMARY", "T1 MAP"))]) == "a T1, T2 or T2* map"


def test_the_protocol_of_the_whole_examination_names_no_series(tmp_path, cine, edit_files):
    def change(dataset, _):
        dataset.ProtocolName, dataset.SeriesDescription = "cardiac stress perfusion", "SA FIESTA"

    files = write_dicom(tmp_path, cine)
    edit_files(files, change)
    assert np.array_equal(read_dicom(tmp_path).pixels, cine.pixels)
    edit_files(files, lambda dataset, _: delattr(dataset, "SeriesDescription"))
    with pytest.raises(InputError, match="perfusion"):
        read_dicom(tmp_path)


@pytest.mark.parametrize("name", ["pc sa", "sax flow", "perfusion sa fiesta"])
def test_a_name_that_may_be_of_another_technique_only_gives_way(make_cine, name):
    planes = make_cine(5, 8, series_uid="a", series_number=3) + make_cine(5, 25, series_uid="b", series_number=9, description=name)
    assert choose(HERE, stacks_of(planes))[0].series == (3,)
    alone, notes = choose(HERE, stacks_of(planes[40:]))
    assert alone.series == (9,)
    assert "named like" in notes[0]


def test_a_larger_series_of_another_technique_is_not_taken_but_named(make_cine):
    planes = make_cine(5, 8, series_uid="a", series_number=3)
    planes += make_cine(5, 25, series_uid="b", series_number=9, description="tagging_sax")
    stack, notes = choose(HERE, stacks_of(planes))
    assert stack.series == (3,)
    (note,) = notes
    assert "series 9" in note
    assert "tagging" in note


def test_alone_it_is_refused_by_name(make_cine):
    with pytest.raises(InputError, match="tagging"):
        choose(HERE, stacks_of(make_cine(5, 25, description="sax tagging")))


def test_trigger_times_that_stand_still_leave_a_larger_series_out(make_cine, make_plane):
    planes = make_cine(6, 5, series_uid="a", series_number=3)
    planes += [make_plane(8.0 * d, series_uid="b", series_number=9, clocks={"TriggerTime": 130.0 + d}) for d in range(3) for _ in range(40)]
    stack, notes = choose(HERE, stacks_of(planes))
    assert stack.series == (3,)
    assert "series 9" in notes[0]


def test_a_real_time_series_gives_way_to_a_cine(make_cine):
    planes = make_cine(6, 20, series_uid="a", series_number=3, description="cine sax")
    planes += make_cine(6, 60, series_uid="b", series_number=9, description="sax_real_time")
    assert choose(HERE, stacks_of(planes))[0].series == (3,)
    alone, notes = choose(HERE, stacks_of(planes[120:]))
    assert alone.series == (9,)
    assert "named like another" in notes[0]


def test_of_equal_series_the_balanced_one_is_taken(make_cine):
    planes = make_cine(5, 8, series_uid="a", series_number=3, sequence_name="fiesta  ss")
    planes += make_cine(5, 8, series_uid="b", series_number=9, sequence_name="fgre  sp", acquired=5.0)
    assert choose(HERE, stacks_of(planes))[0].series == (3,)
