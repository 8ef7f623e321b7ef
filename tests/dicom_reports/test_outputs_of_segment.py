"""SR, encapsulated PDF and PDF of a segmented DICOM study, read back and checked by tools of others where they are installed."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
from pydicom import dcmread

from shortaxis.dicom_reports import write_measurement_report, write_refusal_report
from shortaxis.errors import InputError
from shortaxis.phantom import make_phantom
from shortaxis.phantom.dicom import write_dicom
from shortaxis.reports.content import StudyReport
from shortaxis.segmenting import Wishes, segment_inputs
from shortaxis.segmenting.opening import OpenModel
from shortaxis.segmenting.trusting import Judged
from shortaxis.study import Segmentation

NUMBERS = {"8821-1": "lv_edv", "8823-7": "lv_esv", "8811-2": "lv_ef", "18087-7": "lv_mass", "8822-9": "rv_edv", "8818-7": "rv_ef"}


@pytest.fixture(scope="module")
def segmented(tmp_path_factory):
    """A study of which the true labels are what was found."""
    phantom = make_phantom(3, n_phases=6, n_slices=5, spacing=(12.0, 4.0, 4.0))
    folder, out = tmp_path_factory.mktemp("dicom") / "heart", tmp_path_factory.mktemp("out")
    write_dicom(folder, phantom.study, vendor="SIEMENS")

    def judged(_opened, study, **_options):
        return Judged(Segmentation(study, phantom.labels), rv_sureness=np.ones(study.n_phases))

    opened = OpenModel(SimpleNamespace(device="cpu"), {"name": "oracle", "sha256": "0" * 64}, None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shortaxis.segmenting.single.segment_judged", judged)
        patch.setattr("shortaxis.segmenting.single.reoriented", lambda *_: None)
        patch.setattr("shortaxis.segmenting.run.open_model", lambda *_args, **_options: opened)
        segment_inputs([folder], out, wishes=Wishes(dicom_sr=True, dicom_pdf=True, pdf=True), raise_errors=True)
    return SimpleNamespace(study=folder, out=out, images=sorted(folder.rglob("*.dcm")))


@pytest.fixture
def report(segmented):
    return msgspec.json.decode((segmented.out / "heart.report.json").read_bytes(), type=StudyReport)


def items(dataset, value_type):
    for item in dataset.get("ContentSequence", ()):
        if item.ValueType == value_type:
            yield item
        yield from items(item, value_type)


def code(item):
    return item.ConceptNameCodeSequence[0].CodeValue


def test_the_report_has_the_numbers_of_the_indices_with_their_units(segmented):
    written = dcmread(segmented.out / "heart.report.sr.dcm")
    indices = json.loads((segmented.out / "heart.indices.json").read_text())["indices"]
    found = {}
    for item in items(written, "NUM"):
        found.setdefault(code(item), item.MeasuredValueSequence[0])
    for number, name in NUMBERS.items():
        assert float(found[number].NumericValue) == pytest.approx(indices[name]["value"], abs=1e-3)
        assert found[number].MeasurementUnitsCodeSequence[0].CodeValue == indices[name]["unit"]
    assert (written.VerificationFlag, written.PreliminaryFlag) == ("UNVERIFIED", "PRELIMINARY")


def test_each_volume_is_tied_to_its_segment_and_to_the_images_of_its_phase(segmented):
    written = dcmread(segmented.out / "heart.report.sr.dcm")
    segs = {str(one.SOPInstanceUID): one for one in map(dcmread, sorted((segmented.out / "heart.seg").iterdir()))}
    tied = {}
    for group in items(written, "CONTAINER"):
        names = {code(item) for item in group.ContentSequence if item.ValueType == "NUM"}
        for item in group.ContentSequence:
            if item.ValueType == "IMAGE" and code(item) == "121191":
                reference = item.ReferencedSOPSequence[0]
                sources = {
                    str(one.ReferencedSOPSequence[0].ReferencedSOPInstanceUID) for one in group.ContentSequence if code(one) == "121233"
                }
                seg = segs[str(reference.ReferencedSOPInstanceUID)]
                assert sources == {str(one.ReferencedSOPInstanceUID) for one in seg.SourceImageSequence}
                tied |= dict.fromkeys(names, (int(seg.InstanceNumber), int(reference.ReferencedSegmentNumber)))
    phases = sorted(int(one.InstanceNumber) for one in segs.values())
    ed, es = phases[0], phases[1]
    assert (tied["8821-1"], tied["8823-7"], tied["18087-7"], tied["8822-9"]) == ((ed, 3), (es, 3), (ed, 2), (ed, 1))


def test_what_is_derived_refers_to_the_segments_of_both_phases(segmented):
    written = dcmread(segmented.out / "heart.report.sr.dcm")
    fraction = next(item for item in items(written, "NUM") if code(item) == "8811-2")
    references = [item.ReferencedSOPSequence[0] for item in fraction.ContentSequence]
    assert {int(one.ReferencedSegmentNumber) for one in references} == {3}
    assert len({str(one.ReferencedSOPInstanceUID) for one in references}) == 2


def test_a_lower_bound_is_no_number_and_is_said(segmented, report, tmp_path):
    edv = msgspec.structs.replace(report.indices["lv_edv"], lower_bound=True)
    bounded = msgspec.structs.replace(report, indices=report.indices | {"lv_edv": edv})
    write_measurement_report(bounded, sorted((segmented.out / "heart.seg").iterdir()), tmp_path / "sr.dcm")
    written = dcmread(tmp_path / "sr.dcm")
    numbers = [item for item in items(written, "NUM") if code(item) == "8821-1" and "ContentSequence" not in item]
    assert not numbers
    assert any("at least" in item.TextValue for item in items(written, "TEXT"))


def test_an_interval_is_a_range_of_uncertainty_in_the_unit_of_the_value(segmented, report, tmp_path):
    row = report.indices["lv_edv"]
    wide = msgspec.structs.replace(row, interval=(row.value - 5.0, row.value + 7.0), interval_level=0.9)
    write_measurement_report(
        msgspec.structs.replace(report, indices=report.indices | {"lv_edv": wide}),
        sorted((segmented.out / "heart.seg").iterdir()),
        tmp_path / "sr.dcm",
    )
    volume = next(item for item in items(dcmread(tmp_path / "sr.dcm"), "NUM") if code(item) == "8821-1")
    ranges = {code(item): item.MeasuredValueSequence[0] for item in volume.ContentSequence}
    assert float(ranges["371886008"].NumericValue) == pytest.approx(7.0)
    assert float(ranges["371885007"].NumericValue) == pytest.approx(5.0)
    assert {one.MeasurementUnitsCodeSequence[0].CodeValue for one in ranges.values()} == {"ml"}


def test_without_the_segmentations_there_is_no_report(segmented, report, tmp_path):
    with pytest.raises(InputError, match="ES"):
        write_measurement_report(report, sorted((segmented.out / "heart.seg").iterdir())[:1], tmp_path / "sr.dcm")
    with pytest.raises(InputError, match="DICOM-SEG"):
        write_measurement_report(report, segmented.images[:1], tmp_path / "sr.dcm")
    assert not list(tmp_path.iterdir())


def test_the_pdf_belongs_to_the_study_and_does_not_name_the_patient(segmented):
    written = dcmread(segmented.out / "heart.report.pdf.dcm")
    image = dcmread(segmented.images[0])
    for keyword in ("PatientID", "PatientName", "StudyInstanceUID", "AccessionNumber"):
        assert written[keyword].value == image[keyword].value
    assert written.SeriesInstanceUID != image.SeriesInstanceUID
    pdf = (segmented.out / "heart.report.pdf").read_bytes()
    assert written.EncapsulatedDocument[: written.EncapsulatedDocumentLength] == pdf
    assert written.BurnedInAnnotation == "NO"
    if shutil.which("pdftotext"):
        text = subprocess.run(["pdftotext", "-", "-"], input=pdf, capture_output=True, check=True).stdout.decode()
        assert "CANARY" not in text
        assert "Ejection fraction" in text


def test_a_refusal_says_why_in_the_study_of_the_image(segmented, tmp_path):
    write_refusal_report(segmented.images[0], "the study holds no short-axis cine", tmp_path / "sr.dcm")
    written = dcmread(tmp_path / "sr.dcm")
    assert written.StudyInstanceUID == dcmread(segmented.images[0]).StudyInstanceUID
    assert any("no short-axis cine" in item.TextValue for item in items(written, "TEXT"))


def test_another_program_finds_no_error_in_the_objects(segmented, tmp_path):
    if shutil.which("dciodvfy") is None:
        pytest.skip("no dciodvfy: apt-get install dicom3tools")
    write_refusal_report(segmented.images[0], "the study holds no short-axis cine", tmp_path / "sr.dcm")
    for file in (*segmented.out.rglob("*.dcm"), tmp_path / "sr.dcm"):
        told = subprocess.run(["dciodvfy", str(file)], capture_output=True, text=True, check=False).stderr
        assert not [line for line in told.splitlines() if line.startswith("Error")], file.name


def test_nifti_gets_a_pdf_and_no_dicom_object():
    assert Wishes(pdf=True).seg_phases is None
    assert replace(Wishes(), dicom_sr=True).seg_phases == "ed-es"
    assert Wishes(dicom_sr=True, dicom_seg="all").seg_phases == "all"
