from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shortaxis.datasets.dataset import Dataset, FrameRef
from shortaxis.ensemble import StreamingEnsemble, build_pooling
from shortaxis.ensemble.model_file import ModelSpec, file_sha256, save_model
from shortaxis.errors import InputError
from shortaxis.inference import Model
from shortaxis.inference.predictor import FramePrediction, OnGrid
from shortaxis.labels import Structure
from shortaxis.metrics.protocols import INDICES
from shortaxis.quality import calibrating, trust_fitting
from shortaxis.quality import forest as forest_module
from shortaxis.quality.calibrating import calibrate, calibrate_files
from shortaxis.quality.calibration import calibration_path, load_calibration
from shortaxis.quality.shifts import Shift
from shortaxis.study import Frame

SIZE = 32
SPEC = ModelSpec(
    "echo",
    [{"network": "unet", "options": {"widths": [2]}}],
    {"rule": "fixed"},
    {"kind": "physical", "spacing_mm": 2.0, "size": SIZE},
)


class Echo(Model):
    """Answers with the truth, which the image carries; some slices are moved aside, and unsure of themselves.

    Attributes:
        asked: Number of frames that it was asked for.
    """

    def __init__(self, seed: int, trained_on: tuple[str, ...] = ()) -> None:
        spec = replace(SPEC, card={"train_patients": list(trained_on)})
        super().__init__(StreamingEnsemble(spec.build().members, build_pooling("fixed", outer_softmax=False)), spec)
        self.rng = np.random.default_rng(seed)
        self.asked = 0

    def segment_frame(self, image, spacing, *, clean=True, grid=None):
        self.asked += 1
        choice = np.rint(image * (3 / image.max())).astype(int)
        members = np.full((2, 4, *choice.shape), 0.01, np.float32)
        for index, piece in enumerate(choice):
            poor = self.rng.random() < 0.3
            for member in members:
                seen = np.roll(piece, int(self.rng.integers(4, 9)) if poor else 0, axis=1)
                np.put_along_axis(member[:, index], seen[None], 0.6 if poor else 0.97, axis=0)
        members /= members.sum(axis=1, keepdims=True)
        pooled = members.mean(axis=0)
        return FramePrediction(pooled.argmax(axis=0).astype(np.uint8), pooled, None, np.ones((2, SIZE, SIZE)), OnGrid(pooled, members))


def heart_labels(radius: float, depth: int = 6) -> np.ndarray:
    """A round heart that is the same in every slice."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    distance = np.hypot(rows - 16, columns - 14)
    labels = np.zeros((depth, SIZE, SIZE), np.uint8)
    labels[:, distance < radius + 3] = Structure.MYO
    labels[:, distance < radius] = Structure.LV
    labels[:, 12:20, 26:30] = Structure.RV
    return labels


def frames_of(patient: str, number: int, phases: tuple[str, ...] = ("ED", "ES")) -> list[Frame]:
    """ED and ES of one patient; images of the same number are identical."""
    frames = []
    for phase, radius in (("ED", 8), ("ES", 6)):
        if phase in phases:
            labels = heart_labels(radius)
            image = labels.astype(np.float32)
            image[:, :, :3] += 0.02 * number  # too little to be taken for a label
            frames.append(Frame(f"{patient}_{phase}", patient, phase, None, image, labels, (8.0, 2.0, 2.0)))
    return frames


def dataset_of(*frames: Frame) -> Dataset:
    """A data set of frames in memory."""
    return Dataset("made", tuple(FrameRef(f.name, f.patient, f.phase, None, lambda f=f: f, annotated=f.annotated) for f in frames))


def patients(n: int) -> list[Frame]:
    """ED and ES of patients p0, p1, ….."""
    return [frame for index in range(n) for frame in frames_of(f"p{index}", index)]


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """Few trees and folds, and one mild shift: a turned picture, and a blank slice at either end."""
    monkeypatch.setattr(forest_module, "TREES", 10)
    monkeypatch.setattr(trust_fitting, "MOST_FOLDS", 4)
    monkeypatch.setattr(calibrating, "SHIFTS", 1)
    shift(monkeypatch)


def shift(monkeypatch, **changes):
    monkeypatch.setattr(calibrating, "draw_shift", lambda _patient, number: Shift(turns=number, stack="long", base=1, apex=1, **changes))


LEAST = 16


@pytest.fixture(scope="module")
def made():
    """A calibration of sixteen patients that the networks have not seen."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forest_module, "TREES", 10)
        patch.setattr(trust_fitting, "MOST_FOLDS", 4)
        patch.setattr(calibrating, "SHIFTS", 1)
        shift(patch)
        return calibrate([Echo(1)], dataset_of(*patients(LEAST)), "abc")


