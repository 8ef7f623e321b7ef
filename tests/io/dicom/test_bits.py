"""Bits of a stored pixel: the value is found where it lies, and contradictions are named."""

from __future__ import annotations

import numpy as np
import pytest

from shortaxis.errors import InputError
from shortaxis.io.dicom import read_dicom
from shortaxis.io.dicom.bits import Bits, value_of
from shortaxis.io.dicom.limits import ClaimError
from shortaxis.phantom.dicom import write_dicom


@pytest.mark.parametrize("padding", [0, 7])
@pytest.mark.parametrize("signed", [False, True])
def test_values_at_the_upper_end_are_read(tmp_path, cine, edit_files, padding, signed):
    def shift(dataset, _):
        stored = dataset.pixel_array.astype(np.int16 if signed else np.uint16) << 4 | padding
        dataset.PixelData, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = stored.tobytes(), 12, 15, int(signed)

    edit_files(write_dicom(tmp_path, cine), shift)
    assert np.array_equal(read_dicom(tmp_path).pixels, cine.pixels)


def test_a_high_bit_that_is_untrue_changes_nothing(tmp_path, cine, edit_files):
    edit_files(write_dicom(tmp_path, cine), lambda dataset, _: dataset.update({"BitsStored": 12, "HighBit": 15}))
    assert np.array_equal(read_dicom(tmp_path).pixels, cine.pixels)


@pytest.mark.parametrize(("change", "told"), [({"BitsAllocated": 8}, "BitsStored"), ({"PixelRepresentation": None}, "PixelRepresentation")])
def test_what_contradicts_or_lacks_is_named(tmp_path, cine, edit_files, change, told):
    def spoil(dataset, _):
        for keyword, value in change.items():
            delattr(dataset, keyword)
            if value is not None:
                setattr(dataset, keyword, value)

    edit_files(write_dicom(tmp_path, cine, vendor="SIEMENS"), spoil)
    with pytest.raises(InputError, match=told):
        read_dicom(tmp_path)


def test_pixels_beyond_the_stored_bits_contradict_a_high_bit_below_them():
    image = np.array([[5000, 3]], np.uint16)
    with pytest.raises(ClaimError, match="HighBit"):
        value_of(image, Bits(16, 12, 9))
    assert value_of(np.array([[3000, 3]], np.uint16), Bits(16, 12, 9)).tolist() == [[3000, 3]]
