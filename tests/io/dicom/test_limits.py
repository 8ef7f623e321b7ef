"""Claims that cannot be true cost no memory: they are refused before anything is allocated."""

from __future__ import annotations

import tracemalloc
import zlib

import numpy as np
import pydicom
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless

from shortaxis.errors import InputError
from shortaxis.io.dicom import limits, read_dicom
from shortaxis.io.dicom.scanning import scan_headers
from shortaxis.phantom.dicom import write_dicom


@pytest.mark.parametrize(("tag", "value"), [("Rows", 65535), ("Columns", 65535), ("BitsAllocated", 64)])
@pytest.mark.parametrize("syntax", [None, JPEG2000Lossless])
def test_sizes_that_the_file_cannot_hold_are_refused(tmp_path, cine, edit_files, tag, value, syntax):
    file = write_dicom(tmp_path, cine, transfer_syntax=syntax)[0]

    def claim(dataset, _):
        dataset.Rows = dataset.Columns = 4000
        setattr(dataset, tag, value)

    edit_files([file], claim)
    assert file in scan_headers(file).damaged


def test_more_frames_than_are_described_are_refused(tmp_path, cine, edit_files):
    (file,) = write_dicom(tmp_path, cine, enhanced=True)
    edit_files([file], lambda dataset, _: setattr(dataset, "NumberOfFrames", 20000))
    with pytest.raises(InputError, match="20000"):
        read_dicom(file)


def test_a_study_of_too_many_voxels_is_refused(tmp_path, cine, monkeypatch):
    write_dicom(tmp_path, cine)
    monkeypatch.setattr("shortaxis.io.dicom.reader.MOST_VOXELS", 30_000)
    with pytest.raises(InputError, match="million voxels"):
        read_dicom(tmp_path)


def deflated(file, extra=b""):
    """Write a file again with a deflated body, followed by more of it."""
    dataset = pydicom.dcmread(file)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.save_as(file, enforce_file_format=True)
    if extra:
        raw = file.read_bytes()
        start = 132 + 12 + int.from_bytes(raw[140:144], "little")
        body = zlib.decompress(raw[start:], -zlib.MAX_WBITS)
        engine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        file.write_bytes(raw[:start] + engine.compress(body + extra) + engine.flush())


def test_a_deflated_file_is_inflated_no_further_than_the_limit(tmp_path, cine, monkeypatch):
    file = write_dicom(tmp_path, cine)[0]
    deflated(file)
    assert len(scan_headers(file).planes) == 1
    deflated(file, bytes(2_000_000))
    monkeypatch.setattr(limits, "MOST_INFLATED", 1_000_000)
    assert "expands" in scan_headers(file).damaged[file]


def test_a_huge_length_of_an_element_costs_no_memory(tmp_path, cine):
    file = write_dicom(tmp_path, cine)[0]
    raw = file.read_bytes()
    at = raw.index(b"\x28\x00\x30\x00DS")  # PixelSpacing, which now claims 4 GB
    file.write_bytes(raw[:at] + b"\x28\x00\x30\x00UN\0\0" + b"\xfe\xff\xff\xff" + raw[at + 8 :])
    scan_headers(file)  # imports are not what is measured
    tracemalloc.start()
    scan = scan_headers(file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert scan.planes == []
    assert peak < 10_000_000


def test_a_stream_that_says_another_size_than_the_header_is_refused(tmp_path, cine):
    files = write_dicom(tmp_path, cine, transfer_syntax=JPEG2000Lossless)
    raw = files[4].read_bytes()
    at = raw.index(b"\xff\x4f\xff\x51") + 8
    files[4].write_bytes(raw[:at] + (60000).to_bytes(4, "big") + raw[at + 4 :])
    with pytest.raises(InputError, match="60000"):
        read_dicom(tmp_path)


def test_sizes_of_streams_are_read():
    jpeg = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc3\x00\x0b\x0c\x00\x24\x00\x28\x01"
    assert limits.coded_size(jpeg) == (36, 40)
    assert limits.coded_size(b"\xff\x4f\xff\x51" + b"\0" * 4 + b"".join(n.to_bytes(4, "big") for n in (45, 36, 5, 0))) == (36, 40)
    assert limits.coded_size(b"anything else") is None


def test_an_inflated_study_gives_the_same_pixels(tmp_path, cine):
    for file in write_dicom(tmp_path, cine):
        deflated(file)
    assert np.array_equal(read_dicom(tmp_path).pixels, cine.pixels)
