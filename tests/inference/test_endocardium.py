"""The endocardium at the compact myocardium: what it changes, and what it leaves."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from shortaxis.endocardium import Endocardium
from shortaxis.ensemble import ModelSpec, StreamingEnsemble, Uncertainty
from shortaxis.ensemble.model_file import file_sha256, save_model
from shortaxis.errors import InputError
from shortaxis.inference import Model, load_model
from shortaxis.inference.endocardium import DEFAULT_SHIFT, is_shifted_cavity, move_endocardium
from shortaxis.labels import Structure
from shortaxis.study import Study

BG, RV, MYO, LV = Structure
SIZE, DEPTH, PHASES = 48, 5, 12


def moved(probabilities: np.ndarray, shift: float) -> np.ndarray:
    return move_endocardium(probabilities.argmax(axis=0).astype(np.uint8), is_shifted_cavity(probabilities, shift))


@st.composite
def probabilities(draw) -> np.ndarray:
    """Random probabilities (4, 3, 12, 12), smooth in the plane, in whose last slice there is no LV."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    logits = rng.normal(0, 3, (4, 3, 12, 12))
    logits = logits + np.roll(logits, 1, axis=2) + np.roll(logits, 1, axis=3)
    logits[LV, 2] = logits[MYO, 2] - 0.1
    shares = np.exp(logits)
    return (shares / shares.sum(axis=0)).astype(np.float32)


@given(probabilities())
@settings(max_examples=50)
def test_no_shift_is_the_identity(shares) -> None:
    assert np.array_equal(moved(shares, 0.0), shares.argmax(axis=0))


@given(probabilities(), st.floats(0, 5), st.floats(0, 5))
@settings(max_examples=50)
def test_the_cavity_grows_with_the_shift_and_only_into_the_myocardium(shares, one, other) -> None:
    before = shares.argmax(axis=0)
    less, more = (moved(shares, shift) for shift in sorted((one, other)))
    assert ((less == LV) <= (more == LV)).all()
    for after in (less, more):
        assert np.array_equal(after >= MYO, before >= MYO)
        assert np.array_equal(after == RV, before == RV)
        assert ((before == LV) <= (after == LV)).all()
        assert np.array_equal(after[2], before[2])  # a slice without a cavity keeps none


def test_a_wall_by_hand() -> None:
    """From the cavity outwards log p_LV - log p_MYO is 2, -1, -1.9, -2.1, -9, and then there is background."""
    odds = np.array([2.0, -1.0, -1.9, -2.1, -9.0])
    row = np.full((4, 7), 1e-6)
    row[BG, [0, 6]] = 1
    row[MYO, 1:6] = 1 / (1 + np.exp(odds))
    row[LV, 1:6] = 1 / (1 + np.exp(-odds))
    plane = np.repeat(row[:, None, None], 3, axis=2).astype(np.float32)  # three equal rows: the outer ones are the edge of the picture
    assert moved(plane, 2.0)[0, 1].tolist() == [BG, LV, LV, LV, MYO, MYO, BG]
    assert moved(plane, 2.2)[0, 1].tolist() == [BG, LV, LV, LV, LV, MYO, BG]
    assert moved(plane, 10.0)[0, 1].tolist() == [BG, LV, LV, LV, LV, MYO, BG]  # the rim stays


def test_myocardium_that_no_path_joins_to_the_cavity_stays() -> None:
    shares = np.zeros((4, 1, 9, 15), np.float32)
    shares[MYO] = 1
    shares[:, 0, 4, 4] = (0, 0, 0, 1)
    shares[:, 0, 4, 5] = shares[:, 0, 4, 9] = (0, 0, 0.6, 0.4)
    after = moved(shares, 1.0)
    assert np.argwhere(after[0] == LV).tolist() == [[4, 4], [4, 5]]


class Levels(nn.Module):
    """Tells the classes apart by the nearest of four grey values, which normalisation has moved."""

    def __init__(self, levels: list[float]) -> None:
        super().__init__()
        self.levels = levels

    def forward(self, slices):
        return -20 * (slices - slices.new_tensor(self.levels)[:, None, None]) ** 2


