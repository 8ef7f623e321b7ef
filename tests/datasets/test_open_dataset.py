"""`open_dataset` finds the reader by name, or by what lies at the path."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shortaxis.datasets import open_dataset
from shortaxis.datasets.acdc import write_acdc_patient
from shortaxis.datasets.mnms import write_mnms
from shortaxis.datasets.nnunet import write_nnunet
from shortaxis.datasets.packed import write_packed
from shortaxis.errors import InputError
from shortaxis.study import Study, Subject


@pytest.fixture
def places(tmp_path):
    rng = np.random.default_rng(0)
    study = Study(rng.random((2, 2, 8, 8), np.float32), (8, 1, 1), end_diastole=0, end_systole=1, subject=Subject("patient001"))
    labels = rng.integers(1, 4, study.pixels.shape, np.uint8)
    write_acdc_patient(tmp_path / "acdc", study, labels)
    write_mnms(tmp_path / "mnms", [(study, labels, "test")])
    data = open_dataset(f"acdc:{tmp_path / 'acdc'}")
    write_nnunet(tmp_path / "nnunet", data)
    write_packed(data, tmp_path / "packed.zip")
    return {"acdc": tmp_path / "acdc", "mnms": tmp_path / "mnms", "nnunet": tmp_path / "nnunet", "packed": tmp_path / "packed.zip"}


def test_a_bare_path_is_opened_like_the_named_kind(places):
    for kind, path in places.items():
        named, bare = open_dataset(f"{kind}:{path}"), open_dataset(path)
        assert (len(named), len(bare)) == (2, 2)
        assert [ref.name for ref in named.refs] == [ref.name for ref in bare.refs]
        assert bare.patients == ("patient001",)


def test_one_patients_folder_is_recognised(places):
    assert len(open_dataset(str(places["acdc"] / "patient001"))) == 2


def test_a_home_folder_is_understood(places, monkeypatch):
    monkeypatch.setenv("HOME", str(places["packed"].parent))
    assert len(open_dataset("packed:~/packed.zip")) == 2
    assert len(open_dataset("~/acdc")) == 2


def test_the_phantom_takes_a_number_and_a_seed():
    assert open_dataset("phantom:3").patients == ("phantom001", "phantom002", "phantom003")
    first, other = (open_dataset(f"phantom:1@{seed}").refs[0].load() for seed in (0, 5))
    np.testing.assert_array_equal(open_dataset("phantom:1").refs[0].load().image, first.image)
    assert first.image.shape != other.image.shape or (first.image != other.image).any()


@pytest.mark.parametrize("count", ["", "ten", "3@x", "-1"])
def test_a_phantom_count_that_is_no_number_is_refused(count):
    with pytest.raises(InputError, match=r"not understood.*phantom:10@3"):
        open_dataset(f"phantom:{count}")


@pytest.mark.parametrize("spec", ["cinema:somewhere", "somewhere", Path("somewhere")])
def test_what_is_not_there_is_refused_with_the_known_kinds(spec):
    with pytest.raises(InputError, match=r"no such file or folder.*KIND:PATH"):
        open_dataset(spec)


def test_what_is_not_recognised_is_refused(tmp_path):
    (tmp_path / "in.txt").write_text("text")
    for path in (tmp_path, tmp_path / "in.txt"):
        with pytest.raises(InputError, match="is no data set known here"):
            open_dataset(path)
