"""A network sees a frame at inference as it saw it in training: one order of sampling and normalising, one clipping, one grid."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from shortaxis.datasets.dataset import Dataset, FrameRef
from shortaxis.ensemble import Fixed, StreamingEnsemble
from shortaxis.ensemble.model_file import ModelSpec
from shortaxis.inference import Model
from shortaxis.networks import UNet
from shortaxis.preprocessing import build_grid
from shortaxis.study import Frame, Study
from shortaxis.training.loop import Run
from shortaxis.training.policies.weights_search import labels_of_mixtures
from shortaxis.training.processes import Processes
from shortaxis.training.recipe import recipe_from_dict
from shortaxis.training.resident import frame_on_grid, load_resident

GRIDS = ({"kind": "physical", "spacing_mm": 2.0, "size": 32}, {"kind": "stretched", "size": 32})
RECIPE = {
    "name": "plain",
    "title": "Plain",
    "members": [{"network": "unet", "count": 1, "options": {"widths": [2, 4]}}],
    "pooling": {"rule": "fixed", "outer_softmax": False},
    "loss": {"name": "equation-4"},
    "optimizer": {"name": "adamw", "learning_rate": 0.01},
    "schedule": {"steps": 1},
    "batch": {"frames": 1, "slices": 4},
    "augmentation": {},
    "averaging": {"decay": 0.0},
}


@pytest.fixture
def frame() -> Frame:
    """Skewed grey values beside a bright border that one grid crops and the other keeps; pixels of another shape than those of a grid."""
    generator = np.random.default_rng(4)
    image = generator.gamma(2.0, 100.0, (4, 60, 50)).astype(np.float32)
    image[:, :3] = 5000.0
    labels = np.zeros(image.shape, np.uint8)
    labels[:, 20:40, 20:30] = 3
    return Frame("f", "p", "ED", None, image, labels, (8.0, 1.2, 1.7))


def model(grid: dict, seen: list[np.ndarray]) -> Model:
    """One small network; what it is given is put into `seen`, (D, G, G)."""
    ensemble = StreamingEnsemble([UNet((2, 4))], Fixed(outer_softmax=False))
    ensemble.members[0].register_forward_pre_hook(lambda _network, given: seen.append(given[0][:, 0].numpy().copy()))
    return Model(ensemble, ModelSpec("test", [], {}, grid))


@pytest.mark.parametrize("grid", GRIDS, ids=lambda grid: grid["kind"])
def test_every_way_to_the_networks_gives_them_the_same_pixels(frame, grid):
    trained_on, _ = frame_on_grid(frame, build_grid(**grid))
    seen: list[np.ndarray] = []
    predictor = model(grid, seen)
    predictor.segment(Study(frame.image[None], frame.spacing))
    list(labels_of_mixtures(predictor, frame, [(1.0,)]))
    assert len(seen) == 2
    for given in seen:
        np.testing.assert_array_equal(given, trained_on)


@pytest.mark.parametrize("grid", GRIDS, ids=lambda grid: grid["kind"])
def test_a_training_step_without_augmentation_sees_what_inference_sees(frame, grid):
    seen: list[np.ndarray] = []
    model(grid, seen).segment_frame(frame.image, frame.spacing[1:])
    stepped = model(grid, seen).ensemble
    data = load_resident(Dataset("one", (FrameRef("f", "p", "ED", None, lambda: frame),)), build_grid(**grid), torch.device("cpu"))
    Run(recipe_from_dict(RECIPE | {"grid": grid}), stepped, data, None, Processes(0, 1, torch.device("cpu"))).train()
    inferred, trained = seen
    np.testing.assert_allclose(trained, inferred, rtol=2e-3, atol=2e-3)  # the training set lies on the device in half precision
