"""`shortaxis evaluate`: tables for people, JSON for programs."""

from __future__ import annotations

import json
import shutil

import nibabel as nib
import numpy as np
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


@pytest.fixture
def flat(acdc, tmp_path):
    """The labels of `acdc` in one folder, in the order of M&Ms and without ACDC's `Info.cfg`."""
    (tmp_path / "flat").mkdir()
    for path in acdc.rglob("*_gt.nii.gz"):
        stored = nib.load(path)
        labels = np.array([0, 3, 2, 1], np.uint8)[np.asarray(stored.dataobj)]
        nib.save(nib.Nifti1Image(labels, None, stored.header), tmp_path / "flat" / path.name.replace("_gt", "_mask"))
    return tmp_path / "flat"


@pytest.mark.parametrize("order", ["mnms", "rv=3,myo=2,lv=1"])
def test_predictions_in_another_order_are_scored_once_it_is_said(run, flat, acdc, order):
    result = run("evaluate", flat, acdc, "--protocol", "paper", "--pred-scheme", order, "--json")
    assert json.loads(result.stdout)["results"]["paper"]["overall"]["dsc_average"]["value"] == 100
    result = run("evaluate", acdc, flat, "--protocol", "paper", "--truth-scheme", order, "--json")
    assert json.loads(result.stdout)["results"]["paper"]["overall"]["dsc_average"]["value"] == 100


def test_predictions_in_another_order_are_told_with_the_option_that_mends_it(run, flat, acdc):
    result = run("evaluate", flat, acdc, "--protocol", "paper")
    assert result.exit_code == 0
    assert "order their labels differently" in result.stderr
    assert "--pred-scheme rv=3,myo=2,lv=1" in result.stderr


def test_an_order_that_is_not_understood_is_refused(run, acdc):
    result = run("evaluate", acdc, acdc, "--pred-scheme", "rv=3,myo=3,lv=1")
    assert result.exit_code == 2
    assert "3 for both RV and MYO" in result.stderr


def test_a_data_set_may_be_named_by_kind_and_path(run, acdc):
    content = json.loads(run("evaluate", acdc, f"acdc:{acdc}", "--json").stdout)
    assert content["n_cases"] == 4
    assert content["results"]["clinical"]["overall"]["lv_ef_bias"]["n"] == 2


def test_names_that_do_not_say_ed_and_es_are_told_where_indices_are_wanted(run, flat):
    told = "ED and ES are not known of 2 of 2 patients, such as patient101, and their indices left out; name the annotated files PATIENT_ED"
    assert told in run("evaluate", flat, flat, "--protocol", "clinical").stderr
    assert "ED" not in run("evaluate", flat, flat, "--protocol", "paper").stderr
    for path in list(flat.iterdir()):
        shutil.move(path, flat / path.name.replace("_frame01", "_ED").replace("_frame03", "_ES"))
    assert "ED" not in run("evaluate", flat, flat, "--protocol", "clinical").stderr
