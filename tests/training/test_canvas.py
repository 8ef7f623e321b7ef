from __future__ import annotations

import msgspec
import numpy as np
import pytest
import torch

from shortaxis import make_phantom
from shortaxis.datasets.dataset import Dataset, FrameRef
from shortaxis.labels import UNKNOWN, Structure
from shortaxis.preprocessing import AlignedGrid, HeartPose, normalise, pose_of_labels
from shortaxis.study import Frame
from shortaxis.training.augmentation import augment
from shortaxis.training.canvas import pose_for_training
from shortaxis.training.recipe import Augmentation
from shortaxis.training.resident import load_resident

CPU = torch.device("cpu")
GRID = AlignedGrid(2.0, 48, 64)
NOTHING = Augmentation(probability=0.0)


def _frame(spacing=(1.9, 2.3), annotated=frozenset(Structure)) -> Frame:
    made = make_phantom(5, n_slices=4, spacing=(14.0, *spacing), phases=("ED",))
    return Frame("f", "p", "ED", None, made.study.pixels[0], made.labels[0], made.study.spacing, annotated)


def _resident(frame: Frame, **options):
    return load_resident(Dataset("made", (FrameRef(frame.name, "p", "ED", None, lambda: frame),)), GRID, CPU, **options)


def _shown(data, options=NOTHING, seed=0):
    slices = torch.arange(len(data.images))
    frames = torch.zeros(1, dtype=torch.long)
    return augment(
        data.images[slices],
        data.labels[slices],
        torch.zeros(len(slices), dtype=torch.long),
        data.centres[frames],
        data.pixel_mm[frames],
        options,
        torch.Generator().manual_seed(seed),
        data.canvas.of(frames),
    )


@pytest.mark.parametrize("spacing", [(1.9, 2.3), (2.6, 2.0)])
def test_training_shows_the_networks_what_inference_shows_them(spacing):
    frame = _frame(spacing)
    image, labels = _shown(_resident(frame))
    grid = GRID.at(pose_of_labels(frame.labels, spacing))
    seen = normalise(grid.sample(frame.image, spacing))
    assert image.shape == (4, 1, 48, 48)
    # float16 storage, and a smoothing that is not quite the same where the grid is coarser.
    assert np.abs(image[:, 0].numpy() - seen).mean() < 0.02
    truth = np.stack([grid.sample(frame.labels == structure, spacing) for structure in Structure]).argmax(axis=0)
    assert (labels.numpy() == truth).mean() > 0.995


def test_every_heart_is_shown_in_the_standard_direction():
    frame = _frame()
    _, labels = _shown(_resident(frame))
    pose = pose_of_labels(np.where(labels.numpy() == UNKNOWN, 0, labels.numpy()).astype(np.uint8), (2.0, 2.0))
    assert pose.direction_deg == pytest.approx(195, abs=2)
    assert np.hypot(*pose.centre_mm) < 2


def test_shown_upright_the_heart_keeps_its_direction():
    frame = _frame()
    _, labels = _shown(_resident(frame), msgspec.structs.replace(NOTHING, upright=1.0))
    shown = pose_of_labels(labels.numpy().astype(np.uint8) * (labels.numpy() != UNKNOWN), (2.0, 2.0))
    assert shown.direction_deg == pytest.approx(pose_of_labels(frame.labels, frame.spacing[1:]).direction_deg, abs=2)


def test_a_mirrored_heart_keeps_the_direction_from_lv_to_rv_and_its_size():
    frame = _frame()
    data = _resident(frame)
    (_, plain), (_, mirrored) = _shown(data), _shown(data, msgspec.structs.replace(NOTHING, mirror=1.0))
    known = [np.where(labels.numpy() == UNKNOWN, 0, labels.numpy()).astype(np.uint8) for labels in (plain, mirrored)]
    assert pose_of_labels(known[1], (2.0, 2.0)).direction_deg == pytest.approx(195, abs=2)
    assert (known[1] > 0).sum() == pytest.approx((known[0] > 0).sum(), rel=0.03)
    assert (known[0] != known[1]).mean() > 0.005


def test_beyond_a_smaller_field_of_view_nothing_is_known():
    data = _resident(_frame())
    options = msgspec.structs.replace(NOTHING, probability=1.0, view_mm=20.0)
    unknown = [(_shown(data, options, seed)[1] == UNKNOWN).float().mean() for seed in range(12)]
    assert min(unknown) < 0.02
    assert max(unknown) > 0.2


def test_the_pose_of_a_frame_without_rv_is_asked_for():
    frame = _frame(annotated=frozenset({Structure.BACKGROUND, Structure.LV}))
    pose = HeartPose((3.0, -2.0), 100.0)
    data = _resident(frame, find_pose=lambda _: pose)
    assert data.annotated.tolist() == [[True, False, False, True]]
    turn = torch.linalg.inv(data.canvas.upright[0]) @ data.canvas.aligned[0]
    # (right, down): 95 degrees clockwise.
    cos, sin = np.cos(np.deg2rad(-95)), np.sin(np.deg2rad(-95))
    assert torch.allclose(turn, torch.tensor([[cos, sin], [-sin, cos]], dtype=torch.float32), atol=1e-5)


def test_a_frame_with_the_lv_alone_is_centred_on_it():
    labels = np.zeros((1, 9, 9), np.uint8)
    labels[0, 2, 7] = Structure.LV
    frame = Frame("f", "p", None, None, np.random.default_rng(0).random((1, 9, 9)), labels, (8.0, 1.0, 2.0))
    assert pose_for_training(frame) == HeartPose((-2.0, 6.0), 195.0)
