from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from shortaxis.datasets.dataset import Dataset, FrameRef
from shortaxis.datasets.watching import watched
from shortaxis.ensemble import StreamingEnsemble, build_pooling
from shortaxis.ensemble.model_file import ModelSpec, file_sha256, save_model
from shortaxis.errors import InputError
from shortaxis.inference import Model
from shortaxis.quality import calibration as calibration_module
from shortaxis.quality import forest as forest_module
from shortaxis.quality.calibration import calibrate, calibrate_file, calibration_path, load_calibration
from shortaxis.study import Frame


@pytest.fixture(autouse=True)
def small_forests(monkeypatch):
    monkeypatch.setattr(forest_module, "TREES", 10)


class _Echo(Model):
    """A model of the right shape that answers with a noisy copy of the truth, which the image carries."""

    def __init__(self, seed: int) -> None:
        spec = ModelSpec(
            "echo",
            [{"network": "unet", "options": {"widths": [2]}}],
            {"rule": "fixed"},
            {"kind": "physical", "spacing_mm": 2.0, "size": 32},
        )
        super().__init__(StreamingEnsemble(spec.build().members, build_pooling("fixed", outer_softmax=False)), spec)
        self.rng = np.random.default_rng(seed)

    def segment_frame(self, image, spacing, *, clean=True):
        found = super().segment_frame(image, spacing, clean=clean)
        choice = image.astype(np.uint8).copy()
        members = np.full((2, 4, *choice.shape), 0.01, np.float32)
        for index, piece in enumerate(choice):
            poor = self.rng.random() < 0.3
            for member in members:
                seen = np.roll(piece, int(self.rng.integers(4, 9)) if poor else 0, axis=1)
                np.put_along_axis(member[:, index], seen[None].astype(int), 0.6 if poor else 0.97, axis=0)
        members /= members.sum(axis=1, keepdims=True)
        pooled = members.mean(axis=0)
        return found._replace(labels=pooled.argmax(axis=0).astype(np.uint8), on_grid=type(found.on_grid)(pooled, members))


def _patients(n: int) -> Dataset:
    refs = []
    for index in range(n):
        for phase, radius in (("ED", 8), ("ES", 6)):
            rows, columns = np.mgrid[:32, :32]
            distance = np.hypot(rows - 16, columns - 14)
            labels = np.zeros((6, 32, 32), np.uint8)
            labels[:, distance < radius + 3] = 2
            labels[:, distance < radius] = 3
            labels[:, 12:20, 26:30] = 1
            # A trace of its own in each patient's image: equal images would count as one patient.
            image = labels.astype(np.float32)
            image[:, :, :3] += 0.06 * index
            frame = Frame(f"p{index}_{phase}", f"p{index}", phase, None, image, labels, (8.0, 2.0, 2.0))
            refs.append(FrameRef(frame.name, frame.patient, phase, None, lambda frame=frame: frame))
    return Dataset("made", tuple(refs))


def test_a_calibration_is_made_saved_and_read_back(tmp_path):
    calibration = calibrate(_Echo(1), _patients(12), "abc")
    assert calibration.trust.provenance["auroc_end_slices"] > 0.9
    assert set(calibration.half_widths) == set(calibration_module.INDICES)
    assert all(width >= 0 for width in calibration.half_widths.values())
    calibration.save(tmp_path / "c.json")
    assert load_calibration(tmp_path / "c.json") == calibration


def test_the_data_set_is_read_once(tmp_path):
    read = []
    calibrate(_Echo(1), watched(_patients(12), read.append), "abc")
    assert len(read) == len(set(read)) == 24


def test_patients_with_identical_images_count_as_one_in_the_intervals():
    patients = _patients(10)
    twins = [replace(patients.refs[k].load(), name=f"q_{k}", patient="q") for k in (0, 1)]
    refs = tuple(FrameRef(f.name, f.patient, f.phase, None, lambda f=f: f) for f in twins)
    # Eight patients and a twin of the first: nine names, which would be enough for 90 %, but eight hearts.
    nine = Dataset("made", patients.refs[:16] + refs)
    with pytest.raises(InputError, match="8 held-out patients"):
        calibrate(_Echo(1), nine, "abc")


def test_a_data_set_of_nothing_but_patients_of_the_training_is_refused(tmp_path):
    echo = _Echo(1)
    save_model(tmp_path / "m.safetensors", echo.ensemble, replace(echo.spec, card={"train_patients": [f"p{k}" for k in range(12)]}))
    with pytest.raises(InputError, match=r"m\.safetensors .*p0.*held-out"):
        calibrate_file(tmp_path / "m.safetensors", _patients(12), "cpu")


def test_patients_of_the_training_teach_signs_but_set_no_figure(tmp_path):
    echo = _Echo(1)
    echo.spec = replace(echo.spec, card={"train_patients": ["p0", "p1", "p2", "p3"]})
    facts = calibrate(echo, _patients(16), "abc").trust.provenance
    assert facts["patients"] == [f"p{k}" for k in range(4, 16)]
    assert facts["taught_by_patients"] == 16
    assert (facts["end_slices"], facts["taught_by_end_slices"]) == (12 * 2 * 4, 16 * 2 * 4)


