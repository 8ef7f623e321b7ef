from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from shortaxis.datasets import joined, open_dataset
from shortaxis.datasets.packed import write_packed
from shortaxis.datasets.pairs import find_pairs
from shortaxis.datasets.sunnybrook import read_sunnybrook, without_border
from shortaxis.errors import DataWarning, InputError
from shortaxis.labels import UNKNOWN, Structure


@pytest.fixture
def folder(tmp_path):
    truth = np.zeros((12, 12, 3), np.uint8)
    truth[3:9, 3:9] = 3
    for patient in ("SC-HF-I-08", "SC-N-03"):
        (tmp_path / patient).mkdir()
        for number in (1, 2):
            for ending, array in (("", np.arange(432, dtype=np.int16).reshape(12, 12, 3)), ("_gt", truth)):
                image = nib.Nifti1Image(array, np.diag([1.0, 1.0, 8.0, 1.0]))
                nib.save(image, tmp_path / patient / f"{patient}_frame0{number}{ending}.nii.gz")
    return tmp_path


def test_frames_have_phase_group_and_what_is_annotated(folder):
    dataset = open_dataset(f"sunnybrook:{folder}")
    assert [(ref.patient, ref.phase, ref.group) for ref in dataset.refs] == [
        ("SC-HF-I-08", "ED", "HF-I"),
        ("SC-HF-I-08", "ES", "HF-I"),
        ("SC-N-03", "ED", "N"),
        ("SC-N-03", "ES", "N"),
    ]
    frame = dataset.refs[0].load()
    assert frame.annotated == {Structure.BACKGROUND, Structure.LV}
    assert not frame.is_whole
    assert len(dataset.whole()) == 0


def test_the_border_of_the_cavity_is_unknown(folder):
    labels = read_sunnybrook(folder).refs[0].load().labels
    # 6 x 6 pixels of 1 mm: the ring of 20 pixels is nearer than 2 mm to the outside.
    assert (labels[0] == Structure.LV).sum() == 16
    assert (labels[0] == UNKNOWN).sum() == 20
    assert set(np.unique(labels)) == {0, 3, 255}


def test_the_border_is_measured_in_mm():
    cavity = np.zeros((1, 9, 9), np.uint8)
    cavity[0, 2:7, 2:7] = Structure.LV
    wide = without_border(cavity, (3.0, 3.0), border_mm=2.0)
    assert (wide == cavity).all()
    tall = without_border(cavity, (1.0, 3.0), border_mm=1.5)
    assert (tall[0, [2, 6], 2:7] == UNKNOWN).all()
    assert (tall[0, 3:6, 2:7] == Structure.LV).all()


def test_a_missing_file_is_named(folder):
    (folder / "SC-N-03" / "SC-N-03_frame02_gt.nii.gz").unlink()
    with pytest.raises(InputError, match="SC-N-03_frame02_gt"):
        read_sunnybrook(folder)


def test_a_folder_without_patients_is_refused(tmp_path):
    with pytest.raises(InputError, match="SC-HF-I-08"):
        read_sunnybrook(tmp_path)


def test_data_sets_are_joined_with_a_comma(folder):
    both = open_dataset(f"phantom:2,sunnybrook:{folder}")
    assert len(both) == 8
    assert both.name.endswith("+sunnybrook")
    assert len(both.whole()) == 4


def test_two_patients_of_one_name_are_refused(folder):
    dataset = read_sunnybrook(folder)
    other = type(dataset)("other", dataset.refs)
    with pytest.raises(InputError, match="SC-HF-I-08"):
        joined([dataset, other])


def test_partly_annotated_frames_are_neither_packed_nor_scored(folder, tmp_path):
    with pytest.raises(InputError, match="SC-HF-I-08_frame01"):
        write_packed(read_sunnybrook(folder), tmp_path / "out.zip")
    assert not (tmp_path / "out.zip").exists()
    with pytest.raises(InputError, match="wholly annotated"), pytest.warns(DataWarning, match="4 of 4"):
        find_pairs(folder, f"sunnybrook:{folder}")
