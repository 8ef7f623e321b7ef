"""Which prediction belongs to which truth."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shortaxis.datasets.pairs import find_pairs, label_name
from shortaxis.datasets.phantom import write_phantoms
from shortaxis.errors import InputError
from shortaxis.labels import MNMS, Structure

INFO = "ED: 1\nES: 12\nGroup: DCM\nHeight: 184.0\nNbFrame: 30\nWeight: 95.0\n"


def make(root, *names, info=None):
    """Empty files by name: pairing looks at names only."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        if info:
            (path.parent / "Info.cfg").write_text(info)
    return root


@pytest.fixture
def truth(tmp_path):
    frames = ("patient001/patient001_frame01", "patient001/patient001_frame12")
    names = [f"{frame}{ending}.nii.gz" for frame in frames for ending in ("", "_gt")]
    return make(tmp_path / "truth", *names, "patient001/patient001_4d.nii.gz", info=INFO)


def found(prediction, truth):
    return {pair.name: pair.prediction and pair.prediction.relative_to(prediction).as_posix() for pair in find_pairs(prediction, truth)[0]}


@pytest.mark.parametrize("name", ["a_frame01_gt.nii.gz", "a_frame01_pred.nii", "a_frame01_seg.NII.GZ", "a_frame01.nii"])
def test_name_is_what_remains_without_ending_and_suffix(name):
    assert label_name(Path(name)) == "a_frame01"


def test_a_file_called_like_a_suffix_keeps_its_name():
    assert label_name(Path("_seg.nii.gz")) == "_seg"


@pytest.mark.parametrize("folder", ["patient001/", "", "elsewhere/deep/"])
@pytest.mark.parametrize("suffix", ["", "_gt", "_pred", "_seg"])
def test_predictions_pair_by_name_in_mirrored_flat_or_other_folders(tmp_path, truth, folder, suffix):
    names = [f"{folder}patient001_frame{n}{suffix}.nii.gz" for n in ("01", "12")]
    prediction = make(tmp_path / "out", *names)
    assert found(prediction, truth) == dict(zip(("patient001_frame01", "patient001_frame12"), names, strict=True))


def test_info_gives_phase_and_group_and_the_name_the_patient(truth):
    pairs, _ = find_pairs(truth, truth)
    assert [(pair.patient, pair.phase, pair.group) for pair in pairs] == [("patient001", "ED", "DCM"), ("patient001", "ES", "DCM")]


def test_a_frame_that_info_does_not_name_has_no_phase(tmp_path):
    truth = make(tmp_path, "patient001_frame05_gt.nii.gz", info=INFO)
    assert find_pairs(truth, truth)[0][0].phase is None


def test_wrong_info_is_told(tmp_path):
    truth = make(tmp_path, "patient001_frame05_gt.nii.gz", info="ED: 1\n")
    with pytest.raises(InputError, match=r"Info\.cfg: ES is missing"):
        find_pairs(truth, truth)


def test_labels_beat_the_image_beside_them_and_the_rest_is_unused(truth):
    pairs, unused = find_pairs(truth, truth)
    assert all(pair.prediction == pair.truth for pair in pairs)
    assert [path.name for path in unused] == ["patient001_4d.nii.gz"]


def test_names_that_end_in_the_phase_give_patient_and_phase(tmp_path):
    truth = make(tmp_path, "A1_ED.nii.gz", "A1_ES.nii.gz", "a2_ed.nii.gz", "a2_es.nii.gz", "other.nii.gz")
    named = [("A1", "ED"), ("A1", "ES"), ("a2", "ED"), ("a2", "ES"), ("other", None)]
    assert [(pair.patient, pair.phase) for pair in find_pairs(truth, truth)[0]] == named


def test_equal_names_in_different_folders_pair_by_folder(tmp_path):
    truth = make(tmp_path / "truth", "a/seg.nii.gz", "b/seg.nii.gz")
    prediction = make(tmp_path / "out", "b/seg.nii.gz", "a/seg.nii.gz")
    assert found(prediction, truth) == {"a/seg": "a/seg.nii.gz", "b/seg": "b/seg.nii.gz"}


