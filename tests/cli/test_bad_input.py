"""Whatever is wrong with an input: one sentence that names it, exit code 2, and nothing half-written."""

from __future__ import annotations

import json
import shutil
import struct

import nibabel as nib
import numpy as np
import pytest
import torch
from safetensors.torch import save_file


def refuse(result, *words):
    """Exit code 2, and one line on stderr that holds the words; nothing on stdout."""
    assert result.exit_code == 2, (result.exit_code, result.output)
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1, result.stderr
    assert "Traceback" not in result.stderr
    for word in words:
        assert str(word) in result.stderr


def image(path, array, spacing=(1.0, 1.0, 5.0, 1.0, 1.0)):
    header = nib.Nifti1Header()
    header.set_data_shape(array.shape)
    written = nib.Nifti1Image(array, np.eye(4), header)
    written.header["pixdim"][1 : array.ndim + 1] = spacing[: array.ndim]
    nib.save(written, path)
    return path


def noise(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def not_a_number(*shape):
    array = noise(*shape)
    array.flat[5] = np.nan
    return array


def infinite(*shape):
    array = noise(*shape)
    array.flat[5] = np.inf
    return array


ARRAYS = {
    "two axes": (noise(30, 30), "axes"),
    "five axes": (noise(30, 30, 4, 2, 3), "axes"),
    "NaN": (not_a_number(30, 30, 4), "NaN"),
    "infinity": (infinite(30, 30, 4), "NaN or infinite"),
    "constant": (np.full((30, 30, 4), 7, np.float32), "the value 7"),
    "a constant phase": (np.stack([noise(30, 30, 4), np.zeros((30, 30, 4), np.float32)], axis=-1), "phase 2"),
}


@pytest.mark.parametrize(("array", "word"), ARRAYS.values(), ids=ARRAYS)
def test_unfit_voxels_are_refused(run, tmp_path, array, word):
    path = image(tmp_path / "bad.nii.gz", array)
    refuse(run("segment", path, "--out", tmp_path / "out"), path, word)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("length", [0.0, -1.5, np.nan])
def test_spacing_that_is_no_length_is_refused(run, tmp_path, length):
    path = image(tmp_path / "bad.nii", noise(30, 30, 4))
    content = bytearray(path.read_bytes())
    content[80:84] = struct.pack("<f", length)  # pixdim[1]
    path.write_bytes(content)
    refuse(run("segment", path, "--out", tmp_path / "out"), path, "spacing")
    assert not (tmp_path / "out").exists()


def test_a_missing_file_is_refused(run, tmp_path):
    refuse(run("segment", tmp_path / "absent.nii.gz", "--out", tmp_path / "out"), "absent.nii.gz", "no such file")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["text.nii.gz", "text.nii", "text.txt"])
def test_what_is_no_nifti_is_refused(run, tmp_path, name):
    (tmp_path / name).write_text("not an image")
    refuse(run("segment", tmp_path / name, "--out", tmp_path / "out"), name, "NIfTI")
    assert not (tmp_path / "out").exists()


def test_a_truncated_file_is_refused(run, frame, tmp_path):
    frame.write_bytes(frame.read_bytes()[:-2000])
    refuse(run("segment", frame, "--out", tmp_path / "out"), frame)
    assert not (tmp_path / "out").exists()


def test_an_empty_folder_is_refused(run, tmp_path):
    refuse(run("segment", tmp_path, "--out", tmp_path / "out"), tmp_path, "no NIfTI files")


def test_a_folder_of_labels_only_is_refused(run, acdc, tmp_path):
    folder = tmp_path / "labels"
    folder.mkdir()
    shutil.copy(acdc / "patient101" / "patient101_frame01_gt.nii.gz", folder)
    refuse(run("segment", folder, "--out", tmp_path / "out"), folder, "only labels")


def test_a_missing_info_is_refused(run, acdc, tmp_path):
    (acdc / "patient101" / "Info.cfg").unlink()
    refuse(run("segment", acdc / "patient101", "--out", tmp_path / "out"), "Info.cfg", "no such file")


@pytest.mark.parametrize("phase", ["ED", "ES"])
def test_an_info_without_a_phase_is_refused(run, acdc, tmp_path, phase):
    info = acdc / "patient101" / "Info.cfg"
    info.write_text("".join(line for line in info.read_text().splitlines(keepends=True) if not line.startswith(phase)))
    refuse(run("segment", acdc / "patient101", "--out", tmp_path / "out"), "Info.cfg", phase)


