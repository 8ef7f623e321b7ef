"""The order of the frames of a multi-frame file that says no time."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from pydicom.datadict import tag_for_keyword

from shortaxis.io.dicom import read_dicom
from shortaxis.io.dicom.dimensions import phase_indices
from shortaxis.phantom.dicom import write_dicom
from shortaxis.phantom.dicom_file import item


@pytest.mark.parametrize("pointed", [False, True])
def test_the_dimension_index_orders_the_phases(tmp_path, cine, edit_files, pointed):
    order = np.random.default_rng(4).permutation(25)

    def scramble(dataset, _):
        frames = dataset.PerFrameFunctionalGroupsSequence
        for number, frame in enumerate(frames):
            content = frame.FrameContentSequence[0]
            del content.FrameAcquisitionDateTime
            d, t = divmod(number, 5)
            # The last index also tells the frames apart, but runs the other way.
            content.DimensionIndexValues = [1, d + 1, t + 1, 5 - t] if not pointed else [1, d + 1, 5 - t, t + 1]
        if pointed:
            names = ("StackID", "InStackPositionNumber", "InStackPositionNumber", "TemporalPositionIndex")
            dataset.DimensionIndexSequence = [item(DimensionIndexPointer=tag_for_keyword(name)) for name in names]
        dataset.PixelData = dataset.pixel_array[order].tobytes()
        dataset.PerFrameFunctionalGroupsSequence = [frames[number] for number in order]

    edit_files(write_dicom(tmp_path, cine, clock="number", enhanced=True), scramble)
    study = read_dicom(tmp_path)
    assert study.source.clock == "DimensionIndexValues"
    assert np.array_equal(study.pixels, cine.pixels)


def test_where_only_the_place_in_the_file_orders_them_it_is_said(tmp_path, cine):
    write_dicom(tmp_path, cine, clock="number", enhanced=True)
    with pytest.warns(UserWarning, match="place in the file"):
        assert np.array_equal(read_dicom(tmp_path).pixels, cine.pixels)


def test_an_index_that_tells_nothing_apart_is_none():
    places = [(0.0, 0.0, 0.0)] * 2
    assert phase_indices(pydicom.Dataset(), places, [(1.0,), (1.0,)]) == [None, None]
    assert phase_indices(pydicom.Dataset(), places, [(), ()]) == [None, None]
