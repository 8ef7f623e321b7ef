"""nnU-Net raw folders, in and out."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

from shortaxis.datasets.dataset import Dataset, FrameRef
from shortaxis.datasets.nnunet import read_nnunet, write_nnunet
from shortaxis.errors import InputError
from shortaxis.study import Frame


def frames():
    rng = np.random.default_rng(0)
    for name, phase, dtype in (("patient002_frame01", "ED", np.float32), ("patient001_frame07", None, np.uint8)):
        image = (rng.random((3, 6, 5)) * 200).astype(dtype)
        yield Frame(name, name[:10], phase, "RV" if phase else None, image, rng.integers(0, 4, image.shape, np.uint8), (8.0, 1.25, 1.5))


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "Dataset027_made"
    write_nnunet(folder, frames())
    return folder


def describe(root, **changes):
    path = root / "dataset.json"
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def test_the_layout_is_that_of_nnunet(root):
    assert {str(path.relative_to(root)) for path in root.rglob("*.nii.gz")} == {
        "imagesTr/patient001_frame07_0000.nii.gz",
        "imagesTr/patient002_frame01_0000.nii.gz",
        "labelsTr/patient001_frame07.nii.gz",
        "labelsTr/patient002_frame01.nii.gz",
    }
    description = json.loads((root / "dataset.json").read_text())
    assert description["labels"] == {"background": 0, "RV": 1, "MYO": 2, "LV": 3}
    assert (description["numTraining"], description["file_ending"], len(description["channel_names"])) == (2, ".nii.gz", 1)


def test_what_is_written_is_read_back(root):
    data = read_nnunet(root)
    assert data.name == "Dataset027_made"
    for back, original in zip(data, sorted(frames(), key=lambda frame: frame.name), strict=True):
        assert (back.name, back.patient, back.phase, back.group) == (original.name, original.patient, original.phase, original.group)
        assert back.spacing == original.spacing
        np.testing.assert_array_equal(back.image, original.image)
        np.testing.assert_array_equal(back.labels, original.labels)


def test_a_data_set_is_written_as_its_frames(tmp_path):
    data = Dataset("made", tuple(FrameRef(f.name, f.patient, f.phase, f.group, lambda f=f: f) for f in frames()))
    write_nnunet(tmp_path / "out", data)
    assert len(read_nnunet(tmp_path / "out")) == 2


@pytest.mark.parametrize(
    "labels",
    [
        {"background": 0, "LV cavity": 1, "myocardium": 2, "right_ventricle": 3},
        {"0": "background", "1": "LV", "2": "MLV", "3": "RVC"},
        {"background": 0, "whole heart": [1, 2, 3], "LVC": 1, "LVM": 2, "RV": 3},
    ],
)
def test_labels_of_either_version_are_translated(root, labels):
    describe(root, labels=labels, shortaxis=None)
    data = read_nnunet(root)
    assert [(ref.patient, ref.phase, ref.group) for ref in data.refs] == [("patient001", None, None), ("patient002", None, None)]
    stored = np.asarray(nib.load(root / "labelsTr" / "patient001_frame07.nii.gz").dataobj).T
    np.testing.assert_array_equal(data.refs[0].load().labels, np.array([0, 3, 2, 1])[stored])


def test_files_without_gz_are_read(root):
    for path in root.rglob("*.nii.gz"):
        nib.save(nib.load(path), path.with_suffix(""))
        path.unlink()
    describe(root, file_ending=".nii")
    assert len(list(read_nnunet(root))) == 2


class TestRefused:
    def test_no_description(self, tmp_path):
        with pytest.raises(InputError, match=r"dataset\.json: cannot be read"):
            read_nnunet(tmp_path)

    @pytest.mark.parametrize(("text", "said"), [("{", "is not valid JSON"), ("[]", "must hold one JSON object"), ("{}", "has no 'labels'")])
    def test_a_wrong_description(self, root, text, said):
        (root / "dataset.json").write_text(text)
        with pytest.raises(InputError, match=rf"dataset\.json: {said}"):
            read_nnunet(root)

    def test_a_structure_without_a_name(self, root):
        describe(root, labels={"background": 0, "RV": 1, "LV": 3, "scar": 2})
        with pytest.raises(InputError, match=r"dataset\.json: 'labels' .* no MYO"):
            read_nnunet(root)

    def test_other_files_than_nifti(self, root):
        describe(root, file_ending=".png")
        with pytest.raises(InputError, match=r"file_ending is '\.png'.*convert"):
            read_nnunet(root)

    def test_labels_without_an_image(self, root):
        (root / "imagesTr" / "patient001_frame07_0000.nii.gz").unlink()
        with pytest.raises(InputError, match=r"frame07_0000\.nii\.gz: no such file"):
            read_nnunet(root)

    def test_no_labelled_case(self, root):
        for path in (root / "labelsTr").iterdir():
            path.unlink()
        with pytest.raises(InputError, match=r"labelsTr: holds no label files"):
            read_nnunet(root)

    def test_a_case_that_is_a_cine(self, root):
        nib.save(
            nib.Nifti1Image(np.ones((5, 6, 3, 2), np.int16), np.diag([1.5, 1.25, 8, 1])),
            root / "imagesTr" / "patient001_frame07_0000.nii.gz",
        )
        with pytest.raises(InputError, match="holds 2 phases where one frame is due"):
            read_nnunet(root).refs[0].load()