def test_verdicts_intervals_and_known_scans_are_learnt(made):
    facts = made.trust.provenance
    assert facts["end_slices"]["as they are"]["auroc"] > 0.9
    assert set(made.intervals.inside) == set(INDICES)
    assert all(ends.low <= ends.high and ends.patients == LEAST for ends in made.intervals.inside.values())
    assert facts["intervals"]["as they are"]["studies"] == LEAST
    assert facts["patients"] == sorted(f"p{k}" for k in range(LEAST))
    assert facts["outside"]["as they are"]["scans"] == facts["outside"]["shifted"]["scans"] == LEAST


def test_slices_that_a_shift_added_far_from_the_heart_are_not_judged(made):
    # Six slices of the heart have four end slices, in two frames. A blank slice beyond either end makes six.
    slices = {source: figures["slices"] for source, figures in made.trust.provenance["end_slices"].items()}
    assert slices == {"as they are": LEAST * 2 * 4, "shifted": LEAST * 2 * 6}


def test_a_calibration_is_saved_and_read_back(made, tmp_path):
    made.save(tmp_path / "c.json")
    assert load_calibration(tmp_path / "c.json") == made


def test_scans_of_another_look_teach_the_intervals_of_unknown_scans(made, monkeypatch):
    shift(monkeypatch, gamma=3.0, noise=0.0, field=0.3)
    found = calibrate([Echo(1)], dataset_of(*patients(LEAST)), "abc")
    facts = found.trust.provenance
    assert facts["outside"]["shifted"]["outside"] == LEAST
    assert facts["outside"]["as they are"]["outside"] <= 2
    assert set(found.intervals.outside) == set(INDICES)
    for name, ends in found.intervals.outside.items():
        assert ends.low <= found.intervals.inside[name].low
        assert ends.high >= found.intervals.inside[name].high


def test_patients_with_identical_images_count_once():
    echo = Echo(1)
    twins = [replace(frame, name=f"q_{frame.phase}", patient="q") for frame in frames_of("p0", 0)]
    facts = calibrate([echo], dataset_of(*patients(LEAST), *twins), "abc").trust.provenance
    assert facts["patients"] == sorted(f"p{k}" for k in range(LEAST))
    assert echo.asked == LEAST * 2 * 2


def test_a_twin_does_not_fill_up_too_few_patients():
    twins = [replace(frame, name=f"q_{frame.phase}", patient="q") for frame in frames_of("p0", 0)]
    with pytest.raises(InputError, match=f"{LEAST - 1} .*too few"):
        calibrate([Echo(1)], dataset_of(*patients(LEAST - 1), *twins), "abc")


def test_each_patient_is_judged_by_the_first_model_that_has_not_seen_it():
    first, second = Echo(1, ("p0", "p1", "p2")), Echo(2, ("p3", "p4"))
    told = []
    facts = calibrate([first, second], dataset_of(*patients(LEAST)), "abc", on_patient=told.append).trust.provenance
    # Two frames, as they are and shifted.
    assert (first.asked, second.asked) == (4 * (LEAST - 3), 4 * 3)
    assert len(facts["patients"]) == LEAST
    assert told == [f"p{k}" for k in range(LEAST)]


def test_a_patient_whom_all_models_have_seen_is_left_out_and_so_is_its_twin():
    twins = [replace(frame, name=f"q_{frame.phase}", patient="q") for frame in frames_of("p1", 1)]
    models = [Echo(1, ("p0", "q")), Echo(2, ("p0", "q", "p2"))]
    facts = calibrate(models, dataset_of(*patients(LEAST + 2), *twins), "abc").trust.provenance
    assert facts["patients"] == sorted(f"p{k}" for k in range(2, LEAST + 2))
    assert models[1].asked == 0


def test_nothing_but_patients_of_the_training_is_refused():
    with pytest.raises(InputError, match=r"p0.*other patients"):
        calibrate([Echo(1, ("p0", "p1"))], dataset_of(*patients(2)), "abc")