def test_a_prediction_is_not_lent_to_a_second_truth_of_its_name(tmp_path):
    truth = make(tmp_path / "truth", "a/seg.nii.gz", "b/seg.nii.gz")
    prediction = make(tmp_path / "out", "a/seg.nii.gz")
    assert found(prediction, truth) == {"a/seg": "a/seg.nii.gz", "b/seg": None}


def test_one_flat_prediction_for_two_truths_is_refused(tmp_path):
    truth = make(tmp_path / "truth", "a/seg.nii.gz", "b/seg.nii.gz")
    prediction = make(tmp_path / "out", "seg.nii.gz")
    with pytest.raises(InputError, match=r"seg\.nii\.gz: .*only .*2 files"):
        find_pairs(prediction, truth)


@pytest.mark.parametrize("names", [("x_pred.nii.gz", "x_seg.nii.gz"), ("x.nii.gz", "x.nii"), ("a/x.nii.gz", "b/x.nii.gz")])
def test_two_candidates_are_refused(tmp_path, names):
    truth = make(tmp_path / "truth", "x_gt.nii.gz")
    with pytest.raises(InputError, match="keep one of them"):
        find_pairs(make(tmp_path / "out", *names), truth)


def test_hidden_and_partial_files_are_passed_over(tmp_path):
    truth = make(tmp_path / "truth", "x_gt.nii.gz")
    prediction = make(tmp_path / "out", "x.nii.gz", ".partial-x.nii.gz", "._x_pred.nii.gz", "indices.json")
    assert find_pairs(prediction, truth)[1] == []


def test_two_files_pair_whatever_their_names(tmp_path):
    root = make(tmp_path, "mine.nii.gz", "p_frame01_gt.nii.gz")
    ((pair,), unused) = find_pairs(root / "mine.nii.gz", root / "p_frame01_gt.nii.gz")
    assert (pair.name, pair.prediction, unused) == ("p_frame01", root / "mine.nii.gz", [])


def test_a_file_finds_its_prediction_in_a_folder(tmp_path, truth):
    prediction = make(tmp_path / "out", "patient001_frame01.nii.gz", "patient001_frame12.nii.gz")
    ((pair,), unused) = find_pairs(prediction, truth / "patient001/patient001_frame12_gt.nii.gz")
    assert (pair.prediction.name, pair.phase) == ("patient001_frame12.nii.gz", "ES")
    assert len(unused) == 1


@pytest.mark.parametrize("side", ["prediction", "truth"])
def test_a_missing_path_is_refused(tmp_path, truth, side):
    paths = {"prediction": truth, "truth": truth} | {side: tmp_path / "nowhere"}
    with pytest.raises(InputError, match="nowhere: no such file or folder") as error:
        find_pairs(**paths)
    assert ("KIND:PATH" in str(error.value)) == (side == "truth")


def test_a_folder_without_images_is_refused(tmp_path, truth):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty: holds no NIfTI file"):
        find_pairs(tmp_path / "empty", truth)


def test_a_prediction_named_like_its_channel_pairs_where_there_is_none_without(tmp_path):
    truth = make(tmp_path / "truth", "x.nii.gz", "y_0000.nii.gz", "z.nii.gz")
    prediction = make(tmp_path / "out", "x_0000.nii.gz", "x.nii.gz", "y_0000.nii.gz", "z_0000.nii.gz")
    assert found(prediction, truth) == {"x": "x.nii.gz", "y_0000": "y_0000.nii.gz", "z": "z_0000.nii.gz"}


