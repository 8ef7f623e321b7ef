"""Pixels: every storage gives the values that went in, and what cannot be decoded is named."""

from __future__ import annotations

import gdcm
import numpy as np
import pydicom
import pytest
from pydicom.uid import JPEG2000Lossless, RLELossless

from shortaxis.errors import InputError
from shortaxis.io.dicom import pixels, read_dicom
from shortaxis.phantom.dicom import MAKERS, write_dicom

GDCM_SYNTAXES = [
    "ImplicitVRLittleEndian",
    "ExplicitVRBigEndian",
    "DeflatedExplicitVRLittleEndian",
    "JPEGLosslessProcess14_1",
    "JPEGLSLossless",
    "JPEG2000Lossless",
    "RLELossless",
]


def change_syntax(file, name):
    reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
    reader.SetFileName(str(file))
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, name)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFileName(str(file))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()


@pytest.mark.parametrize("name", GDCM_SYNTAXES)
def test_every_transfer_syntax_that_gdcm_writes_gives_the_same_values(tmp_path, cine, name):
    for file in write_dicom(tmp_path, cine):
        change_syntax(file, name)
    assert np.array_equal(read_dicom(tmp_path).pixels, cine.pixels)


@pytest.mark.parametrize("enhanced", [False, True])
@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_compressed_phantoms_give_the_same_values(tmp_path, cine, syntax, enhanced):
    files = write_dicom(tmp_path, cine, vendor="PHILIPS", enhanced=enhanced, transfer_syntax=syntax)
    assert pydicom.dcmread(files[0]).file_meta.TransferSyntaxUID == syntax
    assert np.array_equal(read_dicom(tmp_path).pixels, cine.pixels)


@pytest.mark.parametrize("vendor", list(MAKERS))
@pytest.mark.parametrize("enhanced", [False, True])
def test_large_values_that_are_dark_are_turned_round(tmp_path, cine, vendor, enhanced):
    files = write_dicom(tmp_path, cine, vendor=vendor, enhanced=enhanced, inverted=True)
    assert pydicom.dcmread(files[0]).PhotometricInterpretation == "MONOCHROME1"
    assert np.array_equal(read_dicom(tmp_path).pixels, cine.pixels)


def test_broken_compressed_pixels_are_named(tmp_path, cine):
    files = write_dicom(tmp_path, cine, transfer_syntax=JPEG2000Lossless)
    content = files[3].read_bytes()
    files[3].write_bytes(content[:-60])
    with pytest.raises(InputError, match=r"IM00003\.dcm: its pixels cannot be decoded .* get the file anew"):
        read_dicom(tmp_path)


def test_a_rescale_slope_that_is_no_number_is_refused(tmp_path, cine):
    for file in write_dicom(tmp_path, cine):
        dataset = pydicom.dcmread(file)
        dataset.RescaleSlope, dataset.RescaleIntercept = "1e39", "0"
        dataset.save_as(file)
    with pytest.raises(InputError, match="NaN or infinite voxels"):
        read_dicom(tmp_path)


def test_a_file_whose_pixels_changed_after_the_scan_is_refused(tmp_path, cine, monkeypatch):
    write_dicom(tmp_path, cine)
    monkeypatch.setattr(pixels, "_decode", lambda path, frames: [np.zeros((2, 2))] * len(frames))
    with pytest.raises(InputError, match=r"frame 1 has the shape \(2, 2\), not \(36, 40\)"):
        read_dicom(tmp_path)