def test_a_twin_of_a_patient_of_the_training_is_not_held_out():
    echo = _Echo(1)
    echo.spec = replace(echo.spec, card={"train_patients": ["q", "p15"]})
    patients = _patients(16)
    twins = [replace(patients.refs[k].load(), name=f"q_{k}", patient="q") for k in (0, 1)]
    refs = tuple(FrameRef(f.name, f.patient, f.phase, None, lambda f=f: f) for f in twins)
    facts = calibrate(echo, Dataset("made", patients.refs + refs), "abc").trust.provenance
    assert facts["patients"] == [f"p{k}" for k in range(1, 15)]
    assert facts["end_slices"] == 14 * 2 * 4


def test_the_share_of_trained_patients_within_the_intervals_is_told():
    echo = _Echo(1)
    assert set(calibrate(echo, _patients(12), "abc").trust.provenance["trained_patients_inside_interval"].values()) == {None}
    echo.spec = replace(echo.spec, card={"train_patients": ["p0", "p1", "p2", "p3"]})
    inside = calibrate(echo, _patients(16), "abc").trust.provenance["trained_patients_inside_interval"]
    assert set(inside) == set(calibration_module.INDICES)
    assert all(share in (0, 0.25, 0.5, 0.75, 1) for share in inside.values())
    assert calibration_module._share_inside([0, 0, 0, float("nan")], [1, 2, 3, 4], 2.0) == pytest.approx(2 / 3)


def test_a_list_of_the_file_stands_on_one_line(tmp_path):
    calibrate(_Echo(1), _patients(12), "abc").save(tmp_path / "c.json")
    assert len((tmp_path / "c.json").read_text().splitlines()) < 80


def test_a_file_is_named_by_its_hash(tmp_path, monkeypatch):
    echo = _Echo(1)
    path = tmp_path / "m.safetensors"
    save_model(path, echo.ensemble, echo.spec)
    monkeypatch.setattr(calibration_module, "load_model", lambda *_: echo)
    assert calibrate_file(path, _patients(12), "cpu").model_sha256 == file_sha256(path)
    assert calibration_path(path) == tmp_path / "m.calibration.json"


def test_a_calibration_can_be_given_to_the_same_recipe_trained_on_all_patients(tmp_path, monkeypatch):
    echo = _Echo(1)
    mine, other = tmp_path / "m.safetensors", tmp_path / "n.safetensors"
    save_model(mine, echo.ensemble, replace(echo.spec, card={"recipe": {"name": "r"}, "train_patients": ["q1"]}))
    save_model(other, echo.ensemble, replace(echo.spec, card={"recipe": {"name": "r"}, "train_patients": ["p1", "q1"]}))
    monkeypatch.setattr(calibration_module, "load_model", lambda *_: echo)
    calibration = calibrate_file(mine, _patients(12), "cpu", sibling=other)
    assert calibration.model_sha256 == file_sha256(other)
    assert calibration.trust.provenance["learnt_from"] == file_sha256(mine)


def test_a_calibration_can_be_given_to_what_the_model_became_when_it_was_trained_further(tmp_path, monkeypatch):
    echo = _Echo(1)
    mine, other = tmp_path / "m.safetensors", tmp_path / "n.safetensors"
    save_model(mine, echo.ensemble, replace(echo.spec, card={"recipe": {"name": "r"}}))
    further = {"recipe": {"name": "s"}, "start_from": {"file": "m.safetensors", "sha256": file_sha256(mine)}}
    save_model(other, echo.ensemble, replace(echo.spec, card=further))
    monkeypatch.setattr(calibration_module, "load_model", lambda *_: echo)
    assert calibrate_file(mine, _patients(12), "cpu", sibling=other).model_sha256 == file_sha256(other)
    save_model(other, echo.ensemble, replace(echo.spec, card=further | {"start_from": {"file": "m.safetensors", "sha256": "0" * 64}}))
    with pytest.raises(InputError, match=r"not on from m\.safetensors"):
        calibrate_file(mine, _patients(12), "cpu", sibling=other)


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"pooling": {"rule": "uncertainty"}}, "differs in its pooling"), ({"card": {"recipe": {"name": "s"}}}, "another recipe")],
)
def test_a_calibration_is_not_given_to_a_model_made_otherwise(tmp_path, change, reason):
    echo = _Echo(1)
    mine, other = tmp_path / "m.safetensors", tmp_path / "n.safetensors"
    save_model(mine, echo.ensemble, echo.spec)
    save_model(other, echo.ensemble, replace(echo.spec, **change))
    with pytest.raises(InputError, match=reason):
        calibrate_file(mine, _patients(12), "cpu", sibling=other)


def test_too_few_patients_are_refused():
    with pytest.raises(InputError, match="too few"):
        calibrate(_Echo(1), _patients(4), "abc")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 2, "trust": 3}', '{"format": 2, "trust": {}}'])
def test_a_damaged_file_is_refused_by_name(tmp_path, content):
    (tmp_path / "c.json").write_text(content)
    with pytest.raises(InputError, match=r"c\.json: not a calibration"):
        load_calibration(tmp_path / "c.json")


def test_another_format_is_refused(tmp_path):
    calibrate(_Echo(1), _patients(12), "abc").save(tmp_path / "c.json")
    content = json.loads((tmp_path / "c.json").read_text()) | {"format": 99}
    (tmp_path / "c.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="another format"):
        load_calibration(tmp_path / "c.json")
