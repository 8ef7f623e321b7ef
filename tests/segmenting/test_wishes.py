from __future__ import annotations

import json
from pathlib import Path

import pytest

from shortaxis.errors import InputError
from shortaxis.labels import MNMS
from shortaxis.segmenting import PlannedImage, PlannedStudy, Wishes

NIFTI = PlannedStudy("a", Path("a.nii"), (PlannedImage(Path("a.nii"), Path("a.nii")),), Path("a.indices.json"))
DICOM = PlannedStudy("b", Path("b"), (PlannedImage(Path("b"), Path("b.nii.gz"), dicom=True),), Path("b.indices.json"))


def test_only_what_differs_from_the_defaults_is_told_in_plain_types():
    assert Wishes().beyond_defaults() == {}
    assert json.dumps(Wishes(endocardium="compact").beyond_defaults()) == '{"endocardium": "compact"}'
    wished = Wishes(scheme=MNMS, clean=False, end_systole=9, dicom_seg="all", views=5).beyond_defaults()
    assert wished == {"scheme": "mnms", "clean": False, "end_systole": 9, "dicom_seg": "all", "views": 5}


def test_a_dicom_seg_of_other_phases_is_refused():
    with pytest.raises(InputError, match="known are ed-es, all"):
        Wishes(dicom_seg="ed")


def test_a_dicom_seg_of_nifti_files_is_refused_before_anything_runs():
    Wishes(dicom_seg="all").refuse_misuse([DICOM])
    with pytest.raises(InputError, match=r"a\.nii: .*DICOM-SEG"):
        Wishes(dicom_seg="all").refuse_misuse([DICOM, NIFTI])
    Wishes().refuse_misuse([DICOM, NIFTI])


def test_a_dicom_seg_needs_highdicom(monkeypatch):
    monkeypatch.setattr("shortaxis.segmenting.wishes.find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"pip install 'shortaxis\[dicom\]'"):
        Wishes(dicom_seg="all").refuse_misuse([DICOM])
    Wishes().refuse_misuse([DICOM])


@pytest.mark.parametrize("start", ["", "rv_"])
def test_frames_are_counted_from_one_and_ed_is_not_es(start):
    option = "--rv-e" if start else "--e"
    with pytest.raises(InputError, match=f"{option}s 0"):
        Wishes(**{f"{start}end_systole": 0})
    with pytest.raises(InputError, match=f"{option}d and {option}s .*4"):
        Wishes(**{f"{start}end_diastole": 4, f"{start}end_systole": 4})
    assert Wishes(end_diastole=4, rv_end_systole=4).beyond_defaults() == {"end_diastole": 4, "rv_end_systole": 4}


def test_frames_of_the_rv_are_refused_for_a_pair_of_frames():
    pair = [PlannedImage(Path(f"p/X_{phase}.nii"), Path(f"X_{phase}.nii"), phase=phase) for phase in ("ED", "ES")]
    wishes = Wishes(rv_end_diastole=1)
    wishes.refuse_misuse([NIFTI, DICOM])
    with pytest.raises(InputError, match="p: --rv-ed"):
        wishes.refuse_misuse([PlannedStudy("X", Path("p"), tuple(pair), Path("X.indices.json"))])
