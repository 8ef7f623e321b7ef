"""From a study to a segmentation. The networks here are thresholds on grey values, so that what has to come out is known."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn

from shortaxis.ensemble import Fixed, StreamingEnsemble, Uncertainty
from shortaxis.ensemble.model_file import ModelSpec, save_model
from shortaxis.errors import InputError
from shortaxis.inference import Model, load_model, released_model_path
from shortaxis.labels import FOREGROUND, Structure
from shortaxis.networks import UNet
from shortaxis.preprocessing import normalise
from shortaxis.study import Study

LEVELS = (-1.0, 0.0, 1.0, 2.0)


class Thresholds(nn.Module):
    """Tells the classes apart by the nearest of four grey values."""

    def __init__(self, sharpness: float = 4.0) -> None:
        super().__init__()
        self.sharpness = sharpness

    def forward(self, slices: torch.Tensor) -> torch.Tensor:
        levels = slices.new_tensor(LEVELS)[:, None, None]
        return -self.sharpness * (slices - levels) ** 2


def model(*members: nn.Module, grid: dict | None = None, pooling=None) -> Model:
    ensemble = StreamingEnsemble(members or [Thresholds()], pooling or Uncertainty(outer_softmax=False))
    spec = ModelSpec("test", [], {}, grid or {"kind": "physical", "spacing_mm": 1.0, "size": 64})
    return Model(ensemble, spec)


def heart(shape: tuple[int, int] = (40, 50), spacing: tuple[float, float] = (1.4, 1.2)) -> tuple[np.ndarray, np.ndarray]:
    """Labels and picture of a round heart off the middle, each class as many millimetres away from the next; one frame of three slices."""
    y, x = ((np.arange(n) - (n - 1) / 2) * mm for n, mm in zip(shape, spacing, strict=True))
    distance = np.hypot(y[:, None] - 3, x + 4)
    labels = np.zeros((3, *shape), np.uint8)
    for structure, radius in ((Structure.RV, 21), (Structure.MYO, 16), (Structure.LV, 10)):
        labels[:, distance < radius] = structure
    return labels, labels * 100.0 + 300.0


def study(image: np.ndarray, spacing: tuple[float, float] = (1.4, 1.2), phases: int = 1) -> Study:
    noise = np.random.default_rng(0).normal(0, 5, (phases, *image.shape))
    return Study((image + noise).astype(np.float32), (8.0, *spacing))


@pytest.fixture
def disc() -> Study:
    return study(heart()[1], phases=3)


def small_unets() -> list[nn.Module]:
    torch.manual_seed(0)
    return [UNet((4, 6)), UNet((4, 6))]


@pytest.mark.parametrize("spacing", [(1.4, 1.2), (0.8, 0.9), (2.0, 2.0)])
def test_labels_lie_where_the_heart_lies(spacing: tuple[float, float]) -> None:
    shape = (round(60 / spacing[0]), round(62 / spacing[1]))
    labels, image = heart(shape, spacing)
    # What normalisation makes of the four grey values is what the network has to look for.
    grid = {"kind": "physical", "spacing_mm": 1.0, "size": 64}
    predictor = model(grid=grid)
    sampled = normalise(predictor.grid.sample(image, spacing))
    levels = [float(np.median(sampled[predictor.grid.sample(labels == value, spacing) > 0.99])) for value in range(4)]

    class Fitted(nn.Module):
        def forward(self, slices: torch.Tensor) -> torch.Tensor:
            return -50 * (slices - slices.new_tensor(levels)[:, None, None]) ** 2

    found = model(Fitted(), grid=grid).segment(study(image, spacing), clean=False).labels[0]
    for structure in FOREGROUND:
        both = (found == structure) & (labels == structure)
        assert 2 * both.sum() / ((found == structure).sum() + (labels == structure).sum()) > 0.93


def test_everything_lies_on_the_study_s_own_grid(disc: Study) -> None:
    found = model(*small_unets(), Thresholds()).segment(disc, keep_probabilities=True)
    phases, depth, height, width = disc.pixels.shape
    assert found.study is disc
    assert (found.labels.shape, found.labels.dtype) == (disc.pixels.shape, np.uint8)
    assert (found.probabilities.shape, found.probabilities.dtype) == ((phases, 4, depth, height, width), np.float32)
    assert found.sigma.shape == found.omega.shape == (phases, 3, height, width)
    assert_allclose(found.probabilities.sum(axis=1), 1, atol=1e-5)
    assert_allclose(found.omega.sum(axis=1), 1, atol=1e-5)
    assert found.sigma.min() >= 0
    assert found.sigma.max() <= 0.25 + 1e-6


def test_labels_are_the_likeliest_class(disc: Study) -> None:
    found = model().segment(disc, keep_probabilities=True, clean=False)
    assert np.array_equal(found.labels, found.probabilities.argmax(axis=1))


def test_sigma_and_omega_are_those_of_equation_3() -> None:
    """On a grid that equals the image nothing is interpolated, so a loop in NumPy must give the same."""
    labels, image = heart((24, 24), (1.0, 1.0))
    sharp, soft = Thresholds(4.0), Thresholds(0.5)
    found = model(sharp, soft, grid={"kind": "stretched", "size": 24}).segment_frame(image, (1.0, 1.0))
    slices = normalise(image)
    sigma = []
    for member in (sharp, soft):
        logits = -member.sharpness * (slices[:, None] - np.array(LEVELS)[:, None, None]) ** 2
        probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        sigma.append(probabilities.mean(axis=0).var(axis=0, ddof=1))
    assert_allclose(found.sigma, sigma, atol=1e-5)
    assert_allclose(found.omega, np.exp(sigma) / np.exp(sigma).sum(axis=0), atol=1e-5)
    assert labels.shape == found.labels.shape


def test_a_phase_is_segmented_as_if_it_were_alone(disc: Study) -> None:
    predictor = model(*small_unets())
    together = predictor.segment(disc, keep_probabilities=True)
    for phase in range(disc.n_phases):
        alone = predictor.segment(Study(disc.pixels[phase : phase + 1], disc.spacing), keep_probabilities=True)
        for name in ("labels", "probabilities", "sigma", "omega"):
            assert np.array_equal(getattr(alone, name)[0], getattr(together, name)[phase])


def test_dropout_is_off(disc: Study) -> None:
    predictor = model(*[member.train() for member in small_unets()])
    first, second = (predictor.segment(disc, keep_probabilities=True) for _ in range(2))
    assert np.array_equal(first.probabilities, second.probabilities)


def test_only_what_is_asked_for_is_kept(disc: Study) -> None:
    bare = model().segment(disc, keep_uncertainty=False)
    assert (bare.probabilities, bare.sigma, bare.omega) == (None, None, None)
    usual = model().segment(disc)
    assert usual.probabilities is None
    assert usual.sigma is not None
    assert np.array_equal(bare.labels, usual.labels)


def test_fixed_pooling_has_weights_but_no_sigma(disc: Study) -> None:
    found = model(Thresholds(), Thresholds(1.0), pooling=Fixed((0.75, 0.25), outer_softmax=False)).segment(disc)
    assert found.sigma is None
    assert_allclose(found.omega[:, 0], 0.75, rtol=1e-5)


def test_memory_does_not_grow_with_the_length_of_the_cine() -> None:
    """Beyond the labels and uncertainty that are handed back: probabilities, 16 bytes a voxel, are held for one phase at a time."""
    _, image = heart((96, 96), (1.0, 1.0))
    predictor = model(grid={"kind": "stretched", "size": 32})

    def peak(phases: int, *, keep: bool = False) -> int:
        cine = study(image, (1.0, 1.0), phases)
        predictor.segment(cine)
        tracemalloc.start()
        predictor.segment(cine, keep_probabilities=keep)
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    handed_back = image[0].size * (3 * 1 + 2 * 4) * 2  # a phase: labels of three slices, σ and ω̄ of one member; twice while stacked
    bound = 8 * (handed_back + image.size * 4)
    assert peak(12) - peak(4) < bound
    assert peak(12, keep=True) - peak(4, keep=True) > bound


def test_pixels_outside_the_grid_are_background() -> None:
    """A picture that shows LV everywhere, 80 mm wide, on a grid of 32 mm."""
    image = np.random.default_rng(0).normal(size=(2, 40, 40))

    class OnlyLV(nn.Module):
        def forward(self, slices: torch.Tensor) -> torch.Tensor:
            return torch.tensor([0.0, 0.0, 0.0, 5.0])[:, None, None].expand(len(slices), 4, *slices.shape[-2:])

    found = model(OnlyLV(), grid={"kind": "physical", "spacing_mm": 2.0, "size": 16}).segment_frame(image, (2.0, 2.0))
    inside = np.zeros((40, 40), bool)
    inside[12:28, 12:28] = True
    assert np.array_equal(found.labels == Structure.LV, np.broadcast_to(inside, image.shape))
    assert np.array_equal(found.probabilities[:, 0, 0, 0], [1, 0, 0, 0])
    assert_allclose(found.probabilities.sum(axis=0), 1, atol=1e-6)


def test_stray_islands_go_unless_they_are_wanted() -> None:
    labels, image = heart((64, 64), (1.0, 1.0))
    image[0, 2:4, 2:4] = image.max()
    clean, raw = (
        model(grid={"kind": "stretched", "size": 64}).segment_frame(image, (1.0, 1.0), clean=clean).labels for clean in (True, False)
    )
    assert raw[0, 2, 2] == raw[0][labels[0] == Structure.LV].max()
    assert clean[0, 2, 2] == Structure.BACKGROUND


def test_every_phase_is_reported_in_order(disc: Study) -> None:
    seen = []
    found = model().segment(disc, on_phase=lambda phase, result: seen.append((phase, result.labels)))
    assert [phase for phase, _ in seen] == [0, 1, 2]
    assert np.array_equal(np.stack([labels for _, labels in seen]), found.labels)


def test_a_phase_of_one_grey_value_is_refused_by_its_number(disc: Study) -> None:
    disc.pixels[1] = 7.0
    with pytest.raises(InputError, match=r"phase 1 .*single grey value 7"):
        model().segment(disc)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_phase_that_is_not_finite_is_refused_by_its_number(disc: Study, value: float) -> None:
    disc.pixels[2, 0, 3, 3] = value
    with pytest.raises(InputError, match=r"phase 2 .*NaN"):
        model().segment(disc)


def test_an_uneven_slice_stack_of_one_slice_is_segmented() -> None:
    _, image = heart()
    found = model(*small_unets()).segment(study(image[:1]))
    assert found.labels.shape == (1, 1, 40, 50)


def test_a_saved_model_segments_as_before(tmp_path, disc: Study) -> None:
    spec = ModelSpec(
        "tiny",
        [{"network": "unet", "options": {"widths": [4, 6]}}] * 2,
        {"rule": "uncertainty", "outer_softmax": False},
        {"kind": "physical", "spacing_mm": 2.0, "size": 32},
    )
    torch.manual_seed(0)
    ensemble = spec.build()
    save_model(tmp_path / "tiny.safetensors", ensemble, spec)
    loaded = load_model(tmp_path / "tiny.safetensors")
    assert loaded.spec == spec
    first, second = (each.segment(disc, keep_probabilities=True) for each in (Model(ensemble, spec), loaded))
    assert np.array_equal(first.probabilities, second.probabilities)


def test_networks_that_tell_other_classes_apart_are_refused(disc: Study) -> None:
    with pytest.raises(InputError, match=r"3 classes.*4: 0 BACKGROUND, 1 RV"):
        model(UNet((4, 6), classes=3)).segment(disc)


def test_a_missing_model_is_named(tmp_path) -> None:
    with pytest.raises(InputError, match=r"mine\.safetensors: no such model file"):
        load_model(tmp_path / "mine.safetensors")


def test_a_damaged_model_is_named(tmp_path) -> None:
    (tmp_path / "mine.safetensors").write_bytes(b"not a model")
    with pytest.raises(InputError, match=r"mine\.safetensors: not a"):
        load_model(str(tmp_path / "mine.safetensors"))


def test_the_released_model_lies_in_the_package() -> None:
    assert released_model_path().parts[-3:] == ("shortaxis", "weights", "release.safetensors")


@pytest.mark.parametrize("pooling", [Uncertainty(radius=0, outer_softmax=False), Uncertainty(radius=1, outer_softmax=False)])
def test_rule_that_weighs_every_slice_gives_one_map_a_slice(disc: Study, pooling: Uncertainty) -> None:
    found = model(*small_unets(), pooling=pooling).segment(disc)
    phases, depth, height, width = disc.pixels.shape
    assert found.sigma.shape == found.omega.shape == (phases, 2, depth, height, width)
    assert_allclose(found.omega.sum(axis=1), 1, atol=1e-5)


def test_map_of_a_slice_is_that_of_the_slice_alone(disc: Study) -> None:
    """Radius 0: on a frame cut down to one slice σ and ω̄ are what they were there."""
    predictor = model(*small_unets(), pooling=Uncertainty(radius=0, outer_softmax=False))
    slices = normalise(predictor.grid.sample(disc.pixels[0], (1.4, 1.2)))
    whole, alone = predictor.run_networks(slices), predictor.run_networks(slices[1:2])
    assert_allclose(whole.sigma[:, 1], alone.sigma[:, 0], atol=1e-6)
    assert_allclose(whole.omega[:, 1], alone.omega[:, 0], atol=1e-6)