def test_a_mask_is_taken_for_labels_where_nothing_else_is(tmp_path):
    truth = make(tmp_path / "truth", "x.nii.gz", "y_ED_mask.nii.gz", "z.nii.gz", "z_mask.nii.gz")
    prediction = make(tmp_path / "out", "x.nii.gz", "x_mask.nii.gz", "y_ED.nii.gz", "z_seg.nii.gz")
    pairs, unused = find_pairs(prediction, truth)
    assert {pair.name: pair.prediction and pair.prediction.name for pair in pairs} == {
        "x": "x.nii.gz",
        "y_ED_mask": "y_ED.nii.gz",
        "z": "z_seg.nii.gz",
        "z_mask": None,
    }
    assert [(pair.patient, pair.phase) for pair in pairs][1] == ("y", "ED")
    assert [path.name for path in unused] == ["x_mask.nii.gz"]


@pytest.mark.parametrize("depth", ["", "Dataset027_ACDC/"])
def test_of_an_nnunet_folder_only_its_labels_are_annotated(tmp_path, depth):
    names = [f"{depth}{name}" for name in ("imagesTr/x_0000.nii.gz", "imagesTs/y_0000.nii.gz", "labelsTr/x.nii.gz")]
    truth = make(tmp_path / "truth", *names)
    assert found(make(tmp_path / "out", "x.nii.gz"), truth) == {"x": "x.nii.gz"}


def test_of_an_nnunet_data_set_that_does_not_say_phases_the_names_do(tmp_path):
    write_phantoms(tmp_path / "phn", 1, layout="nnunet")
    description = tmp_path / "phn" / "dataset.json"
    content = json.loads(description.read_text())
    del content["shortaxis"]
    description.write_text(json.dumps(content))
    pairs, _ = find_pairs(tmp_path / "phn" / "labelsTr", f"nnunet:{tmp_path / 'phn'}")
    assert [(pair.patient, pair.phase) for pair in pairs] == [("phantom001", "ED"), ("phantom001", "ES")]


def test_of_an_nnunet_data_set_labels_phase_and_patient_are_as_it_says(tmp_path):
    write_phantoms(tmp_path / "phn", 1, layout="nnunet")
    facts = tmp_path / "phn" / "dataset.json"
    facts.write_text(facts.read_text().replace('"RV": 1', '"RV": 3').replace('"LV": 3', '"LV": 1'))
    pairs, unused = find_pairs(tmp_path / "phn" / "imagesTr", f"nnunet:{tmp_path / 'phn'}")
    assert [(pair.name, pair.patient, pair.phase, pair.group, pair.index) for pair in pairs] == [
        ("phantom001_ED", "phantom001", "ED", "NOR", None),
        ("phantom001_ES", "phantom001", "ES", "NOR", None),
    ]
    assert {pair.scheme.values[Structure.RV] for pair in pairs} == {3}
    assert [pair.prediction.name for pair in pairs] == ["phantom001_ED_0000.nii.gz", "phantom001_ES_0000.nii.gz"]
    assert unused == []


def test_two_frames_of_an_mnms_file_share_its_prediction(tmp_path):
    write_phantoms(tmp_path / "mnms", 1, layout="mnms", n_phases=3)
    pairs, _ = find_pairs(make(tmp_path / "out", "phantom001_sa.nii.gz"), f"mnms:{tmp_path / 'mnms'}")
    assert [(pair.name, pair.phase, pair.index) for pair in pairs] == [("phantom001_ED", "ED", 0), ("phantom001_ES", "ES", 1)]
    assert {pair.prediction.name for pair in pairs} == {"phantom001_sa.nii.gz"}
    assert all(pair.scheme is MNMS for pair in pairs)


def test_a_data_set_without_label_files_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"phantom:1: .*no NIfTI files"):
        find_pairs(tmp_path, "phantom:1")


def test_label_files_of_a_data_set_that_pair_by_one_name_are_refused(tmp_path):
    make(tmp_path, "labelsTr/x.nii.gz", "labelsTr/x_seg.nii.gz", "imagesTr/x_0000.nii.gz", "imagesTr/x_seg_0000.nii.gz")
    (tmp_path / "dataset.json").write_text('{"labels": {"background": 0, "RV": 1, "MYO": 2, "LV": 3}}')
    with pytest.raises(InputError, match=r"several label files .*name x;"):
        find_pairs(tmp_path, f"nnunet:{tmp_path}")
