"""Pixels: every storage gives the values that went in, and what cannot be decoded is named."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom.data import get_testdata_file
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    RLELossless,
)

from shortaxis.errors import InputError
from shortaxis.io.dicom import pixels, read_dicom
from shortaxis.phantom.dicom import MAKERS, write_dicom


def jpeg_lossless(dataset):
    """SimpleITK writes what pydicom only reads."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "image.dcm"
        writer = SimpleITK.ImageFileWriter()
        writer.SetFileName(str(path))
        writer.SetImageIO("GDCMImageIO")
        writer.UseCompressionOn()
        writer.SetCompressor("JPEG")
        writer.Execute(SimpleITK.GetImageFromArray(dataset.pixel_array[None]))
        written = pydicom.dcmread(path)
    dataset.PixelData = written.PixelData
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = written.file_meta.TransferSyntaxUID
    dataset.BitsStored, dataset.HighBit = written.BitsStored, written.HighBit
    assert written.file_meta.TransferSyntaxUID == JPEGLosslessSV1


def big_endian(dataset):
    dataset.PixelData = dataset.pixel_array.astype(">u2").tobytes()
    dataset["PixelData"].VR = "OW"
    dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian


def implicit(dataset):
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian


def deflated(dataset):
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian


@pytest.mark.parametrize("change", [jpeg_lossless, big_endian, implicit, deflated])
def test_every_transfer_syntax_gives_the_same_values(tmp_path, cine, change):
    for file in write_dicom(tmp_path, cine, vendor="SIEMENS"):
        old = pydicom.dcmread(file)
        change(old)
        new = pydicom.Dataset({element.tag: element for element in old})
        new.file_meta = old.file_meta
        new.save_as(file, enforce_file_format=True)
        assert pydicom.dcmread(file).file_meta.TransferSyntaxUID == old.file_meta.TransferSyntaxUID
    assert np.array_equal(read_dicom(tmp_path).pixels, cine.pixels)


@pytest.mark.parametrize("kind", ["jpeg_ls_lossless", "jp2klossless", "RLE", "bigendian", "implicit"])
def test_pydicoms_own_samples_are_decoded(kind):
    plain, packed = (Path(get_testdata_file(f"{name}.dcm", download=False)) for name in ("MR_small", f"MR_small_{kind}"))
    (decoded,) = pixels._decode(packed, [0])
    assert np.array_equal(decoded, pydicom.dcmread(plain).pixel_array)


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
    with pytest.raises(InputError, match=r"IM00003\.dcm: .*decoded \(\w+\)"):
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
    with pytest.raises(InputError, match=r"frame 1 .*\(2, 2\), not \(36, 40\)"):
        read_dicom(tmp_path)
