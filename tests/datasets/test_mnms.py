"""M&Ms folders, on a fixture in their layout made from the phantom."""

from __future__ import annotations

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from shortaxis.datasets.mnms import official_split, read_mnms, read_study, read_table, write_mnms
from shortaxis.errors import InputError
from shortaxis.phantom import make_phantom
from shortaxis.study import Study, Subject

TABLE = "mnms_information.csv"


@pytest.fixture(scope="module")
def phantom():
    """A small cine of five phases; ED is the first."""
    made = make_phantom(3, group="HCM", n_phases=5, n_slices=6, noise=0)
    subject = Subject("A0B1C2", "HCM", 175.0, None, "2", "B")
    return replace(made.study, subject=subject), made.labels


@pytest.fixture
def root(tmp_path, phantom):
    study, labels = phantom
    small = Study(np.ones((2, 2, 4, 4), np.float32), (8, 1, 1), end_diastole=0, end_systole=1)
    ones = np.ones((2, 2, 4, 4), np.uint8)
    others = [(replace(small, subject=Subject(code)), ones, part) for code, part in (("D4", "val"), ("C3", "test"), ("E5", "unlabelled"))]
    write_mnms(tmp_path, [(study, labels, "train"), *others])
    return tmp_path


def edit_table(root, column, value, code="A0B1C2"):
    path = root / TABLE
    lines = [line.split(",") for line in path.read_text().splitlines()]
    at = lines[0].index(column)
    for line in lines[1:]:
        if line[1] == code:
            line[at] = value
    path.write_text("\n".join(",".join(line) for line in lines) + "\n")


def test_the_layout_is_that_of_mnms(root, phantom):
    study, labels = phantom
    assert {str(path.relative_to(root)) for path in root.rglob("*.nii.gz")} == {
        "Training/Labeled/A0B1C2/A0B1C2_sa.nii.gz",
        "Training/Labeled/A0B1C2/A0B1C2_sa_gt.nii.gz",
        "Training/Unlabeled/E5/E5_sa.nii.gz",
        "Validation/D4/D4_sa.nii.gz",
        "Validation/D4/D4_sa_gt.nii.gz",
        "Testing/C3/C3_sa.nii.gz",
        "Testing/C3/C3_sa_gt.nii.gz",
    }
    drawn = np.asarray(nib.load(root / "Training/Labeled/A0B1C2/A0B1C2_sa_gt.nii.gz").dataobj)
    assert drawn.shape[3] == study.n_phases
    assert {phase for phase in range(5) if drawn[..., phase].any()} == {study.end_diastole, study.end_systole}
    # 1 is LV in M&Ms: the file's 1 covers as many voxels as our 3
    assert (drawn[..., 0] == 1).sum() == (labels[0] == 3).sum()
    assert (root / TABLE).read_text().splitlines()[1] == f"0,A0B1C2,Philips,B,2,0,{study.end_systole},,HCM,,175.0,"


def test_labelled_frames_come_back_in_the_canonical_label_order(root, phantom):
    study, labels = phantom
    data = read_mnms(root, split="train")
    assert [(ref.name, ref.patient, ref.phase, ref.group) for ref in data.refs] == [
        ("A0B1C2_ED", "A0B1C2", "ED", "HCM"),
        ("A0B1C2_ES", "A0B1C2", "ES", "HCM"),
    ]
    for frame, phase in zip(data, (study.end_diastole, study.end_systole), strict=True):
        np.testing.assert_array_equal(frame.labels, labels[phase])
        np.testing.assert_allclose(frame.image, study.pixels[phase])
        assert frame.spacing == pytest.approx(study.spacing)


def test_the_folders_are_the_official_split(root):
    assert official_split(root) == {"train": ("A0B1C2",), "unlabelled": ("E5",), "val": ("D4",), "test": ("C3",)}
    assert read_mnms(root, split="test").patients == ("C3",)
    assert read_mnms(root).patients == ("A0B1C2", "C3", "D4")


