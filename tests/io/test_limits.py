"""Members, texts and headers that claim more than is read of them are refused before memory is taken."""

from __future__ import annotations

import struct
import zipfile

import pytest

from shortaxis.errors import InputError
from shortaxis.io.limits import read_member, read_text, refuse_long_header


def test_a_text_comes_without_its_byte_order_mark(tmp_path):
    (tmp_path / "a.json").write_bytes("\ufeff{}".encode())
    assert read_text(tmp_path / "a.json") == "{}"


def test_a_longer_text_is_refused(tmp_path):
    (tmp_path / "a.json").write_bytes(bytes(101))
    with pytest.raises(InputError, match="101"):
        read_text(tmp_path / "a.json", most=100)


def test_a_member_that_unpacks_to_more_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("meta.json", bytes(100_000))
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert len(read_member(archive, "meta.json")) == 100_000
        with pytest.raises(InputError, match="100000"):
            read_member(archive, "meta.json", most=99_999)


@pytest.mark.parametrize("length", [2**40, 2**24 + 1, 200])
def test_a_model_header_longer_than_its_file_is_refused(tmp_path, length):
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", length) + b"{}" * 50)
    with pytest.raises(InputError, match=str(length)):
        refuse_long_header(tmp_path / "a.safetensors")
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", 100) + b"{}" * 50)
    refuse_long_header(tmp_path / "a.safetensors")
