"""What `shortaxis segment` writes, and where."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import jsonschema
import nibabel as nib
import numpy as np
import pytest

from shortaxis.ensemble.model_file import file_sha256, read_spec, save_model
from shortaxis.segmenting import single
from shortaxis.segmenting.trusting import segment_judged

FRAME_OUTPUTS = ["frame.indices.json", "frame.nii.gz", "frame.report.html", "frame.report.json", "segment.json", "summary.csv"]


def below(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_frame_gives_labels_of_its_own_name_on_its_own_grid(run, frame, tmp_path):
    result = run("segment", frame, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    assert below(tmp_path / "out") == FRAME_OUTPUTS
    image, labels = nib.load(frame), nib.load(tmp_path / "out" / "frame.nii.gz")
    assert labels.shape == image.shape
    assert labels.get_data_dtype() == np.uint8
    assert np.array_equal(labels.affine, image.affine)
    assert np.array_equal(labels.header["pixdim"], image.header["pixdim"])


def test_patients_of_an_acdc_folder_give_their_frames_and_nothing_else(run, acdc, tmp_path):
    result = run("segment", acdc, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    assert below(tmp_path / "out") == [
        "patient101/indices.json",
        "patient101/patient101_frame01.nii.gz",
        "patient101/patient101_frame03.nii.gz",
        "patient101/report.html",
        "patient101/report.json",
        "patient102/indices.json",
        "patient102/patient102_frame01.nii.gz",
        "patient102/patient102_frame03.nii.gz",
        "patient102/report.html",
        "patient102/report.json",
        "segment.json",
        "summary.csv",
    ]
    assert "patient101" in result.stdout


def test_one_patient_folder_will_do_and_the_cine_comes_when_asked_for(run, acdc, tmp_path):
    result = run("segment", acdc / "patient101", "--cine", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    names = {name for name in below(tmp_path / "out") if name.endswith(".nii.gz")}
    assert names == {f"patient101/patient101_{kind}.nii.gz" for kind in ("4d", "frame01", "frame03")}
    assert nib.load(tmp_path / "out" / "patient101" / "patient101_4d.nii.gz").shape[3] == 6


def test_the_cine_is_taken_where_a_patient_has_no_frames(run, acdc, tmp_path):
    for path in (acdc / "patient101").glob("*_frame*"):
        path.unlink()
    result = run("segment", acdc / "patient101", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    content = json.loads((tmp_path / "out" / "patient101" / "indices.json").read_text())
    assert [row["phase"] for row in content["frames"]] == ["ED", None, "ES", None, None, None]


def test_labels_beside_images_are_no_inputs_of_a_plain_folder(run, acdc, tmp_path):
    folder = tmp_path / "flat"
    folder.mkdir()
    for name in ("patient101_frame01.nii.gz", "patient101_frame01_gt.nii.gz"):
        shutil.copy(acdc / "patient101" / name, folder / name)
    assert run("segment", folder, "--out", tmp_path / "out").exit_code == 0
    assert below(tmp_path / "out") == [name.replace("frame.", "patient101_frame01.") for name in FRAME_OUTPUTS]


def test_indices_are_those_of_the_written_labels(run, acdc, tmp_path):
    run("segment", acdc / "patient101", "--no-clean", "--out", tmp_path / "out")
    content = json.loads((tmp_path / "out" / "patient101" / "indices.json").read_text())
    values = {name: index["value"] for name, index in content["indices"].items()}
    voxel_ml = 10.0 * 3.0 * 3.0 / 1000
    ed, es = (np.asarray(nib.load(tmp_path / "out" / "patient101" / f"patient101_frame{n}.nii.gz").dataobj) for n in ("01", "03"))
    assert values["lv_edv"] == pytest.approx((ed == 3).sum() * voxel_ml, abs=1e-3)
    assert values["lv_esv"] == pytest.approx((es == 3).sum() * voxel_ml, abs=1e-3)
    assert values["rv_edv"] == pytest.approx((ed == 1).sum() * voxel_ml, abs=1e-3)
    assert values["lv_mass"] == pytest.approx((ed == 2).sum() * voxel_ml * 1.05, abs=1e-3)
    assert content["indices"]["lv_edv"]["unit"] == "ml"
    assert content["indices"]["lv_edv"]["definition"]


def test_indices_of_a_lone_frame_say_why_they_are_not_known(run, frame, tmp_path):
    run("segment", frame, "--out", tmp_path / "out")
    ef = json.loads((tmp_path / "out" / "frame.indices.json").read_text())["indices"]["lv_ef"]
    assert (ef["value"], ef["reason"]) == (None, "the end-diastolic phase is not known")


def test_frames_of_a_cine_are_named_from_one(run, cine, tmp_path):
    assert run("segment", cine, "--ed", 1, "--es", 4, "--out", tmp_path / "out").exit_code == 0
    content = json.loads((tmp_path / "out" / "cine.indices.json").read_text())
    assert [row["frame"] for row in content["frames"] if row["phase"] == "ED"] == [1]
    assert [row["frame"] for row in content["frames"] if row["phase"] == "ES"] == [4]
    assert content["indices"]["rv_esv"]["value"] == content["frames"][3]["rv_ml"]


def test_what_is_written_names_the_model_and_nothing_of_the_patient_but_the_given_name(run, acdc, model_file, tmp_path):
    run("segment", acdc / "patient101", "--out", tmp_path / "out")
    text = (tmp_path / "out" / "patient101" / "indices.json").read_text()
    assert json.loads(text)["model"] == {"name": "tiny", "sha256": file_sha256(model_file)}
    assert str(tmp_path) not in text
    assert "height_cm" not in text


def test_json_is_the_manifest_and_all_of_stdout(run, frame, tmp_path):
    result = run("segment", frame, "--json", "--out", tmp_path / "out")
    assert json.loads(result.stdout) == json.loads((tmp_path / "out" / "segment.json").read_text())


def test_labels_come_in_the_scheme_asked_for(run, frame, tmp_path):
    run("segment", frame, "--out", tmp_path / "acdc-labels")
    run("segment", frame, "--scheme", "mnms", "--out", tmp_path / "mnms-labels")
    acdc, mnms = (np.asarray(nib.load(tmp_path / f"{name}-labels" / "frame.nii.gz").dataobj) for name in ("acdc", "mnms"))
    assert np.array_equal(mnms, np.array([0, 3, 2, 1])[acdc])


def test_maps_stand_beside_the_labels_with_classes_or_members_as_the_last_axis(run, frame, tmp_path):
    run("segment", frame, "--save-probabilities", "--save-uncertainty", "--no-clean", "--out", tmp_path / "out")
    width, height, depth = nib.load(frame).shape
    maps = {kind: nib.load(tmp_path / "out" / f"frame.{kind}.nii.gz") for kind in ("probabilities", "sigma", "omega")}
    assert {kind: image.shape for kind, image in maps.items()} == {
        "probabilities": (width, height, depth, 1, 4),
        "sigma": (width, height, 1, 1, 2),
        "omega": (width, height, 1, 1, 2),
    }
    assert all(image.get_data_dtype() == np.float32 for image in maps.values())
    labels = np.asarray(nib.load(tmp_path / "out" / "frame.nii.gz").dataobj)
    assert np.array_equal(maps["probabilities"].get_fdata()[..., 0, :].argmax(axis=-1), labels)
    assert np.allclose(maps["omega"].get_fdata().sum(axis=-1), 1, atol=1e-5)


def test_maps_of_a_rule_that_weighs_every_slice_have_all_slices_and_so_has_the_report(run, cine, model_file, tmp_path):
    spec = replace(read_spec(model_file), pooling={"rule": "uncertainty", "radius": 1})
    save_model(tmp_path / "per-slice.safetensors", spec.build(), spec)
    result = run("segment", cine, "--model", tmp_path / "per-slice.safetensors", "--save-uncertainty", "--out", tmp_path / "out")
    assert result.exit_code in {0, 1}, result.stderr  # networks that learnt nothing may find nothing
    shape = nib.load(cine).shape
    for kind in ("sigma", "omega"):
        assert nib.load(tmp_path / "out" / f"{cine.name.split('.')[0]}.{kind}.nii.gz").shape == (*shape, 2)
    page = next((tmp_path / "out").rglob("*.html")).read_text(encoding="utf-8")
    assert "how decided it is (Eq. 3), slice by slice" in page


def test_one_slice_is_enough(run, frame, tmp_path):
    image = nib.load(frame)
    single = tmp_path / "single.nii.gz"
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj)[:, :, 2:3], None, image.header), single)
    assert run("segment", single, "--out", tmp_path / "out").exit_code == 0
    assert nib.load(tmp_path / "out" / "single.nii.gz").shape == (*image.shape[:2], 1)


def test_a_bad_input_among_good_ones_is_left_out_and_named(run, acdc, tmp_path):
    (acdc / "patient101" / "patient101_frame03.nii.gz").write_bytes(b"no image")
    result = run("segment", acdc, tmp_path / "absent.nii.gz", "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "patient101_frame03.nii.gz" in result.stderr
    assert "absent.nii.gz" in result.stderr
    assert not (tmp_path / "out" / "patient101").exists()
    assert (tmp_path / "out" / "patient102" / "indices.json").is_file()
    manifest = json.loads((tmp_path / "out" / "segment.json").read_text())
    assert (manifest["segmented"], manifest["failed"]) == (1, 2)
    assert not [path for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]


def test_a_patient_without_info_is_left_out_of_many(run, acdc, tmp_path):
    (acdc / "patient101" / "Info.cfg").unlink()
    result = run("segment", acdc, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "Info.cfg" in result.stderr
    assert (tmp_path / "out" / "patient102").is_dir()


def test_segmenting_again_replaces_what_was_there(run, frame, tmp_path):
    for _ in range(2):
        assert run("segment", frame, "--out", tmp_path / "out").exit_code == 0
    assert below(tmp_path / "out") == FRAME_OUTPUTS


def test_the_number_of_threads_is_the_one_asked_for(run, frame, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("torch.set_num_threads", asked.append)
    run("segment", frame, "--threads", 1, "--out", tmp_path / "out")
    assert asked == [1]


def test_the_report_names_the_command_its_options_and_what_it_read(run, frame, tmp_path):
    result = run("segment", frame, "--no-clean", "--out", tmp_path / "out", "--threads", 1, "--device", "cpu")
    assert result.exit_code == 0, result.stderr
    content = json.loads((tmp_path / "out" / "frame.report.json").read_text())
    assert content["provenance"]["command"] == "shortaxis segment frame.nii.gz --out out --device cpu --no-clean --threads 1"
    assert content["provenance"]["options"] == {"clean": False}
    assert content["images"][0]["sha256"] == file_sha256(frame)


def test_without_a_report_there_is_none(run, frame, tmp_path):
    assert run("segment", frame, "--no-report", "--out", tmp_path / "out").exit_code == 0
    assert below(tmp_path / "out") == [name for name in FRAME_OUTPUTS if "report" not in name]


def test_every_written_report_fulfils_the_schema_that_is_printed(run, acdc, cine, frame, tmp_path):
    schema = json.loads(run("schema").stdout)
    assert run("segment", acdc / "patient101", cine, frame, "--cine", "--out", tmp_path / "out").exit_code == 0
    reports = sorted((tmp_path / "out").rglob("*report.json"))
    assert len(reports) == 3
    for path in reports:
        jsonschema.Draft202012Validator(schema).validate(json.loads(path.read_text(encoding="utf-8")))


def test_each_phase_may_be_taken_by_itself(run, cine, tmp_path, monkeypatch):
    asked = []
    whole = single.segment_judged
    monkeypatch.setattr(single, "segment_judged", lambda *given, **options: asked.append(options["temporal"]) or whole(*given, **options))
    for options in ((), ("--no-temporal",)):
        assert run("segment", cine, "--no-report", *options, "--out", tmp_path / "out").exit_code == 0
    assert asked == [True, False]


def test_views_are_pooled_told_and_kept_apart_from_a_run_without_them(run, frame, tmp_path):
    for folder, options in (("one", ()), ("three", ("--views", 3))):
        assert run("segment", frame, "--save-probabilities", *options, "--out", tmp_path / folder).exit_code == 0
    plain, mean = (np.asarray(nib.load(tmp_path / folder / "frame.probabilities.nii.gz").dataobj) for folder in ("one", "three"))
    assert plain.shape == mean.shape
    assert np.abs(plain - mean).max() > 1e-5
    assert json.loads((tmp_path / "three" / "frame.report.json").read_text())["provenance"]["options"] == {
        "probabilities": True,
        "views": 3,
    }
    assert json.loads((tmp_path / "three" / "frame.indices.json").read_text())["model"]["views"] == "3"
    resumed = run("segment", frame, "--save-probabilities", "--resume", "--out", tmp_path / "three")
    assert resumed.exit_code == 2
    assert "resume with the same" in resumed.stderr
    many = run("segment", frame, "--views", 12, "--out", tmp_path / "many")
    assert (many.exit_code, (tmp_path / "many").exists()) == (2, False)
    assert "views: 12 " in " ".join(many.stderr.split())


def test_the_endocardium_is_moved_told_and_kept_apart(run, frame, tmp_path):
    for name in ("trabeculae", "compact"):
        assert run("segment", frame, "--save-probabilities", "--endocardium", name, "--out", tmp_path / name).exit_code == 0
    plain, compact = (tmp_path / name for name in ("trabeculae", "compact"))
    before, after = (np.asarray(nib.load(folder / "frame.nii.gz").dataobj) for folder in (plain, compact))
    changed = before != after
    assert set(before[changed]) <= {2}
    assert set(after[changed]) <= {3}
    maps = [np.asarray(nib.load(folder / "frame.probabilities.nii.gz").dataobj) for folder in (plain, compact)]
    assert np.array_equal(*maps)
    report = json.loads((compact / "frame.report.json").read_text())
    content = json.loads((compact / "frame.indices.json").read_text())
    assert report["endocardium"] == content["endocardium"] == content["model"]["endocardium"] == "compact"
    assert float(content["model"]["endocardial_shift"]) > 0
    assert "compact myocardium" in content["indices"]["lv_mass"]["definition"]
    assert "compact myocardium" in (compact / "frame.report.html").read_text(encoding="utf-8")
    assert json.loads((plain / "frame.indices.json").read_text())["endocardium"] == "trabeculae"
    resumed = run("segment", frame, "--save-probabilities", "--resume", "--out", compact)
    assert (resumed.exit_code, "resume with the same" in resumed.stderr) == (2, True)
    assert run("segment", frame, "--endocardium", "inner", "--out", tmp_path / "out").exit_code == 2


def test_a_study_in_which_nothing_is_found_is_named_and_leaves_with_1(run, frame, tmp_path, monkeypatch):
    def blind(*words, **options):
        judged = segment_judged(*words, **options)
        judged.segmentation.labels[:] = 0
        return judged

    monkeypatch.setattr("shortaxis.segmenting.single.segment_judged", blind)
    result = run("segment", frame, "--out", tmp_path / "out", "--no-report")
    assert result.exit_code == 1
    assert str(frame) in result.stderr
    assert "nothing_found" in json.loads((tmp_path / "out" / "segment.json").read_text())["studies"][0]["flags"]


def test_frames_of_the_rv_are_named_from_one(run, cine, tmp_path):
    assert run("segment", cine, "--rv-ed", 2, "--rv-es", 5, "--no-report", "--out", tmp_path / "out").exit_code == 0
    content = json.loads((tmp_path / "out" / "cine.indices.json").read_text())
    assert [row["rv_phase"] for row in content["frames"]] == [None, "ED", None, None, "ES", None]
    assert content["indices"]["rv_esv_own"]["value"] == content["frames"][4]["rv_ml"]
    assert json.loads((tmp_path / "out" / "segment.json").read_text())["options"] == {
        "report": False,
        "rv_end_diastole": 2,
        "rv_end_systole": 5,
    }
    assert run("segment", cine, "--rv-ed", 3, "--rv-es", 5, "--no-report", "--resume", "--out", tmp_path / "out").exit_code == 2
