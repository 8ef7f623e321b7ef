"""`shortaxis segment` on DICOM studies: labels in the right place, indices, and nothing that names the patient."""

from __future__ import annotations

import gzip
import json
import shutil

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from pydicom import dcmread
from pydicom.datadict import dictionary_VR, tag_for_keyword

from shortaxis.io.dicom import is_dicom, read_dicom
from shortaxis.phantom import make_phantom
from shortaxis.phantom.dicom import Accidents, write_dicom

CANARY = "CANARY"
NAMING = (
    *(
        "PatientName",
        "PatientID",
        "PatientBirthDate",
        "PatientAddress",
        "PatientTelephoneNumbers",
        "OtherPatientIDs",
        "PatientMotherBirthName",
    ),
    *("AccessionNumber", "StudyID", "StudyDescription", "SeriesDescription", "ProtocolName", "ImageComments", "PatientComments"),
    *("InstitutionName", "InstitutionAddress", "ReferringPhysicianName", "PerformingPhysicianName", "OperatorsName", "StationName"),
    *("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "SOPInstanceUID", "DeviceSerialNumber", "StudyDate", "StudyTime"),
)
"""Tags that name a person, a place, a day or the study itself."""


def mark(folder):
    """Put a canary of its own into each tag of `NAMING`; give them all."""
    canaries = set()
    for instance, path in enumerate(files(folder)):
        header = dcmread(path)
        for number, keyword in enumerate(NAMING):
            vr = dictionary_VR(tag_for_keyword(keyword))
            unique = 774411000 + instance if keyword == "SOPInstanceUID" else 774400000 + number
            value = {"UI": f"1.2.826.0.1.{unique}", "DA": "19011231", "TM": "112233.4455"}.get(vr, f"{CANARY}{number}")
            setattr(header, keyword, value)
            canaries.add(value.encode())
        header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
        header.save_as(path)
    return canaries | {CANARY.encode()}


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file() and is_dicom(path))


def contents(folder):
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            yield path.relative_to(folder), gzip.decompress(content) if path.suffix == ".gz" else content


@pytest.fixture(scope="session")
def truth():
    return make_phantom(3, n_phases=6, n_slices=6, spacing=(10.0, 3.0, 3.0), identifier="phantom")


@pytest.fixture(scope="session")
def _written(tmp_path_factory, truth):
    folder = tmp_path_factory.mktemp("dicom") / "heart"
    write_dicom(folder, truth.study, vendor="SIEMENS", beside=True)
    return folder


@pytest.fixture
def study(_written, tmp_path):
    return shutil.copytree(_written, tmp_path / "in" / "heart")


