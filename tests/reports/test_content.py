"""The published JSON Schema is that of the types, and holds what a report may say."""

from __future__ import annotations

import json

import jsonschema
import msgspec
import pytest

from shortaxis.reports import content
from shortaxis.reports.schema import SCHEMA_FILE, report_schema

PUBLISHED = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(PUBLISHED)

INDEX = content.IndexRow(120.5, "ml", "cavity at ED", "somewhere", interval=(110.0, 131.0), interval_level=0.9)
SLICE = content.EndSlice(1, "basal", "check", 0.7, ["the outline is blurred"])
REPORT = content.StudyReport(
    schema_version=content.SCHEMA_VERSION,
    study="heart",
    patient=content.Patient(identifier="7", birth_date="1960-02-29"),
    images=[content.ImageFacts("heart.nii.gz", "NIfTI", "0" * 64, 2, 10, 256, 216, (10.0, 1.4, 1.4), [])],
    phases="named",
    indices={"lv_edv": INDEX, "lv_ef": content.IndexRow(None, "%", "100 × SV ÷ EDV", "somewhere", "the ES phase is not known")},
    segments=[content.WallSegment(1, "basal anterior", 8.1, None, None)],
    segments_reason=None,
    frames=[content.FrameRow("heart.nii.gz", 1, "ED", 0.0, 130.0, 95.0, 120.5, [SLICE])],
    flags=[content.Flag("few_slices", "note", "The stack has 5 slices.", "Look at the base.", 5.0, 6.0)],
    provenance=content.Provenance("0.1.0", "2026-01-01T00:00:00+00:00", None, "tiny", "f" * 64, True, "cpu", 1.5, {"clean": False}),
)


def as_json(report):
    return json.loads(msgspec.json.encode(report))


def test_the_published_schema_is_that_of_the_types():
    assert report_schema() == PUBLISHED, "run `python -m shortaxis.reports.schema`"


def test_it_is_a_schema_with_a_name_of_its_own():
    jsonschema.Draft202012Validator.check_schema(PUBLISHED)
    assert PUBLISHED["$id"] == f"urn:shortaxis:report:{content.SCHEMA_VERSION}"


def test_every_part_and_field_says_what_it_is():
    for part in PUBLISHED["$defs"].values():
        for text in (part["description"], *(field["description"] for field in part["properties"].values())):
            assert text
            assert "None" not in text
            assert "\n" not in text


def test_a_report_is_valid_and_comes_back_as_it_was():
    VALIDATOR.validate(as_json(REPORT))
    assert msgspec.json.decode(msgspec.json.encode(REPORT), type=content.StudyReport) == REPORT


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema_version",), content.SCHEMA_VERSION + 1),
        (("study",), None),
        (("unheard_of",), 1),
        (("phases",), "guessed"),
        (("images", 0, "spacing_mm"), [10.0, 1.4]),
        (("images", 0, "spacing_mm", 1), 0.0),
        (("images", 0, "sha256"), "unknown"),
        (("indices", "lv_edv", "interval"), [1.0]),
        (("frames", 0, "frame"), 0),
        (("frames", 0, "lv_ml"), -1.0),
        (("frames", 0, "end_slices", 0, "probability"), 1.2),
        (("segments", 0, "number"), 17),
        (("flags", 0, "severity"), "error"),
    ],
)
def test_what_no_report_may_say_is_invalid(path, value):
    wrong = as_json(REPORT)
    place = wrong
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert not VALIDATOR.is_valid(wrong)
