"""A file is written whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import stat

import pytest

from shortaxis.errors import InputError
from shortaxis.io.atomic import atomic_path, write_json


def test_a_finished_file_stands_alone_with_usual_rights(tmp_path):
    path = tmp_path / "new" / "out.nii.gz"
    with atomic_path(path) as temporary:
        assert temporary.parent == path.parent
        assert temporary.name.endswith(".nii.gz")
        assert not path.exists()
        temporary.write_bytes(b"whole")
    assert path.read_bytes() == b"whole"
    assert list(path.parent.iterdir()) == [path]
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask


def _interrupted_write(path):
    with atomic_path(path) as temporary:
        temporary.write_bytes(b"ha")
        raise KeyboardInterrupt


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "out.bin"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        _interrupted_write(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_told_in_one_sentence(tmp_path):
    path = tmp_path / "out.bin"
    with pytest.raises(InputError, match=r"out\.bin: cannot be written \(No space"), atomic_path(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_told_in_one_sentence(tmp_path):
    (tmp_path / "file").write_text("text")
    with pytest.raises(InputError, match=r"file/out\.bin: cannot be written"), atomic_path(tmp_path / "file" / "out.bin"):
        pytest.fail("the block must not run")


def test_json_is_readable_text(tmp_path):
    write_json(tmp_path / "out.json", {"ω": [1, 2.5, None]})
    text = (tmp_path / "out.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"ω": [1, 2.5, None]}
    assert "ω" in text
    assert text.endswith("}\n")


def test_json_without_a_name_for_nan_is_refused(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "out.json", {"dsc": float("nan")})
    assert list(tmp_path.iterdir()) == []