def beating() -> tuple[Model, Study]:
    """A blurred beating heart in whose phase 1 the cavity of slice 2 is not seen."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    pixels = np.zeros((PHASES, DEPTH, SIZE, SIZE), np.float32)
    for phase, frame in enumerate(pixels):
        radius = 6 + 3 * np.cos(2 * np.pi * phase / PHASES)
        distance = np.hypot(rows - 24, columns - 30)
        frame[:, np.hypot(rows - 24, columns - 12) < 6] = 100
        frame[:, distance < 14] = 200
        frame[:] += 100 * np.clip((radius + 1.5 - distance) / 3, 0, 1)
    pixels += np.random.default_rng(0).normal(0, 1, pixels.shape).astype(np.float32)
    levels = [float((100 * k - pixels[3].mean()) / pixels[3].std()) for k in range(4)]
    pixels[1, 2] = np.minimum(pixels[1, 2], 200)
    ensemble = StreamingEnsemble([Levels(levels)], Uncertainty(outer_softmax=False))
    return Model(ensemble, ModelSpec("test", [], {}, {"kind": "stretched", "size": SIZE})), Study(pixels, (8.0, 1.5, 1.5))


def test_a_cine_keeps_its_right_ventricle_its_epicardium_and_its_maps() -> None:
    model, cine = beating()
    seen: dict[str, list[np.ndarray]] = {"trabeculae": [], "compact": []}
    plain, compact = (
        model.segment(cine, keep_probabilities=True, endocardium=name, on_phase=lambda _, one, name=name: seen[name].append(one.labels))
        for name in seen
    )
    assert plain.endocardium is Endocardium.TRABECULAE
    assert compact.endocardium is Endocardium.COMPACT
    assert plain.repairs == compact.repairs != ()
    assert np.array_equal(plain.labels == RV, compact.labels == RV)
    assert np.array_equal(plain.labels >= MYO, compact.labels >= MYO)
    assert np.array_equal(plain.probabilities, compact.probabilities)
    assert np.array_equal(seen["trabeculae"], seen["compact"])
    grown = (compact.labels == LV).sum(axis=(2, 3)) - (plain.labels == LV).sum(axis=(2, 3))
    assert (grown >= 0).all()
    assert grown[1, 2] > 0.5 * min(grown[0, 2], grown[2, 2]) > 2  # where the neighbours in time decided, they move the border too
    model.endocardial_shift = 0.0
    assert np.array_equal(model.segment(cine, endocardium="compact").labels, plain.labels)


def test_an_unknown_border_and_a_shift_that_is_none_are_refused() -> None:
    model, cine = beating()
    with pytest.raises(InputError, match="inner"):
        model.segment(cine, endocardium="inner")
    for shift in (-0.1, 10.5, float("nan"), True, "2"):
        with pytest.raises(InputError, match="shift"):
            model.endocardial_shift = shift


def test_a_model_has_the_shift_of_the_calibration_beside_it(tmp_path) -> None:
    spec = ModelSpec("tiny", [{"network": "unet", "options": {"widths": [4, 8]}}], {"rule": "fixed"}, {"kind": "physical", "size": 64})
    path, beside = tmp_path / "m.safetensors", tmp_path / "m.calibration.json"
    save_model(path, spec.build(), spec)
    assert load_model(path).endocardial_shift == DEFAULT_SHIFT
    own = {"model_sha256": file_sha256(path), "endocardial_shift": 1.75}
    beside.write_text(json.dumps({"model_sha256": own["model_sha256"]}))
    assert load_model(path).endocardial_shift == DEFAULT_SHIFT
    beside.write_text(json.dumps(own))
    assert load_model(path).endocardial_shift == 1.75
    for damaged in ("{", json.dumps(own | {"endocardial_shift": "far"}), json.dumps(own | {"model_sha256": "0" * 64})):
        beside.write_text(damaged)
        model = load_model(path)  # a file that is not asked for hinders nobody, least of all who makes it again
        with pytest.raises(InputError, match=r"m\.calibration\.json"):
            _ = model.endocardial_shift
