"""Headers that claim what their files cannot hold, and files that expand to next to nothing: refused before memory is taken."""

from __future__ import annotations

import gzip
import os
import struct
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest

from shortaxis.errors import InputError
from shortaxis.io.nifti import outline_nifti, read_labels, read_nifti
from shortaxis.labels import ACDC

PLACES = {"dim": 40, "vox_offset": 108}


def header(shape, *, extension=None, offset=352.0):
    """Bytes of a NIfTI-1 header of 16-bit voxels, with an extension that claims so many bytes."""
    image = nib.Nifti1Image(np.zeros((2, 2, 2), np.int16), np.diag([1.5, 1.5, 8.0, 1.0]))
    raw = bytearray(image.to_bytes()[:352])
    struct.pack_into("<8h", raw, PLACES["dim"], len(shape), *shape, *[1] * (7 - len(shape)))
    struct.pack_into("<f", raw, PLACES["vox_offset"], offset)
    if extension is not None:
        raw[348] = 1
        raw += struct.pack("<2i", extension, 6)
    return bytes(raw)


def zeros(path, head, megabytes):
    """Write a compressed file of a header and zeros: members of 32 MB one after the other, which unpack as one."""
    member = gzip.compress(bytes(32 << 20), 6)
    path.write_bytes(gzip.compress(head) + member * (megabytes // 32) + gzip.compress(bytes(1 << 18), 0))
    return path


@pytest.mark.parametrize("name", ["in.nii", "in.nii.gz"])
@pytest.mark.parametrize("shape", [(512, 512, 100, 200), (32767, 32767, 32767), (400, 400, 10, 20)])
def test_more_voxels_than_the_file_can_hold_are_refused_with_the_claim(tmp_path, name, shape):
    content = header(shape) + np.random.default_rng(0).bytes(10_000)
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    for reader in (read_nifti, outline_nifti, lambda path: read_labels(path, ACDC)):
        with pytest.raises(InputError, match=" × ".join(map(str, shape))):
            reader(tmp_path / name)


def test_a_large_image_of_nothing_is_refused(tmp_path):
    path = zeros(tmp_path / "in.nii.gz", header((512, 512, 20, 20)), 256)
    with pytest.raises(InputError, match="next to empty"):
        read_nifti(path)


def test_large_labels_may_be_next_to_empty(tmp_path):
    path = zeros(tmp_path / "in.nii.gz", header((512, 512, 20, 20)), 256)
    with pytest.raises(InputError, match="next to empty"):
        outline_nifti(path)
    assert outline_nifti(path, labels=True).shape == (20, 20, 512, 512)


@pytest.mark.parametrize("name", ["in.nii", "in.nii.gz"])
@pytest.mark.parametrize(
    ("extension", "offset"), [(2**31 - 16, 512.0), (-16, 512.0), (4, 512.0), (2**30, 2.0**31), (64, 2.0**40), (2**30, 0.0)]
)
def test_a_header_that_claims_endless_extensions_is_refused(tmp_path, name, extension, offset):
    content = header((20, 20, 5), extension=extension, offset=offset) + bytes(8000)
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    with pytest.raises(InputError, match=name):
        read_nifti(tmp_path / name)


def test_a_true_extension_is_read_over(tmp_path):
    image = nib.Nifti1Image(np.arange(6 * 5 * 3, dtype=np.int16).reshape(6, 5, 3), np.diag([1.5, 1.5, 8.0, 1.0]))
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"text " * 5000))
    nib.save(image, tmp_path / "in.nii.gz")
    assert read_nifti(tmp_path / "in.nii.gz").pixels.max() == 89


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process's memory is read from /proc")
def test_a_refused_file_costs_little_memory_and_time(tmp_path):
    """Gigabytes of zeros in a few megabytes, and a small file that claims ten gigabytes."""
    claim = tmp_path / "claim.nii.gz"
    claim.write_bytes(gzip.compress(header((512, 512, 100, 200)) + np.random.default_rng(0).bytes(120_000)))
    names = [claim]
    for name, shape, extension in (
        ("cine", (512, 512, 40, 120), None),
        ("empty", (512, 512, 40, 50), None),
        ("ext", (9, 9, 9), 2**31 - 16),
    ):
        names.append(zeros(tmp_path / f"{name}.nii.gz", header(shape, extension=extension, offset=2.0**20), 2560))
    code = (
        "import sys, time\n"
        "from shortaxis.errors import InputError\n"
        "from shortaxis.io.nifti import read_nifti\n"
        "for path in sys.argv[1:]:\n"
        "    since = time.process_time()\n"
        "    try:\n"
        "        read_nifti(path)\n"
        "    except InputError:\n"
        "        print('refused', time.process_time() - since < 2)\n"
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("COV_", "COVERAGE_"))}
    run = subprocess.run([sys.executable, "-c", code, *names], check=True, capture_output=True, text=True, env=environment, timeout=120)
    *refused, most = run.stdout.splitlines()
    assert refused == ["refused True"] * len(names)
    assert int(most) < 300_000  # kB


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, ">i2", np.int32, np.float32, np.float64, ">f4"])
@pytest.mark.parametrize("scaling", [None, (1.0, 0.0), (0.37, -1024.0), (2.0, 3.0)])
@pytest.mark.parametrize("name", ["in.nii", "in.nii.gz"])
def test_voxels_are_those_of_nibabel_to_the_bit(tmp_path, dtype, scaling, name):
    array = np.random.default_rng(1).integers(0, 200, (6, 5, 4, 3)).astype(dtype)
    image = nib.Nifti1Image(array, np.diag([1.5, 1.5, 8.0, 1.0]), nib.Nifti1Header(endianness=">" if ">" in str(np.dtype(dtype)) else "<"))
    image.header.set_data_dtype(dtype)
    raw = bytearray(image.to_bytes())
    if scaling is not None:
        struct.pack_into((">" if image.header.endianness == ">" else "<") + "2f", raw, 112, *scaling)
    (tmp_path / name).write_bytes(gzip.compress(raw) if name.endswith("gz") else bytes(raw))
    study = read_nifti(tmp_path / name)
    expected = nib.load(tmp_path / name).get_fdata(dtype=np.float32)
    np.testing.assert_array_equal(study.source.layout.to_file(study.pixels), expected)
