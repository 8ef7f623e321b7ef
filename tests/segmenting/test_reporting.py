"""A report says what was measured, of the frames that it was measured on, and names nobody who was not asked for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import msgspec
import numpy as np
import pytest

from shortaxis.indices import regional_indices
from shortaxis.io import read_dicom, write_like
from shortaxis.labels import Structure
from shortaxis.phantom.dicom import write_dicom
from shortaxis.quality.flags import QualityFlag
from shortaxis.reports.schema import SCHEMA_FILE
from shortaxis.segmenting import Wishes, plan_studies
from shortaxis.segmenting.findings import Findings
from shortaxis.segmenting.measuring import SegmentedImage
from shortaxis.segmenting.plan import PlannedImage, PlannedStudy
from shortaxis.segmenting.reporting import Told, build_report, show_pixels, write_report
from shortaxis.segmenting.trusting import Judged
from shortaxis.study import Repair, Segmentation

OPENED = SimpleNamespace(model=SimpleNamespace(device="cpu"), provenance={"name": "tiny", "sha256": "a" * 64}, calibration=None)
FLAG = QualityFlag("gap", "warning", "There is a gap.", "Mind it.", 20.0, 10.0, "mm")
CHECK = {"slice": 1, "level": "basal", "verdict": "check", "probability": 0.9, "reasons": ["the outline is blurred"]}


def told(**wishes):
    return Told(OPENED, Wishes(**wishes), "shortaxis segment heart", 1.23456)


def segmented(phantom, path, *phases, **changes):
    """Some phases of the phantom as a file that was segmented without an error."""
    study = phantom.study
    chosen = list(phases or range(study.n_phases))
    named = {name: chosen.index(phase) if (phase := getattr(study, name)) in chosen else None for name in ("end_diastole", "end_systole")}
    times = None if phases else study.phase_times
    alone = replace(study, pixels=study.pixels[chosen], phase_times=times, **{**named, **changes})
    write_like(alone.pixels, alone, path, dtype=np.float32)
    labels = phantom.labels[chosen]
    verdicts = [[CHECK]] * len(chosen)
    return SegmentedImage(PlannedImage(path, path), Judged(Segmentation(alone, labels), np.zeros_like(labels), verdicts=verdicts))


def report_of(*images, wishes=None, flags=()):
    findings = Findings("heart")
    for image in images:
        findings.add(image.judged.segmentation, image.planned.path.name, judged=image.judged)
    planned = PlannedStudy("heart", images[0].planned.path, tuple(image.planned for image in images))
    return build_report(planned, images, findings, flags, told(**(wishes or {})))


@pytest.fixture
def cine(heart, tmp_path):
    return segmented(heart, tmp_path / "cine.nii")


@pytest.fixture
def ends(heart, tmp_path):
    study = heart.study
    return [segmented(heart, tmp_path / f"{phase}.nii", phase) for phase in (study.end_diastole, study.end_systole)]


def test_a_cine_has_a_row_a_frame_with_time_and_verdicts(heart, cine):
    report = report_of(cine)
    assert [row.frame for row in report.frames] == [1, 2, 3, 4, 5, 6]
    assert [row.time_ms for row in report.frames] == pytest.approx(heart.study.phase_times, abs=1e-3)
    assert {row.phase: row.frame - 1 for row in report.frames if row.phase} == {
        "ED": heart.study.end_diastole,
        "ES": heart.study.end_systole,
    }
    assert report.frames[0].end_slices[0].reasons == CHECK["reasons"]
    assert report.phases == "named"


@pytest.mark.parametrize(
    ("changes", "phases"),
    [({"end_systole": None}, "found"), ({"end_diastole": None, "end_systole": None}, "found"), ({}, "named")],
)
def test_it_is_told_whether_phases_were_named_or_found(heart, tmp_path, changes, phases):
    assert report_of(segmented(heart, tmp_path / "a.nii", **changes)).phases == phases


def test_a_lone_frame_has_unknown_phases_and_no_segments(heart, tmp_path):
    report = report_of(segmented(heart, tmp_path / "a.nii", 1, end_diastole=None, end_systole=None))
    assert report.phases == "unknown"
    assert report.segments == []
    assert report.segments_reason == "the end-diastolic phase is not known"
    assert report.indices["lv_ef"].reason is not None


def test_with_ed_alone_segments_have_their_thickness_and_nothing_of_es(ends):
    report = report_of(ends[0])
    assert len(report.segments) == 16
    assert report.segments[0].thickness_ed_mm > 0
    assert report.segments[0].thickness_es_mm is None
    assert report.segments[0].thickening_percent is None


def test_segments_are_those_of_the_regional_indices(cine):
    regional = regional_indices(cine.judged.segmentation)
    report = report_of(cine)
    for segment in report.segments:
        assert segment.thickness_es_mm == pytest.approx(regional[f"wall_thickness_es_aha{segment.number:02}"].value, abs=1e-3)
    assert [segment.number for segment in report.segments] == list(range(1, 17))
    assert report.segments[6].name == "mid anterior"


def test_ed_and_es_files_are_one_study(heart, ends):
    report, pixels = report_of(*ends), show_pixels(ends)
    assert [row.phase for row in report.frames] == ["ED", "ES"]
    assert report.phases == "named"
    assert len(report.images) == 2
    assert len(report.segments) == 16
    assert report.segments[0].thickening_percent is not None
    assert np.array_equal(pixels.image, heart.study.pixels[[heart.study.end_diastole, heart.study.end_systole]])


def test_beside_the_frames_a_cine_names_no_phases_of_its_own(ends, cine):
    report = report_of(*ends, cine)
    assert [row.phase for row in report.frames] == ["ED", "ES", *[None] * 6]
    assert [row.time_ms is None for row in report.frames] == [True, True, *[False] * 6]
    assert show_pixels([*ends, cine]).entropy.shape[0] == len(report.frames)


def test_where_one_frame_is_absent_the_cine_decides(ends, cine):
    report = report_of(ends[0], cine)
    assert report.frames[0].phase is None
    assert {row.phase for row in report.frames[1:]} == {"ED", "ES", None}


def test_frames_of_different_size_are_shown_on_the_larger_one(heart, tmp_path, ends):
    small = segmented(heart, tmp_path / "small.nii", heart.study.end_systole)
    study = replace(small.study, pixels=small.study.pixels[:, :-1, 4:])
    labels = small.judged.segmentation.labels[:, :-1, 4:]
    small = small._replace(judged=small.judged._replace(segmentation=Segmentation(study, labels), entropy=None))
    pixels = show_pixels([ends[0], small])
    assert pixels.image.shape == (2, *heart.study.pixels.shape[1:])
    assert np.array_equal(pixels.labels[1, :-1, :-4], labels[0])
    assert not pixels.labels[1, -1].any()
    assert pixels.entropy is None


def test_of_a_single_image_nothing_is_copied(cine):
    assert show_pixels([cine]).image is cine.study.pixels


def test_slice_1_lies_at_the_base_or_not(heart, tmp_path):
    image = segmented(heart, tmp_path / "a.nii")
    assert show_pixels([image]).basal_first
    turned = replace(image.study, pixels=image.study.pixels[:, ::-1], affine=np.diag([10.0, 4.0, 4.0, 1.0]))
    image = image._replace(judged=Judged(Segmentation(turned, image.judged.segmentation.labels[:, ::-1])))
    assert not show_pixels([image]).basal_first


def test_repairs_are_told_with_the_image_and_counted_from_one(heart, ends, cine):
    repair = Repair(2, 0, Structure.LV, 100.04, 250.0)
    cine = cine._replace(judged=cine.judged._replace(segmentation=replace(cine.judged.segmentation, repairs=(repair,))))
    (row,) = report_of(*ends, cine).repairs
    assert (row.image, row.frame, row.slice, row.structure) == ("cine.nii", 3, 1, "LV")
    assert (row.before_mm2, row.after_mm2) == (100.0, 250.0)


def test_it_says_how_it_came_about(cine):
    report = report_of(cine, wishes={"clean": False}, flags=[FLAG])
    made = report.provenance
    assert (made.model, made.model_sha256, made.calibrated, made.device, made.seconds) == ("tiny", "a" * 64, False, "cpu", 1.235)
    assert made.command == "shortaxis segment heart"
    assert made.options == {"clean": False}
    assert (report.flags[0].name, report.flags[0].limit) == ("gap", 10.0)
    assert report.images[0].file == "cine.nii"


def test_what_is_written_fulfils_the_published_schema(cine, tmp_path):
    report = report_of(cine, flags=[FLAG])
    planned = PlannedStudy("heart", tmp_path, indices=tmp_path / "heart.indices.json")
    write_report(report, show_pixels([cine]), planned, tmp_path)
    content = json.loads((tmp_path / "heart.report.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))).validate(content)
    assert msgspec.convert(content, type(report)) == report
    assert "<html" in (tmp_path / "heart.report.html").read_text(encoding="utf-8")


class TestDicom:
    @pytest.fixture
    def report(self, heart, tmp_path):
        folder = tmp_path / "SMITH" / "heart"
        write_dicom(folder, heart.study)
        study = read_dicom(folder)
        notes = ("IM1 is cut short; it is left out",)
        (folder / "IM1").touch()
        study = replace(study, source=replace(study.source, notes=notes))
        (planned,) = plan_studies([folder])
        images = [SegmentedImage(planned.images[0], Judged(Segmentation(study, np.zeros(study.pixels.shape, np.uint8))))]
        findings = Findings("heart")
        findings.add(images[0].judged.segmentation, "heart")
        return lambda **wishes: build_report(planned, images, findings, [], told(**wishes))

    def test_nobody_is_named_unless_asked_for(self, report):
        made = report()
        assert made.patient is None
        assert made.images[0].format == "DICOM"
        assert made.images[0].file == "heart"
        assert made.images[0].notes == ["a file is cut short; it is left out"]

    def test_with_identifiers_kept_the_patient_is_named_and_the_path_told(self, report, tmp_path):
        made = report(keep_identifiers=True)
        assert made.patient is not None
        assert made.images[0].file == str(tmp_path / "SMITH" / "heart")
        assert made.images[0].notes == ["IM1 is cut short; it is left out"]


def test_nifti_files_name_no_patient_even_when_asked(cine):
    assert report_of(cine, wishes={"keep_identifiers": True}).patient is None


def test_ed_and_es_with_different_slice_counts_have_a_report_with_the_slices_of_each(heart, tmp_path):
    ed, es = heart.study.end_diastole, heart.study.end_systole
    images = [segmented(heart, tmp_path / "ed.nii", ed), segmented(heart, tmp_path / "es.nii", es)]
    whole = images[1].judged.segmentation
    fewer = replace(whole.study, pixels=whole.study.pixels[:, 1:-1])
    write_like(fewer.pixels, replace(fewer, source=None), tmp_path / "es.nii", dtype=np.float32)
    judged = images[1].judged._replace(segmentation=Segmentation(fewer, whole.labels[:, 1:-1]), entropy=None)
    images[1] = SegmentedImage(images[1].planned, judged)
    findings = Findings("heart")
    for image in images:
        findings.add(image.judged.segmentation, image.planned.path.name, 1, image.judged._replace(risks=[[0.25] * image.study.n_slices]))
    planned = PlannedStudy("heart", tmp_path, tuple(image.planned for image in images), Path("indices.json"))
    write_report(build_report(planned, images, findings, [], told()), show_pixels(images), planned, tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count('class="risk"') == heart.study.n_slices + heart.study.n_slices - 2
    assert findings.indices()["lv_ef"].value is not None