def test_a_phase_without_an_image_is_refused(run, acdc, tmp_path):
    for name in ("4d", "frame03"):
        (acdc / "patient101" / f"patient101_{name}.nii.gz").unlink()
    refuse(run("segment", acdc / "patient101", "--out", tmp_path / "out"), "frame 3 as ES", "patient101_frame03.nii.gz")


def test_a_patient_folder_without_images_is_refused(run, acdc, tmp_path):
    for path in (acdc / "patient101").glob("*.nii.gz"):
        path.unlink()
    refuse(run("segment", acdc / "patient101", "--out", tmp_path / "out"), "holds no images")


def test_two_inputs_for_one_output_are_refused_before_anything_runs(run, frame, tmp_path):
    other = tmp_path / "other" / frame.name
    other.parent.mkdir()
    shutil.copy(frame, other)
    refuse(run("segment", frame, other, "--out", tmp_path / "out"), frame, other)
    assert not (tmp_path / "out").exists()


def test_an_output_onto_an_input_is_refused(run, frame, tmp_path):
    before = frame.read_bytes()
    refuse(run("segment", frame, "--out", tmp_path), frame, "overwritten")
    assert frame.read_bytes() == before


def test_an_output_onto_an_input_is_refused_behind_a_link(run, acdc, tmp_path):
    (tmp_path / "link").symlink_to(acdc)
    refuse(run("segment", acdc, "--out", tmp_path / "link"), "overwritten")


@pytest.mark.parametrize("arguments", [("--ed", 0), ("--es", 7), ("--ed", 2, "--es", 2), ("--rv-es", 7)])
def test_phases_that_are_not_there_are_refused(run, cine, tmp_path, arguments):
    refuse(run("segment", cine, *arguments, "--out", tmp_path / "out"), arguments[0], arguments[1])


def test_phases_of_an_acdc_patient_are_not_overruled(run, acdc, tmp_path):
    refuse(run("segment", acdc, "--ed", 1, "--out", tmp_path / "out"), "--ed", "Info.cfg")


def test_an_unknown_scheme_is_refused(run, frame, tmp_path):
    refuse(run("segment", frame, "--scheme", "other", "--out", tmp_path / "out"), "other", "mnms")


def test_an_unknown_device_is_refused(run, frame, tmp_path):
    refuse(run("segment", frame, "--device", "tpu", "--out", tmp_path / "out"), "--device tpu")
    assert not (tmp_path / "out").exists()


def test_an_output_folder_that_cannot_be_is_refused(run, frame, tmp_path):
    (tmp_path / "file").write_text("")
    refuse(run("segment", frame, "--out", tmp_path / "file" / "out"), tmp_path / "file" / "out", "cannot be written")


