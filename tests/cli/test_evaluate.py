"""`shortaxis evaluate`: tables for people, JSON for programs."""

from __future__ import annotations

import json

import pytest


@pytest.mark.parametrize("protocol", ["reference", "paper", "clinical"])
def test_labels_against_themselves_score_everything(run, acdc, protocol):
    result = run("evaluate", acdc, acdc, "--protocol", protocol, "--json")
    assert result.exit_code == 0, result.stderr
    overall = json.loads(result.stdout)["results"][protocol]["overall"]
    assert overall["dsc_average"]["value"] == pytest.approx(100)


def test_the_table_names_its_protocols(run, acdc):
    result = run("evaluate", acdc, acdc, "--protocol", "paper,clinical")
    assert "Protocol paper" in result.stdout
    assert "Protocol clinical" in result.stdout
    assert "Protocol reference" not in result.stdout


def test_the_file_holds_what_json_prints(run, acdc, tmp_path):
    result = run("evaluate", acdc, acdc, "--protocol", "paper", "--json", "--out", tmp_path / "paper.json")
    assert json.loads((tmp_path / "paper.json").read_text()) == json.loads(result.stdout)


def test_an_excluded_patient_is_in_no_figure(run, acdc):
    content = json.loads(run("evaluate", acdc, acdc, "--protocol", "paper", "--exclude", "patient101", "--json").stdout)
    assert content["n_patients"] == 1
    assert {case["patient"] for case in content["results"]["paper"]["cases"]} == {"patient102"}


def test_what_segment_wrote_can_be_scored(run, acdc, tmp_path):
    assert run("segment", acdc, "--save-uncertainty", "--out", tmp_path / "out").exit_code == 0
    result = run("evaluate", tmp_path / "out", acdc, "--protocol", "clinical", "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["n_cases"] == 4
