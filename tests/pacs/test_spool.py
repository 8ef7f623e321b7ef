from __future__ import annotations

import os
import subprocess
import sys

import pytest

from shortaxis.errors import InputError
from shortaxis.pacs.spool import Record, Spool


@pytest.fixture
def spool(tmp_path):
    made = Spool(tmp_path / "node", clock=lambda: 0.0)
    yield made
    made.close()


def test_no_name_on_disk_holds_a_uid_and_the_names_stay_after_a_restart(spool):
    key = spool.store("1.2.840.77", "1.2.840.77.5", b"image")
    names = [name for _, folders, files in os.walk(spool.folder) for name in (*folders, *files)]
    assert not any("840" in name for name in names)
    spool.close()
    again = Spool(spool.folder, clock=lambda: 0.0)
    assert again.key("1.2.840.77") == key
    again.close()


def test_two_folders_name_a_study_differently(spool, tmp_path):
    other = Spool(tmp_path / "other", clock=lambda: 0.0)
    assert other.key("1.2.3") != spool.key("1.2.3")
    other.close()


def test_an_image_that_comes_twice_is_one_file(spool):
    for content in (b"first", b"again"):
        key = spool.store("1.2", "1.2.3", content)
    assert len(spool.instances(key)) == 1
    assert next(spool.images(key).iterdir()).read_bytes() == b"again"


def test_a_uid_that_looks_like_a_path_stays_in_the_folder(spool, tmp_path):
    spool.store("../../../outside", "/etc/passwd", b"image")
    assert {path.name for path in tmp_path.iterdir()} == {"node"}


def test_a_full_disk_leaves_nothing_of_the_image(spool, monkeypatch):
    def full(_handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shortaxis.pacs.spool.os.fsync", full)
    with pytest.raises(OSError, match="space"):
        spool.store("1.2", "1.2.3", b"image")
    assert not list((spool.folder / "temporary").iterdir())
    assert not list((spool.folder / "incoming").iterdir())


def test_a_second_node_is_kept_out(spool):
    with pytest.raises(InputError, match="another node"):
        Spool(spool.folder)


def test_a_record_that_was_cut_short_counts_as_none(spool):
    spool.write_record("0" * 20, Record("done", ("a",)))
    path = spool.folder / "records" / f"{'0' * 20}.json"
    path.write_bytes(path.read_bytes()[:-5])
    assert spool.record("0" * 20) is None


def test_a_kill_while_images_are_written_leaves_whole_ones_only(tmp_path):
    code = f"""
from pathlib import Path
from shortaxis.pacs.spool import Spool
spool = Spool(Path({str(tmp_path / "node")!r}))
for number in range(10**6):
    spool.store("1.2", f"1.2.{{number}}", b"x" * 300_000)
    print(number, flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        stored = 1 + [int(process.stdout.readline()) for _ in range(20)][-1]
        process.kill()
    spool = Spool(tmp_path / "node")
    key = spool.key("1.2")
    assert len(spool.instances(key)) >= stored
    assert {path.stat().st_size for path in spool.images(key).iterdir()} == {300_000}
    assert spool.quiet(0.0) == [key]
    spool.close()
