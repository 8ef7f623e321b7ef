"""Values of tags, well-formed and not."""

from __future__ import annotations

import pytest
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from shortaxis.io.dicom.values import flat, flat_groups, number, numbers, seconds, texts, whole


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("101530.25", 10 * 3600 + 15 * 60 + 30.25),
        ("1015", 10 * 3600 + 15 * 60),
        ("10", 36000),
        ("10:15:30", 10 * 3600 + 15 * 60 + 30),
        ("101530+0100", 10 * 3600 + 15 * 60 + 30),
        ("", None),
        (None, None),
        ("101", None),
        ("noon", None),
        ("101530.x", None),
    ],
)
def test_times_of_day(text, expected):
    assert seconds(text) == expected


def test_numbers_are_numbers_or_nothing():
    assert (number("2.5"), number("x"), number(None), number("inf")) == (2.5, None, None, None)
    assert (whole("3"), whole("")) == (3, None)
    assert numbers(["1", "2"], 2) == (1.0, 2.0)
    assert (numbers(["1", "nan"], 2), numbers(["1"], 2), numbers("12", 2), numbers(None, 2)) == (None, None, None, None)


def test_texts_of_any_multiplicity():
    assert (texts(None), texts("A"), texts(["A", "B"])) == ([], ["A"], ["A", "B"])


def test_a_value_that_cannot_be_parsed_counts_as_absent():
    dataset = Dataset()
    raw = RawDataElement(Tag(0x00280010), "US", 3, b"abc", 0, is_implicit_VR=False, is_little_endian=True)
    dataset[0x00280010] = raw
    assert flat(dataset, {0x00280010: "Rows"}) == {}


def test_only_wanted_values_are_taken_and_groups_are_opened_one_level():
    dataset = Dataset()
    dataset.Rows, dataset.PatientID = 7, "secret"
    wanted = {0x00280010: "Rows", 0x00280011: "Columns"}
    assert flat(dataset, wanted) == {"Rows": 7}
    group = Dataset()
    group.StackID = "1"
    group.PixelMeasuresSequence = [dataset]
    group.PlanePositionSequence = []
    assert flat_groups(group, wanted) == {"Rows": 7}


@pytest.mark.parametrize(("stored", "little", "expected"), [(b"\x02\x01", True, 258), (b"\x02\x01", False, 513)])
def test_a_whole_number_is_read_in_the_order_of_its_bytes(stored, little, expected):
    tag = Tag("Rows")
    dataset = Dataset({tag: RawDataElement(tag, "US", 2, stored, 0, False, little, True)})
    assert flat(dataset, {tag: "Rows"}) == {"Rows": expected} == {"Rows": dataset[tag].value}