def test_a_whole_cine_knows_its_patient_centre_and_vendor(root, phantom):
    study = read_study(root, "A0B1C2")
    assert study.subject == phantom[0].subject
    assert (study.n_phases, study.end_diastole, study.end_systole) == (5, 0, phantom[0].end_systole)
    assert read_study(root, "E5", csv=root / TABLE).n_phases == 2


def test_a_frame_knows_its_vendor_and_centre(root):
    told = {ref.patient: (ref.vendor, ref.centre) for ref in read_mnms(root).refs}
    assert told == {"A0B1C2": ("B", "2"), "C3": (None, None), "D4": (None, None)}


def test_a_table_may_lie_elsewhere(root, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("table") / "information.csv"
    (root / TABLE).rename(elsewhere)
    assert len(read_mnms(root, csv=elsewhere)) == 6


class TestRefused:
    @pytest.mark.parametrize("split", ["unlabelled", "training"])
    def test_a_part_without_labels(self, root, split):
        with pytest.raises(InputError, match=f"'{split}' .*train, val, test"):
            read_mnms(root, split=split)

    def test_a_folder_without_subjects(self, tmp_path):
        (tmp_path / TABLE).write_text("External code,ED,ES\nX,0,1\n")
        with pytest.raises(InputError, match=r"no labelled .*Training/Labeled"):
            read_mnms(tmp_path)

    @pytest.mark.parametrize("n", [0, 2])
    def test_no_table_or_two(self, root, n):
        (root / TABLE).unlink()
        for number in range(n):
            (root / f"{number}.csv").write_text("")
        with pytest.raises(InputError, match=f"{n} CSV files"):
            read_mnms(root)

    def test_a_table_that_cannot_be_read(self, root):
        with pytest.raises(InputError, match=r"none\.csv: .*cannot be read"):
            read_mnms(root, csv=root / "none.csv")

    @pytest.mark.parametrize(("text", "column"), [("", "External code"), ("External code,ED\nX,0\n", "ES")])
    def test_a_table_without_a_column(self, tmp_path, text, column):
        (tmp_path / "t.csv").write_text(text)
        with pytest.raises(InputError, match=rf"t\.csv: has no column '{column}'"):
            read_table(tmp_path / "t.csv")

    @pytest.mark.parametrize(("column", "value"), [("ED", ""), ("ES", "x"), ("Height", "tall")])
    def test_a_line_that_is_not_understood(self, root, column, value):
        edit_table(root, column, value)
        with pytest.raises(InputError, match=rf"{TABLE}: .*A0B1C2.*whole numbers"):
            read_mnms(root)

    def test_a_line_cut_short(self, tmp_path):
        (tmp_path / "t.csv").write_text("External code,ED,ES\nX,0\n")
        with pytest.raises(InputError, match="the line of X needs"):
            read_table(tmp_path / "t.csv")

    def test_a_subject_without_a_line(self, root):
        edit_table(root, "External code", "other")
        with pytest.raises(InputError, match=r"A0B1C2: .*no line for A0B1C2"):
            read_mnms(root)

    def test_missing_labels(self, root):
        (root / "Training/Labeled/A0B1C2/A0B1C2_sa_gt.nii.gz").unlink()
        with pytest.raises(InputError, match=r"A0B1C2_sa_gt\.nii\.gz: no such file"):
            read_mnms(root)

    def test_a_frame_without_labels(self, root, phantom):
        edit_table(root, "ED", "4")
        drawn = [0, phantom[0].end_systole]
        with pytest.raises(InputError, match=rf"frame 4 \(ED.*only \[{drawn[0]}, {drawn[1]}\]"):
            read_mnms(root, split="train").refs[0].load()

    def test_an_unknown_code(self, root):
        with pytest.raises(InputError, match="has no subject Z9"):
            read_study(root, "Z9")

    @pytest.mark.parametrize(("change", "part"), [({"end_diastole": None}, "train"), ({"subject": Subject()}, "train"), ({}, "training")])
    def test_writing_what_is_not_known_enough(self, tmp_path, phantom, change, part):
        study, labels = phantom
        with pytest.raises(InputError, match=r"written as M&Ms: .*part of train"):
            write_mnms(tmp_path, [(replace(study, **change), labels, part)])
