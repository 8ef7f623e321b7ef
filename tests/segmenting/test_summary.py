"""The table of a cohort: what stands in it, and that no spreadsheet runs it."""

from __future__ import annotations

import csv

import pytest

from shortaxis.segmenting.summary import COLUMNS, write_summary

DONE = {
    "study": "heart",
    "status": "done",
    "phases": "found",
    "values": {"lv_edv": 120.5, "lv_ef": 58.0, "sv_difference": -3.5, "ed_frame": 1.0},
    "intervals": {"lv_edv": [110.0, 131.0]},
    "frames": {"ed": 1, "es": 12},
    "flags": ["few_slices", "gap_in_stack"],
    "to_check": ["ED:1", "ES:10"],
    "seconds": 20.5,
}
FAILED = {"study": "other", "status": "failed", "error": "other.nii: no such file, folder", "seconds": 0.0}


def table(path, *rows):
    write_summary(path, rows, "abc")
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_study_is_a_row_with_empty_cells_for_what_is_not_known(tmp_path):
    (row,) = table(tmp_path / "summary.csv", DONE)
    known = {name: cell for name, cell in row.items() if cell}
    expected = {"study": "heart", "status": "done", "ed_frame": "1", "es_frame": "12", "phases": "found"}
    expected |= {"lv_edv": "120.5", "lv_edv_low": "110.0", "lv_edv_high": "131.0", "lv_ef": "58.0", "sv_difference": "-3.5"}
    expected |= {"n_flags": "2", "flags": "few_slices gap_in_stack", "n_to_check": "2", "to_check": "ED:1 ES:10"}
    assert known == expected | {"seconds": "20.5", "model_sha256": "abc"}


def test_the_endocardium_stands_beside_the_volumes(tmp_path):
    rows = table(tmp_path / "summary.csv", DONE | {"endocardium": "compact"}, FAILED)
    assert [row["endocardium"] for row in rows] == ["compact", ""]


def test_without_verdicts_nothing_is_said_of_slices(tmp_path):
    (row,) = table(tmp_path / "summary.csv", DONE | {"to_check": None})
    assert (row["n_to_check"], row["to_check"]) == ("", "")
    (row,) = table(tmp_path / "summary.csv", DONE | {"to_check": []})
    assert (row["n_to_check"], row["to_check"]) == ("0", "")


def test_a_failure_is_a_row_with_its_reason(tmp_path):
    rows = table(tmp_path / "summary.csv", DONE, FAILED)
    assert [row["status"] for row in rows] == ["done", "failed"]
    assert rows[1]["error"] == FAILED["error"]
    assert rows[1]["lv_edv"] == ""


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "＝"])
@pytest.mark.parametrize("before", ["", " ", "\t", "\r", "\n"])
def test_no_text_is_a_formula(tmp_path, before, start):
    rows = table(tmp_path / "summary.csv", FAILED | {"study": f"{before}{start}cmd|' /C calc'!A0", "error": f"{start}1"})
    assert rows[0]["study"] == f"'{start}cmd|' /C calc'!A0"
    assert rows[0]["error"] == f"'{start}1"


def test_a_name_that_is_not_utf_8_is_written_with_a_mark(tmp_path):
    rows = table(tmp_path / "summary.csv", {"study": "M\udcfcller", "status": "failed", "seconds": 0.1, "error": "e"})
    assert rows[0]["study"] == "M?ller"


def test_no_text_breaks_a_line(tmp_path):
    rows = table(tmp_path / "summary.csv", FAILED | {"study": "a\r\nb", "error": "c\nd\0e"})
    assert [(row["study"], row["error"]) for row in rows] == [("a b", "c d e")]


def test_the_order_of_the_columns_is_the_published_one(tmp_path):
    table(tmp_path / "summary.csv")
    header = (tmp_path / "summary.csv").read_text(encoding="utf-8").split("\n")[0].split(",")
    assert header == list(COLUMNS)
    assert len(set(COLUMNS)) == len(COLUMNS)
    assert header[:8] == ["study", "status", "ed_frame", "es_frame", "phases", "lv_edv", "lv_edv_low", "lv_edv_high"]


def test_names_of_any_script_are_written_in_utf_8(tmp_path):
    (row,) = table(tmp_path / "summary.csv", DONE | {"study": "心臓, Herz"})
    assert row["study"] == "心臓, Herz"
    assert "心臓".encode() in (tmp_path / "summary.csv").read_bytes()


def test_values_of_the_rv_at_its_own_phases_stand_behind_the_older_columns(tmp_path):
    values = {"rv_ed_frame": 3.0, "rv_es_frame": 9.0, "rv_ef_own": 61.5}
    (row,) = table(tmp_path / "summary.csv", DONE | {"values": DONE["values"] | values})
    assert {name: float(row[name]) for name in values} == values
    assert min(COLUMNS.index(name) for name in values) > COLUMNS.index("edited")
