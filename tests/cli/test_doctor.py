"""`shortaxis doctor`: what it says of healthy and of ailing inputs, how it leaves, and how long it takes."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from shortaxis.datasets.mnms import write_mnms
from shortaxis.datasets.nnunet import write_nnunet
from shortaxis.datasets.packed import write_packed
from shortaxis.datasets.phantom import phantom_dataset
from shortaxis.phantom import make_phantom
from shortaxis.phantom.dicom import Accidents, write_dicom

OBLIQUE = np.eye(4)
OBLIQUE[:3, :3] = Rotation.from_euler("xyz", [30, -20, 160], degrees=True).as_matrix()


@pytest.fixture
def examine(run):
    """Run doctor on one input; give the exit code and what it says as JSON."""

    def examine(path):
        result = run("doctor", path, "--json")
        assert result.exit_code in {0, 1}, result.output
        (found,) = json.loads(result.stdout)
        assert found["clean"] == (result.exit_code == 0)
        return result.exit_code, found

    return examine


@pytest.fixture
def put(tmp_path):
    """Write a NIfTI file; without voxels given, noise."""

    def put(shape=(100, 90, 10, 20), spacing=(1.5, 1.5, 8.0), voxels=None, *, affine=None, time_unit="msec", name="a.nii.gz"):
        voxels = np.random.default_rng(0).integers(0, 900, shape).astype(np.int16) if voxels is None else voxels
        oriented = OBLIQUE.copy()
        oriented[:3, :3] *= np.array(spacing) / np.linalg.norm(OBLIQUE[:3, :3], axis=0)
        image = nib.Nifti1Image(voxels, oriented if affine is None else affine)
        image.header.set_zooms((*spacing, 40.0)[: voxels.ndim])
        image.header.set_xyzt_units("mm", time_unit)
        nib.save(image, tmp_path / name)
        return tmp_path / name

    return put


@pytest.fixture(scope="session")
def heart():
    return make_phantom(3, n_phases=16, n_slices=6, spacing=(10.0, 4.0, 4.0), identifier="phantom").study


def said(found, severity=None):
    return [finding["message"] for finding in found["findings"] if severity in {None, finding["severity"]}]


class TestNifti:
    def test_a_healthy_cine_is_clean_and_its_facts_are_those_of_the_file(self, examine, put):
        code, found = examine(put())
        assert code == 0
        assert said(found) == []
        assert found["kind"] == "NIfTI 4D cine"
        facts = found["facts"]
        assert (facts["phases"], facts["slices"], sorted(facts["matrix"])) == (20, 10, [90, 100])
        assert facts["spacing_mm"] == pytest.approx([8.0, 1.5, 1.5], abs=1e-3)
        assert facts["orientation_known"] is True
        assert facts["phase_step_ms"] == 40.0
        assert facts["ed_es"] == "will be found on the LV volume curve"
        assert found["command"].startswith("shortaxis segment ")

    def test_a_frame_says_nothing_of_phases(self, examine, put):
        code, found = examine(put((100, 90, 10)))
        assert (code, found["kind"]) == (0, "NIfTI 3D frame")
        assert "ed_es" not in found["facts"]

    @pytest.mark.parametrize(
        ("shape", "spacing", "words"),
        [
            ((100, 90, 1), (1.5, 1.5, 8.0), "1 slice, so"),
            ((100, 90, 3), (1.5, 1.5, 8.0), "3 slices, so"),
            ((100, 90, 40), (1.5, 1.5, 8.0), "40 slices"),
            ((100, 90, 10), (2.6, 2.6, 8.0), "pixels are 2.6 × 2.6 mm"),
            ((300, 290, 10), (0.4, 0.4, 8.0), "pixels are 0.4 × 0.4 mm"),
            ((100, 90, 10), (1.5, 1.5, 13.0), "slices are 13 mm apart"),
            ((100, 90, 10), (1.2, 1.2, 3.0), "slices are 3 mm apart"),
            ((60, 90, 10), (1.5, 1.5, 8.0), "shows 90 × 135 mm|shows 135 × 90 mm"),
            ((100, 90, 10, 4), (1.5, 1.5, 8.0), "4 phases are too few"),
        ],
    )
    def test_what_is_unusual_is_a_warning(self, examine, put, shape, spacing, words):
        code, found = examine(put(shape, spacing))
        assert code == 1
        assert [message for message in said(found, "warning") if any(word in message for word in words.split("|"))]
        assert said(found, "error") == []

    def test_few_phases_and_unknown_times_are_notes(self, examine, put):
        code, found = examine(put((100, 90, 10, 8), time_unit=None))
        assert code == 0
        assert [message.split(",")[0] for message in said(found, "note")] == ["it has 8 phases", "the times of the phases are not known"]

    def test_two_lengths_are_a_warning_with_both(self, examine, put):
        path = put((100, 90, 10))
        image = nib.load(path)
        image.header["pixdim"][1:4] = [2.0, 2.0, 9.0]
        nib.save(nib.Nifti1Image(np.asarray(image.dataobj), None, image.header), path)
        code, found = examine(path)
        assert code == 1
        assert any("[2.0, 2.0, 9.0]" in message and "taking pixdim" in message for message in said(found, "warning"))

    def test_an_affine_of_one_mm_and_no_orientation_are_notes(self, examine, put):
        code, found = examine(put((100, 90, 10), affine=np.eye(4)))
        assert code == 0
        assert found["facts"]["orientation_known"] is False
        assert any("no orientation" in message for message in said(found, "note"))
        assert any("affine says 1 mm" in message for message in said(found, "note"))

    @pytest.mark.parametrize(
        ("voxels", "words"),
        [
            (np.full((100, 90, 10), 7, np.int16), "have the value 7"),
            (np.random.default_rng(0).integers(0, 4, (100, 90, 10)).astype(np.uint8), "label image"),
            (np.where(np.arange(90000).reshape(100, 90, 10) == 5, np.nan, 1.0).astype(np.float32), "NaN"),
        ],
    )
    def test_voxels_that_show_no_scan_are_an_error(self, examine, put, voxels, words):
        code, found = examine(put(voxels=voxels))
        assert code == 1
        (message,) = said(found, "error")
        assert words in message
        assert found["command"] is None

    def test_an_empty_phase_is_named(self, examine, put):
        voxels = np.random.default_rng(0).integers(0, 900, (100, 90, 10, 20)).astype(np.int16)
        voxels[..., 4] = 0
        (message,) = said(examine(put(voxels=voxels))[1], "error")
        assert "phase 5" in message

    def test_labels_of_a_cine_are_known_though_most_frames_are_empty(self, examine, put):
        voxels = np.zeros((100, 90, 10, 6), np.int16)
        voxels[40:44, 40:50, 2:8, 3] = np.arange(4)[:, None, None]
        (message,) = said(examine(put(voxels=voxels))[1], "error")
        assert "label image" in message

    def test_a_wide_range_in_few_bits_is_no_label_image(self, examine, put):
        voxels = np.random.default_rng(0).integers(-128, 128, (100, 90, 10)).astype(np.int8)
        assert said(examine(put(voxels=voxels))[1], "error") == []

    def test_probabilities_between_0_and_1_are_no_labels(self, examine, put):
        voxels = np.random.default_rng(0).random((100, 90, 10)).astype(np.float32)
        assert said(examine(put(voxels=voxels))[1], "error") == []

    def test_a_file_cut_short_is_an_error(self, examine, put):
        path = put()
        path.write_bytes(path.read_bytes()[:-5000])
        assert any("cut short" in message for message in said(examine(path)[1], "error"))

    def test_a_header_that_no_reader_takes_is_an_error_with_its_remedy(self, examine, tmp_path):
        (tmp_path / "a.nii.gz").write_text("not an image")
        (finding,) = examine(tmp_path / "a.nii.gz")[1]["findings"]
        assert finding["severity"] == "error"
        assert finding["remedy"] == "copy or convert it again"

    def test_a_large_file_is_judged_by_its_header(self, examine, put, monkeypatch):
        monkeypatch.setattr("shortaxis.inspection.geometry.HUGE", 1000)
        monkeypatch.setattr("shortaxis.inspection.inspect.MOST_VOXELS", 1000)
        _, found = examine(put(voxels=np.zeros((100, 90, 10), np.int16)))
        assert any("million voxels" in message for message in said(found, "warning"))
        assert "a.nii.gz" in " ".join(said(found, "note"))


class TestDicom:
    def test_the_series_that_is_taken_and_why_the_others_are_not(self, examine, heart, tmp_path):
        write_dicom(tmp_path / "study", heart, beside=True)
        _, found = examine(tmp_path / "study")
        facts = found["facts"]
        assert found["kind"] == "DICOM study"
        assert facts["taken"] == "series 5 (6 slices × 16 phases)"
        assert (facts["phases"], facts["slices"]) == (16, 6)
        assert facts["heart_rate"] == pytest.approx(60_000 / (heart.phase_times[1] * 16), rel=0.01)
        assert facts["height_cm"] == pytest.approx(heart.subject.height_cm, abs=0.1)
        assert any("long-axis views" in row for row in facts["left_out"])
        assert all(": " in row for row in facts["left_out"])
        assert facts["other_files"]

    def test_what_the_reader_would_say_is_a_warning(self, examine, heart, tmp_path):
        write_dicom(tmp_path / "study", heart, accidents=Accidents(drop=[(2, 3)], drop_slices=[4]))
        code, found = examine(tmp_path / "study")
        assert code == 1
        assert any("not evenly spaced" in message for message in said(found, "warning"))

    def test_a_study_without_a_short_axis_cine_is_an_error(self, examine, heart, tmp_path):
        files = write_dicom(tmp_path / "study", heart)
        for path in files[1:]:
            path.unlink()
        code, found = examine(tmp_path / "study")
        assert code == 1
        assert any("holds no short-axis cine" in message for message in said(found, "error"))
        assert found["command"] is None

    def test_files_without_images_are_an_error(self, examine, heart, tmp_path):
        file = write_dicom(tmp_path / "study", heart)[0]
        (tmp_path / "bad").mkdir()
        (tmp_path / "bad" / "IM1").write_bytes(file.read_bytes()[:600])
        assert said(examine(tmp_path / "bad")[1], "error")

    def test_a_folder_of_studies_has_each_as_a_part(self, examine, heart, tmp_path):
        write_dicom(tmp_path / "all" / "one", heart)
        write_dicom(tmp_path / "all" / "two", make_phantom(4, n_phases=16, n_slices=6, spacing=(10.0, 4.0, 4.0), identifier="two").study)
        _, found = examine(tmp_path / "all")
        assert found["kind"] == "folder of 2 × DICOM study"
        assert [part["facts"]["slices"] for part in found["parts"]] == [6, 6]


class TestFolders:
    def test_an_acdc_patient_tells_what_info_says(self, examine, acdc):
        _, found = examine(acdc / "patient101")
        assert found["kind"] == "ACDC patient"
        assert (found["facts"]["ed"], found["facts"]["es"]) == (1, 3)
        assert [part["kind"] for part in found["parts"]] == ["NIfTI 3D frame"] * 2

    def test_an_acdc_folder_has_its_patients_as_parts(self, examine, acdc):
        assert examine(acdc)[1]["kind"] == "folder of 2 × ACDC patient"

    def test_a_patient_without_info_is_an_error_and_the_others_are_looked_at(self, examine, acdc):
        (acdc / "patient101" / "Info.cfg").unlink()
        code, found = examine(acdc)
        assert code == 1
        assert "Info.cfg: no such file" in said(found["parts"][0], "error")[0]
        assert found["parts"][1]["kind"] == "ACDC patient"

    def test_es_without_a_number_is_an_error(self, examine, acdc):
        (acdc / "patient101" / "Info.cfg").write_text("ED: 1\n")
        assert "ES is missing" in said(examine(acdc / "patient101")[1], "error")[0]

    def test_an_empty_folder_is_an_error(self, examine, tmp_path):
        (tmp_path / "empty").mkdir()
        code, found = examine(tmp_path / "empty")
        assert (code, found["kind"]) == (1, "folder")
        assert "no DICOM files" in said(found, "error")[0]

    def test_what_may_not_be_read_is_an_error(self, examine, acdc, monkeypatch):
        def refuse(_):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("shortaxis.inspection.inspect.dataset_kind", refuse)
        assert said(examine(acdc)[1], "error") == ["it cannot be read (Permission denied)"]

    def test_only_some_of_very_many_studies_are_opened(self, examine, acdc, monkeypatch):
        monkeypatch.setattr("shortaxis.inspection.inspect.MOST_PARTS", 1)
        _, found = examine(acdc)
        assert len(found["parts"]) == 1
        assert "1 of 2 studies" in " ".join(said(found, "note"))


class TestOthers:
    def test_data_sets_are_known_with_their_command(self, examine, tmp_path):
        phantom = make_phantom(1, n_phases=2, n_slices=3, spacing=(12.0, 8.0, 8.0), identifier="A0001")
        write_mnms(tmp_path / "mnms", [(phantom.study, phantom.labels, "train")])
        data = phantom_dataset(1, 0)
        write_nnunet(tmp_path / "Dataset027", data)
        write_packed(data, tmp_path / "data.zip")
        for name, kind, spec in (
            ("mnms", "M&Ms folder", "mnms"),
            ("Dataset027", "nnU-Net raw folder", "nnunet"),
            ("data.zip", "packed data set", "packed"),
        ):
            code, found = examine(tmp_path / name)
            assert (code, found["kind"], found["facts"]["frames"]) == (0, kind, 2)
            assert found["command"] == f"shortaxis train release --data {spec}:{tmp_path / name} --out run"

    def test_a_broken_data_set_is_an_error(self, examine, tmp_path):
        (tmp_path / "data.zip").write_bytes(b"no zip")
        code, found = examine(tmp_path / "data.zip")
        assert (code, found["command"]) == (1, None)

    def test_a_model_is_known_by_its_header(self, examine, model_file):
        code, found = examine(model_file)
        assert (code, found["kind"]) == (0, "shortaxis model")
        assert (found["facts"]["name"], found["facts"]["members"]) == ("tiny", ["unet", "unet"])
        assert found["command"] == f"shortaxis segment INPUT --model {model_file} --out labels"

    @pytest.mark.parametrize(
        ("header", "words"),
        [
            (b"{}", "no model of this package"),
            (b'{"__metadata__": []}', "no model of this package"),
            (b'{"__metadata__": {"shortaxis": "{}"}}', "names no members"),
            (b'{"__metadata__": {"shortaxis": "{\\"members\\": 5}"}}', "names no members"),
            (b'{"__metadata__": {"shortaxis": "{"}}', "no readable"),
            (b"[" * 200_000, "no readable"),
            (b"not json", "no readable"),
            (b"[]", "no readable"),
        ],
    )
    def test_other_safetensors_files_are_an_error(self, examine, tmp_path, header, words):
        path = tmp_path / "a.safetensors"
        path.write_bytes(len(header).to_bytes(8, "little") + header)
        assert words in said(examine(path)[1], "error")[0]

    @pytest.mark.parametrize("content", [b"\xff" * 100, (100).to_bytes(8, "little") + b"{}"])
    def test_a_safetensors_file_with_a_wrong_length_is_an_error(self, examine, tmp_path, content):
        (tmp_path / "a.safetensors").write_bytes(content)
        assert "no readable" in said(examine(tmp_path / "a.safetensors")[1], "error")[0]

    def test_a_checkpoint_names_its_run(self, examine, tmp_path):
        header = b'{"__metadata__": {"shortaxis-checkpoint": "{}"}}'
        (tmp_path / "checkpoint.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
        _, found = examine(tmp_path / "checkpoint.safetensors")
        assert found["command"] == f"shortaxis export {tmp_path} --out model.safetensors"


class TestPage:
    def test_it_shows_facts_findings_and_remedies(self, run, put):
        result = run("doctor", put((100, 90, 3, 20)))
        assert result.exit_code == 1
        text = " ".join(result.stdout.split())
        for words in ("NIfTI 4D cine", "phases 20", "warning: it has 3 slices", "→ give the whole stack", "next: shortaxis segment"):
            assert words in text

    def test_a_clean_input_says_so(self, run, put):
        assert "nothing is wrong" in run("doctor", put()).stdout

    def test_what_is_not_known_is_said_in_words(self, run, put):
        text = " ".join(run("doctor", put(time_unit=None)).stdout.split())
        assert "phase step ms not known" in text
        assert "orientation known yes" in text

    def test_of_many_parts_only_those_at_fault_are_shown(self, run, put, tmp_path):
        for name in "abcdef":
            put((100, 90, 10), name=f"{name}.nii.gz")
        put((100, 90, 2), name="g.nii.gz")
        text = run("doctor", tmp_path).stdout
        assert "g.nii.gz" in text
        assert "b.nii.gz" not in text
        assert "and 6 without fault" in text

    def test_what_is_missing_leaves_with_two_after_the_others(self, run, put, tmp_path):
        result = run("doctor", tmp_path / "absent", put())
        assert result.exit_code == 2
        assert "absent: no such file or folder" in result.stderr
        assert "nothing is wrong" in result.stdout


def test_a_cine_is_looked_at_quickly_and_loads_no_torch(put):
    code = "import sys; from shortaxis.cli import main\ntry: main()\nfinally: assert not {'torch', 'scipy.ndimage'} & sys.modules.keys()"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("COV_", "COVERAGE_"))}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = subprocess.run(
        [sys.executable, "-c", code, "doctor", str(put((200, 180, 10, 25)))],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert result.returncode == 0, result.stderr
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2.5  # s; 1.3 on an idle core
