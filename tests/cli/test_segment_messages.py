"""What `shortaxis segment` says of each study while it runs, and with which exit code it ends."""

from __future__ import annotations

import json
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from pydicom import dcmread

from shortaxis.cli import segment as command
from shortaxis.datasets.phantom import write_phantoms
from shortaxis.phantom import make_phantom
from shortaxis.phantom.dicom import write_dicom
from shortaxis.segmenting import single


@pytest.fixture
def inputs(acdc, tmp_path):
    """A patient with ED and ES, and a file that is no image."""
    (tmp_path / "broken.nii").write_bytes(b"no image")
    return acdc / "patient101", tmp_path / "broken.nii"


@pytest.fixture
def segment(run, tmp_path):
    return lambda *words: run("segment", *words, "--out", tmp_path / "out", "--no-report")


def test_without_a_terminal_each_study_is_a_line_on_stderr(segment, inputs):
    result = segment(*inputs)
    assert result.exit_code == 1
    first, second = result.stderr.splitlines()[-2:]
    assert first.startswith("1/2 patient101: ")
    for word in (" s: ", "LV EDV ", "RV EF ", " ml", " flag"):
        assert word in first
    assert second.startswith(f"Error: {inputs[1]}: ")
    assert "(2/2 broken, left out after " in second


def test_studies_that_were_done_before_are_lines_only_when_asked_for(segment, inputs):
    segment(inputs[0])
    assert "1/1" not in segment(inputs[0], "--resume").stderr
    line = segment(inputs[0], "--resume", "--verbose").stderr
    assert "1/1 patient101: done before" in line
    row = json.loads((inputs[1].parent / "out" / "segment.json").read_text())["studies"][0]
    assert all(flag in line for flag in row["flags"])


def test_quiet_leaves_errors_and_what_json_asks_for(segment, inputs):
    result = segment(*inputs, "-q")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.count("\n") == 1
    assert str(inputs[1]) in result.stderr
    assert json.loads(segment(inputs[0], "--quiet", "--json").stdout)["segmented"] == 1


def test_quiet_and_verbose_exclude_each_other(segment, inputs):
    assert segment(inputs[0], "--quiet", "--verbose").exit_code == 2


def test_on_a_terminal_lines_come_when_asked_for(segment, inputs, monkeypatch):
    monkeypatch.setattr(command, "is_terminal", lambda: True)
    result = segment(*inputs)
    assert "1/2" not in result.stderr
    assert str(inputs[1]) in result.stderr
    assert "1/2 patient101" in segment(*inputs, "--verbose").stderr


@pytest.mark.parametrize("empty", [["ED"], ["ES"], ["ED", "ES"]])
def test_where_nothing_is_found_the_exit_code_is_not_0(segment, inputs, monkeypatch, tmp_path, empty):
    whole = single.segment_judged

    def segment_judged(opened, study, *rest, **options):
        judged = whole(opened, study, *rest, **options)
        labels = np.where(np.indices(judged.segmentation.labels.shape).sum(axis=0) % 2 == 0, 1, 3).astype(np.uint8)
        phase = "ED" if study.end_diastole is not None else "ES"
        return judged._replace(segmentation=replace(judged.segmentation, labels=labels * (phase not in empty)))

    monkeypatch.setattr(single, "segment_judged", segment_judged)
    result = segment(inputs[0])
    assert result.exit_code == 1
    assert f"nothing was found in {' and '.join(empty)}" in result.stderr
    assert "nothing was found" in " ".join(result.stdout.split())
    (row,) = json.loads((tmp_path / "out" / "segment.json").read_text())["studies"]
    assert {"no_rv", "no_myo", "no_lv"} <= set(row["flags"])


def test_corrected_labels_are_kept_until_overwriting_is_asked_for(segment, inputs, tmp_path):
    segment(inputs[0])
    path = tmp_path / "out" / "patient101" / "patient101_frame01.nii.gz"
    image = nib.load(path)
    nib.save(nib.Nifti1Image(1 - (np.asarray(image.dataobj) > 0).astype(np.uint8), image.affine), path)
    corrected = path.read_bytes()
    for options, exit_code in (([], 2), (["--resume"], 1)):
        result = segment(inputs[0], *options)
        assert result.exit_code == exit_code
        assert path.name in result.stderr
        assert "--overwrite" in result.stderr
        assert path.read_bytes() == corrected
    assert segment(inputs[0], "--overwrite").exit_code == 0
    assert path.read_bytes() != corrected


def test_a_data_set_is_segmented_by_its_kind_and_scores_against_it(run, tmp_path):
    write_phantoms(tmp_path / "data", 1, layout="mnms", n_phases=2)
    assert run("segment", f"mnms:{tmp_path / 'data'}", "--out", tmp_path / "out").exit_code in {0, 1}
    assert (tmp_path / "out" / "phantom001" / "phantom001_sa.nii.gz").is_file()
    assert run("evaluate", tmp_path / "out", f"mnms:{tmp_path / 'data'}").exit_code == 0


class TestSeries:
    @pytest.fixture(scope="class")
    @classmethod
    def study(cls, tmp_path_factory):
        """Two cines of one study that both could be the short axis."""
        root = tmp_path_factory.mktemp("dicom") / "heart"
        phantom = make_phantom(3, n_phases=2, n_slices=4, spacing=(10.0, 6.0, 6.0))
        write_dicom(root, phantom.study)
        return root

    def test_it_is_taken_by_its_number_and_one_that_is_not_there_is_refused(self, segment, run, study):
        assert segment(study, "--series", 5).exit_code in {0, 1}
        for result in (segment(study, "--series", 77), run("doctor", study, "--series", 77)):
            assert result.exit_code in {1, 2}
            assert "no such series" in " ".join(result.output.split())
        assert run("doctor", study, "--series", 5).exit_code in {0, 1}

    def test_a_uid_is_named_in_no_output(self, segment, study, tmp_path):
        uid = str(dcmread(min(path for path in study.rglob("*.dcm")), stop_before_pixels=True).SeriesInstanceUID)
        assert segment(study, "--series", uid).exit_code in {0, 1}
        assert all(uid.encode() not in path.read_bytes() for path in (tmp_path / "out").iterdir())

    def test_other_images_have_none(self, segment, run, frame):
        assert "--series" in segment(frame, "--series", 5).stderr
        assert run("doctor", frame, "--series", 5).exit_code == 1


class TestDoctor:
    def test_all_files_of_a_study_are_one_finding(self, run, tmp_path):
        write_dicom(tmp_path / "heart", make_phantom(3, n_phases=2, n_slices=3, spacing=(12.0, 8.0, 8.0)).study)
        files = sorted((tmp_path / "heart").rglob("*.dcm"))
        result = run("doctor", *files)
        assert result.exit_code == 1
        assert " ".join(result.stdout.split()).count("give the folder") == 1

    def test_a_pair_is_looked_at_whole_and_a_data_set_by_its_kind(self, run, acdc, tmp_path):
        pair = tmp_path / "pair"
        pair.mkdir()
        for number, phase in ((1, "ED"), (3, "ES")):
            (acdc / "patient101" / f"patient101_frame0{number}.nii.gz").rename(pair / f"X_{phase}.nii.gz")
        (found,) = json.loads(run("doctor", pair, "--json").stdout)
        assert [part["path"].rsplit("/", 1)[-1] for part in found["parts"][0]["parts"] or found["parts"]] == ["X_ED.nii.gz", "X_ES.nii.gz"]
        (found,) = json.loads(run("doctor", "phantom:2", "--json").stdout)
        assert found["facts"]["patients"] == 2