def test_labels_and_maps_of_a_study_lie_where_its_voxels_lie(run, study, tmp_path):
    result = run("segment", study, "--save-uncertainty", "--save-probabilities", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    names = {path.name for path in (tmp_path / "out").iterdir()}
    maps = {f"heart.{kind}.nii.gz" for kind in ("probabilities", "sigma", "omega")}
    report = {"heart.report.json", "heart.report.html", "summary.csv"}
    assert names == {"heart.nii.gz", "heart.indices.json", "segment.json", *maps, *report}
    source = read_dicom(study)
    labels, probabilities = (nib.load(tmp_path / "out" / name) for name in ("heart.nii.gz", "heart.probabilities.nii.gz"))
    theirs = SimpleITK.ReadImage(str(tmp_path / "out" / "heart.nii.gz"))
    assert labels.shape == (*source.pixels.shape[:0:-1], source.n_phases)
    for d, h, w in ((0, 0, 0), (5, 3, 7), (2, 20, 1)):
        world = (source.affine @ [d, h, w, 1])[:3]
        assert np.allclose((labels.affine @ [w, h, d, 1])[:3], world, atol=0.01)
        assert np.allclose((probabilities.affine @ [w, h, d, 1])[:3], world, atol=0.01)
        theirs_lps = theirs.TransformIndexToPhysicalPoint((w, h, d, 0))[:3]
        assert np.allclose(np.array(theirs_lps) * [-1, -1, 1], world, atol=0.01)


def test_every_phase_is_a_frame_and_the_body_is_known(run, study, tmp_path):
    result = run("segment", study, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    content = json.loads((tmp_path / "out" / "heart.indices.json").read_text())
    assert content["study"] == "heart"
    assert len(content["frames"]) == 6
    assert content["indices"]["bsa"]["value"] is not None


@pytest.mark.parametrize(("interval", "rate"), [("800", 75.0), ("0", None), ("90000", None)])
def test_the_heart_rate_is_that_of_the_header_or_else_of_the_phase_times(run, study, truth, tmp_path, interval, rate):
    for path in files(study):
        header = dcmread(path)
        if "NominalInterval" in header:
            header.NominalInterval = interval
            del header.HeartRate
            header.save_as(path)
    assert run("segment", study, "--out", tmp_path / "out").exit_code == 0
    content = json.loads((tmp_path / "out" / "heart.indices.json").read_text())
    of_times = 60_000 / (truth.study.n_phases * (truth.study.phase_times[1] - truth.study.phase_times[0]))
    assert content["indices"]["heart_rate"]["value"] == pytest.approx(rate or of_times, abs=0.01)


def test_phases_may_be_given(run, study, tmp_path):
    assert run("segment", study, "--ed", 2, "--es", 4, "--out", tmp_path / "out").exit_code == 0
    content = json.loads((tmp_path / "out" / "heart.indices.json").read_text())
    assert [row["phase"] for row in content["frames"]] == [None, "ED", None, "ES", None, None]


def flown(canaries, folder, *streams):
    """Where a canary got out."""
    texts = [*contents(folder), *((f"stream {number}", text.encode()) for number, text in enumerate(streams))]
    return [(name, canary) for name, content in texts for canary in canaries if canary in content]


def test_no_output_names_the_patient_the_place_the_day_or_the_study(run, study, tmp_path):
    canaries = mark(study)
    result = run("segment", study, "--save-uncertainty", "--save-probabilities", "--json", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".gz", ".json", ".html", ".csv"}
    assert flown(canaries, tmp_path / "out", result.stdout, result.stderr) == []


def test_neither_do_a_table_of_failures_and_the_journal_of_a_run_that_was_killed(run, study, tmp_path, monkeypatch):
    canaries = mark(study)
    lone = study.parent / "lone"
    lone.mkdir()
    header = dcmread(next((study / "series020").iterdir()))
    header.StudyInstanceUID = "1.2.826.0.1.1"
    header.save_as(lone / "IM1")
    (lone / f"{CANARY}.dcm").write_bytes((lone / "IM1").read_bytes()[:2000])
    (study / f"{CANARY}.dcm").write_bytes(next((study / "series020").iterdir()).read_bytes()[:2000])

    def kill(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr("shortaxis.segmenting.journal.Journal.fold", kill)
        assert run("segment", study.parent, "--out", tmp_path / "out").exit_code == 130
    assert (tmp_path / "out" / "segment.jsonl").is_file()
    assert flown(canaries, tmp_path / "out") == []
    result = run("segment", study.parent, "--out", tmp_path / "out", "--resume")
    assert result.exit_code == 1
    assert "lone" in (tmp_path / "out" / "summary.csv").read_text()
    assert flown(canaries, tmp_path / "out") == []


def test_places_are_named_by_nothing_but_the_studys_own_folder(run, study, model_file, tmp_path):
    place, out, models = (tmp_path / f"{CANARY}{number}" for number in range(3))
    place.mkdir()
    models.mkdir()
    result = run("segment", study.rename(place / "heart"), "--out", out / "out", "--model", shutil.copy(model_file, models))
    assert result.exit_code == 0, result.stderr
    assert flown({CANARY.encode()}, out) == []
    content = json.loads((out / "out" / "heart.report.json").read_text())
    assert content["provenance"]["command"] == "shortaxis segment heart --out out --model tiny.safetensors"


def test_the_patient_is_named_in_the_report_where_identifiers_are_kept(run, study, tmp_path):
    mark(study)
    result = run("segment", study, "--keep-identifiers", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    content = json.loads((tmp_path / "out" / "heart.report.json").read_text())
    name, number = (f"{CANARY}{NAMING.index(keyword)}" for keyword in ("PatientName", "PatientID"))
    assert content["patient"]["name"] == name
    assert content["patient"]["identifier"] == number
    assert content["patient"]["birth_date"] == "1901-12-31"
    assert content["images"][0]["file"] == str(study)
    assert str(study) in content["provenance"]["command"]
    assert number in (tmp_path / "out" / "heart.report.html").read_text()


class TestDicomSeg:
    def test_it_is_written_when_asked_for_with_ed_and_es_and_belongs_to_the_patient(self, run, study, tmp_path):
        mark(study)
        result = run("segment", study, "--ed", 1, "--es", 3, "--dicom-seg", "ed-es", "--out", tmp_path / "out")
        assert result.exit_code == 0, result.stderr
        files = sorted((tmp_path / "out" / "heart.seg").iterdir())
        assert [path.name for path in files] == ["phase01.dcm", "phase03.dcm"]
        header = dcmread(files[0])
        assert header.Modality == "SEG"
        assert str(header.PatientName) == f"{CANARY}{NAMING.index('PatientName')}"
        (row,) = json.loads((tmp_path / "out" / "segment.json").read_text())["studies"]
        assert row["images"][0]["dicom_seg"] == ["heart.seg/phase01.dcm", "heart.seg/phase03.dcm"]

    def test_phases_of_an_earlier_run_do_not_stay(self, run, study, tmp_path):
        for phases in ((1, 3), (2, 4)):
            result = run(
                *("segment", study, "--ed", phases[0], "--es", phases[1], "--dicom-seg", "ed-es", "--no-report", "--out", tmp_path / "out")
            )
            assert result.exit_code == 0, result.stderr
        assert sorted(path.name for path in (tmp_path / "out" / "heart.seg").iterdir()) == ["phase02.dcm", "phase04.dcm"]

    def test_of_nifti_files_it_is_refused_before_anything_runs(self, run, frame, tmp_path):
        result = run("segment", frame, "--dicom-seg", "all", "--out", tmp_path / "out")
        assert result.exit_code == 2
        assert "refers to DICOM images" in result.stderr
        assert not (tmp_path / "out").exists()


def test_what_was_done_about_the_data_is_said(run, truth, tmp_path):
    write_dicom(tmp_path / "heart", truth.study, accidents=Accidents(drop=[(2, 3)]))
    result = run("segment", tmp_path / "heart", "--out", tmp_path / "out")
    assert result.exit_code == 0
    assert "Warning: " in result.stderr


def test_a_folder_of_studies_gives_what_is_fit_and_names_the_rest(run, study, tmp_path):
    lone = tmp_path / "in" / "lone"
    lone.mkdir()
    header = dcmread(next((study / "series020").iterdir()))
    header.StudyInstanceUID = "1.2.3"
    header.save_as(lone / "IM1")
    result = run("segment", tmp_path / "in", "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "lone: holds no short-axis cine" in result.stderr
    assert (tmp_path / "out" / "heart.nii.gz").is_file()
    assert not (tmp_path / "out" / "lone.nii.gz").exists()