class TestModelFile:
    def segment(self, run, frame, tmp_path, model):
        result = run("segment", frame, "--model", model, "--out", tmp_path / "out")
        assert not (tmp_path / "out").exists()
        return result

    def test_a_missing_one_is_refused(self, run, frame, tmp_path):
        refuse(self.segment(run, frame, tmp_path, tmp_path / "no.safetensors"), "no.safetensors", "no such model file")

    @pytest.mark.parametrize("length", [0, 2**20, 2**40, 2**63])
    def test_a_header_length_that_lies_is_refused(self, run, frame, tmp_path, length):
        path = tmp_path / "bad.safetensors"
        path.write_bytes(struct.pack("<Q", length) + b'{"a": 1}')
        refuse(self.segment(run, frame, tmp_path, path), path)

    def test_a_truncated_one_is_refused(self, run, frame, tmp_path, model_file):
        path = tmp_path / "bad.safetensors"
        path.write_bytes(model_file.read_bytes()[:-100])
        refuse(self.segment(run, frame, tmp_path, path), path)

    def test_another_kind_of_safetensors_is_refused(self, run, frame, tmp_path):
        path = tmp_path / "other.safetensors"
        save_file({"a": torch.zeros(2)}, path)
        refuse(self.segment(run, frame, tmp_path, path), path, "not a model of this package")

    def test_the_checkpoint_of_a_run_is_refused(self, run, frame, tmp_path):
        path = tmp_path / "checkpoint.safetensors"
        save_file({"a": torch.zeros(2)}, path, metadata={"shortaxis-checkpoint": "{}"})
        refuse(self.segment(run, frame, tmp_path, path), path, "checkpoint")

    @pytest.mark.parametrize(
        "change",
        [
            {"members": 3},
            {"members": [3]},
            {"members": [{"network": "unet", "options": []}]},
            {"members": [{"network": "other"}] * 2},
            {"members": [{"network": "unet", "options": {"widths": [10**6, 10**6]}}] * 2},
            {"members": [{"network": "unet", "options": {"widths": [256] * 4000}}] * 2},
            {"members": [{"network": "unet", "options": {"widths": [4, 8], "classes": 10**9}}] * 2},
            {"members": [{"network": "unet", "options": {"widths": [4, 8], "patch": 10**6}}] * 2},
            {"members": [{"network": "unet", "options": {"widths": "wide"}}] * 2},
            {"members": [{"network": "unet", "options": {"widths": [4, 16]}}] * 2},
            {"members": [{"network": "unet", "options": {"widths": [4, 8]}}] * 3},
            {"members": [{"network": "unet", "options": {"widths": [4, 8]}}] * 100_000},
            {"members": []},
            {"pooling": []},
            {"pooling": {"rule": ["uncertainty"]}},
            {"pooling": {"rule": "uncertainty", "temperature": "hot"}},
            {"pooling": {"rule": "fixed", "weights": [1.0]}},
            {"grid": {"kind": "physical", "size": 10**9}},
            {"grid": {"kind": "physical", "size": "large"}},
            {"grid": {"kind": "physical", "spacing_mm": -1, "size": 64}},
            {"grid": {"kind": "physical", "size": 63}},
            {"grid": 5},
            {"format": 99},
            {"format": "one"},
            {"name": 5},
            {"card": "none"},
        ],
        ids=lambda change: str(change)[:70],
    )
    def test_a_hostile_description_is_refused(self, run, frame, tmp_path, model_file, change):
        path = tmp_path / "hostile.safetensors"
        content = model_file.read_bytes()
        length = struct.unpack("<Q", content[:8])[0]
        header = json.loads(content[8 : 8 + length])
        header["__metadata__"]["shortaxis"] = json.dumps(json.loads(header["__metadata__"]["shortaxis"]) | change)
        text = json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])
        refuse(self.segment(run, frame, tmp_path, path), path)


class TestEvaluate:
    @pytest.fixture
    def prediction(self, acdc, tmp_path):
        folder = tmp_path / "predicted"
        for path in acdc.rglob("*_gt.nii.gz"):
            target = folder / path.parent.name / path.name.replace("_gt", "")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
        return folder

    def test_labels_of_another_shape_are_refused(self, run, acdc, prediction):
        path = prediction / "patient101" / "patient101_frame01.nii.gz"
        image(path, np.zeros((10, 10, 3), np.uint8))
        refuse(run("evaluate", prediction, acdc), path, "shape")

    def test_labels_out_of_the_scheme_are_refused(self, run, acdc, prediction):
        path = prediction / "patient101" / "patient101_frame01.nii.gz"
        stored = nib.load(path)
        nib.save(nib.Nifti1Image(np.asarray(stored.dataobj) + np.uint8(3), None, stored.header), path)
        refuse(run("evaluate", prediction, acdc), path, "scheme")

    def test_a_missing_folder_is_refused(self, run, acdc, tmp_path):
        refuse(run("evaluate", tmp_path / "absent", acdc), "absent")

    def test_an_unknown_protocol_is_refused(self, run, acdc, prediction):
        refuse(run("evaluate", prediction, acdc, "--protocol", "best"), "best", "clinical")

    def test_an_unknown_patient_to_exclude_is_refused(self, run, acdc, prediction):
        refuse(run("evaluate", prediction, acdc, "--exclude", "patient999"), "patient999")

    def test_missing_predictions_are_refused_unless_allowed(self, run, acdc, prediction):
        shutil.rmtree(prediction / "patient101")
        refuse(run("evaluate", prediction, acdc), "patient101_frame01")
        result = run("evaluate", prediction, acdc, "--allow-missing")
        assert result.exit_code == 0
        assert "2 annotated frames" in result.stderr