def only_lv(frame: Frame) -> Frame:
    """The frame as of a data set in which the LV cavity alone was contoured."""
    labels = np.where(frame.labels == Structure.LV, frame.labels, 0).astype(np.uint8)
    return replace(frame, labels=labels, annotated=frozenset({Structure.BACKGROUND, Structure.LV}))


def test_partly_annotated_patients_teach_the_intervals_of_the_lv_alone(monkeypatch):
    monkeypatch.setattr(calibrating, "SHIFTS", 0)
    # Brighter blood: scans that look otherwise than those at home, and still carry their labels.
    partly = [
        replace(only_lv(frame), image=np.where(frame.labels == 2, 1.6, frame.image).astype(np.float32))
        for k in range(LEAST, 2 * LEAST)
        for frame in frames_of(f"s{k:02}", k)
    ]
    found = calibrate([Echo(1)], dataset_of(*patients(LEAST), *partly), "abc")
    facts = found.trust.provenance
    assert facts["partly_annotated_patients"] == [f"s{k}" for k in range(LEAST, 2 * LEAST)]
    assert facts["patients"] == sorted(f"p{k}" for k in range(LEAST))
    assert facts["outside"]["partly annotated"] == {"scans": LEAST, "outside": LEAST}
    assert set(found.intervals.outside) == {"lv_edv", "lv_esv", "lv_ef"}
    assert {name: ends.patients for name, ends in found.intervals.inside.items()} == dict.fromkeys(INDICES, LEAST)
    # Of their end slices only poor ones teach: that the LV is right does not say that the others are.
    judged = facts["end_slices"]["partly annotated"]
    assert facts["taught_by_slices"] == LEAST * 2 * 6 + judged["poor"]
    assert 0 < judged["poor"] < judged["slices"]


def test_a_lone_frame_teaches_verdicts_and_no_intervals():
    lone = [frames_of(f"e{k}", 20 + k, phases=("ED",))[0] for k in range(3)]
    facts = calibrate([Echo(1)], dataset_of(*patients(LEAST), *lone), "abc").trust.provenance
    assert facts["end_slices"]["as they are"]["slices"] == (LEAST * 2 + 3) * 4
    assert facts["intervals"]["as they are"]["studies"] == LEAST
    with pytest.raises(InputError, match="too few for intervals"):
        calibrate([Echo(1)], dataset_of(*patients(LEAST - 1), *lone), "abc")


def saved(path, **changes):
    echo = Echo(1)
    save_model(path, echo.ensemble, replace(echo.spec, **changes))
    return path


def test_a_calibration_belongs_to_the_model_or_to_the_one_it_is_made_for(tmp_path, monkeypatch):
    mine, other = saved(tmp_path / "m.safetensors"), saved(tmp_path / "n.safetensors", card={"train_patients": ["p0"]})
    monkeypatch.setattr(calibrating, "load_model", lambda *_: Echo(1))
    given = []
    monkeypatch.setattr(calibrating, "calibrate", lambda models, _dataset, sha256, **_: given.append((len(models), sha256)))
    data = dataset_of(*patients(1))
    calibrate_files([mine], data, "cpu")
    calibrate_files([mine], data, "cpu", target=other)
    calibrate_files([mine, mine], data, "cpu", target=other)
    assert given == [(1, file_sha256(mine)), (1, file_sha256(other)), (2, file_sha256(other))]
    assert calibration_path(mine) == tmp_path / "m.calibration.json"


def test_several_models_need_to_be_told_for_which_it_is(tmp_path):
    mine = saved(tmp_path / "m.safetensors")
    with pytest.raises(InputError, match="--for"):
        calibrate_files([mine, mine], dataset_of(*patients(1)), "cpu")


@pytest.mark.parametrize(
    ("change", "what"),
    [({"pooling": {"rule": "uncertainty"}}, "pooling"), ({"grid": {"kind": "physical", "spacing_mm": 3.0, "size": 32}}, "grid")],
)
def test_a_calibration_is_not_given_to_a_model_of_another_architecture(tmp_path, change, what):
    mine, other = saved(tmp_path / "m.safetensors"), saved(tmp_path / "n.safetensors", **change)
    with pytest.raises(InputError, match=rf"n\.safetensors.*{what}"):
        calibrate_files([mine], dataset_of(*patients(1)), "cpu", target=other)
    with pytest.raises(InputError, match=what):
        calibrate_files([mine, other], dataset_of(*patients(1)), "cpu", target=mine)
