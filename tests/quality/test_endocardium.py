from __future__ import annotations

import numpy as np
import pytest

from shortaxis.datasets.dataset import Dataset, FrameRef
from shortaxis.errors import InputError
from shortaxis.inference.endocardium import is_shifted_cavity, move_endocardium
from shortaxis.inference.predictor import FramePrediction, OnGrid
from shortaxis.labels import UNKNOWN, Structure
from shortaxis.quality.endocardium import OutlinedFrame, learn_endocardial_shift, learn_shift
from shortaxis.study import Frame

BG, RV, MYO, LV = Structure


def round_heart(softness: float = 4.0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (4, 2, 64, 64) whose log-odds between LV and MYO fall linearly with the radius, and their labels."""
    rows, columns = np.mgrid[:64, :64]
    distance = np.hypot(rows - 32, columns - 30)
    inside = 1 / (1 + np.exp((distance - 12) / softness))
    shares = np.zeros((4, 2, 64, 64), np.float32)
    shares[:, :] = np.where(distance < 24, np.stack([0 * inside, 0 * inside, 1 - inside, inside]), np.eye(4)[0][:, None, None])[:, None]
    return shares, shares.argmax(axis=0).astype(np.uint8)


def outlined(shift: float) -> OutlinedFrame:
    shares, labels = round_heart()
    cavity = move_endocardium(labels, is_shifted_cavity(shares, shift))
    return OutlinedFrame(shares, labels, np.where(cavity == LV, LV, BG).astype(np.uint8))


def test_the_shift_that_drew_the_annotation_is_learnt():
    learnt = learn_shift([outlined(1.5), outlined(1.5)])
    assert learnt.shift == 1.5
    assert max(learnt.dsc) == 100
    assert learnt.dsc[learnt.shifts.index(1.5)] == 100
    assert learnt.frames == 2


def test_pixels_of_which_nothing_is_known_do_not_count():
    frame = outlined(1.5)
    far = frame.cavity.copy()
    far[move_endocardium(frame.labels, is_shifted_cavity(frame.probabilities, 2.5)) == LV] = UNKNOWN
    far[frame.cavity == LV] = LV
    assert learn_shift([frame._replace(cavity=far)]).dsc[8] == 100  # shift 2: what is too much there is not known


def test_without_a_cavity_or_with_one_beyond_reach_nothing_is_learnt():
    frame = outlined(1.0)
    with pytest.raises(InputError, match="no frame"):
        learn_shift([frame._replace(cavity=np.zeros_like(frame.cavity))])
    with pytest.raises(InputError, match="largest shift"):
        learn_shift([frame], shifts=(0.0, 0.25, 0.5))


class Seeing:
    """A model that says the same of every frame."""

    def segment_frame(self, image, spacing):
        shares, labels = round_heart()
        nothing = np.empty(0, np.float32)
        return FramePrediction(labels, shares, None, nothing, OnGrid(nothing, nothing))


def test_a_model_learns_from_frames_in_which_the_cavity_alone_is_annotated():
    truth = outlined(2.0).cavity

    def ref(name, annotated):
        frame = Frame(name, name, "ED", None, np.zeros((2, 64, 64), np.float32), truth, (8.0, 1.4, 1.4), annotated)
        return FrameRef(name, name, "ED", None, lambda: frame, annotated=annotated)

    dataset = Dataset("x", (ref("a", frozenset({BG, LV})), ref("b", frozenset({BG, RV}))))
    learnt = learn_endocardial_shift(Seeing(), dataset)
    assert (learnt.shift, learnt.frames) == (2.0, 1)
