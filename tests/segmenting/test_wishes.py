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
