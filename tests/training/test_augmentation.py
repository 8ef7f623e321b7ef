from __future__ import annotations

import pytest
import torch

from shortaxis.training.augmentation import augment
from shortaxis.training.recipe import Augmentation

SIZE = 33


def scene(slices: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """Images that equal their labels, so that any change of place must move both alike: blocks of 0 to 3, off the centre."""
    labels = torch.zeros(slices, SIZE, SIZE, dtype=torch.uint8)
    labels[:, 6:20, 8:28] = 1
    labels[:, 10:16, 10:20] = 3
    return labels.float(), labels


def run(
    options: Augmentation, seed: int = 0, slices: int = 4, owner: list[int] | None = None, images: torch.Tensor | None = None, **kwargs
):
    plain, labels = scene(slices)
    owner_of = torch.tensor(owner or [0] * slices)
    frames = int(owner_of.max()) + 1
    centres = kwargs.get("centres", torch.zeros(frames, 2))
    generator = torch.Generator().manual_seed(seed)
    return augment(plain if images is None else images, labels, owner_of, centres, torch.full((frames,), 2.0), options, generator)


def test_no_augmentation_changes_nothing():
    images, labels = scene()
    moved, truth = run(Augmentation())
    assert moved.shape == (4, 1, SIZE, SIZE)
    torch.testing.assert_close(moved[:, 0], images, atol=1e-4, rtol=0)
    assert torch.equal(truth, labels.long())


@pytest.mark.parametrize(
    "options",
    [
        Augmentation(rotation_deg=40),
        Augmentation(scale=0.3),
        Augmentation(shift_mm=10),
        Augmentation(shear=0.3),
        Augmentation(flip=True),
        Augmentation(quarter_turns=True),
        Augmentation(elastic_mm=4),
    ],
    ids=lambda options: next(name for name in options.__struct_fields__ if getattr(options, name) != getattr(Augmentation(), name)),
)
def test_geometry_moves_image_and_labels_alike_and_differs_between_frames(options):
    moved, truth = run(options, owner=[0, 0, 1, 1], seed=4)
    # Away from the one-pixel rim of interpolation, image and label still agree.
    inside = (moved[:, 0] - moved[:, 0].round()).abs() < 1e-3
    assert inside.float().mean() > 0.75
    agreement = (moved[:, 0].round().long() == truth)[inside].float().mean()
    assert agreement > 0.99
    assert torch.equal(truth[0], truth[1])
    assert any(not torch.equal(run(options, seed=seed)[1], scene()[1].long()) for seed in range(5))
    assert any(not torch.equal(pair[0], pair[2]) for pair in (run(options, owner=[0, 0, 1, 1], seed=seed)[1] for seed in range(5)))


@pytest.mark.parametrize("name", ["gamma", "brightness", "contrast", "noise", "blur", "bias"])
def test_intensity_changes_leave_the_labels_alone(name):
    images = torch.randn(4, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    moved, truth = run(Augmentation(**{name: 0.5}), images=images, seed=2)
    assert torch.equal(truth, scene()[1].long())
    assert (moved[:, 0] - images).abs().max() > 0.01
    assert torch.isfinite(moved).all()


def test_probability_zero_switches_the_optional_changes_off():
    options = Augmentation(probability=0, rotation_deg=90, scale=1, elastic_mm=9, gamma=1, brightness=1, contrast=1, noise=1, blur=1)
    moved, _ = run(options)
    torch.testing.assert_close(moved[:, 0], scene()[0], atol=1e-4, rtol=0)


def test_a_quarter_turn_is_an_exact_turn():
    turns = {tuple(run(Augmentation(quarter_turns=True), seed=seed)[1][0].flatten().tolist()) for seed in range(24)}
    exact = {tuple(torch.rot90(scene()[1][0].long(), k).flatten().tolist()) for k in range(4)}
    assert turns == exact


def test_a_shift_in_mm_is_that_many_pixels():
    # 2 mm pixels and a shift of at most 4 mm: the block's edge moves by at most 2 pixels, and over many draws comes near it.
    left = [int(run(Augmentation(shift_mm=4), seed=seed)[1][0].any(dim=0).nonzero()[0]) - 8 for seed in range(40)]
    assert max(left) == 2
    assert min(left) == -2


def test_a_crop_on_the_heart_is_centred_on_it():
    # The heart's centre (x, y) = (20, 12) of 33 pixels; a crop of 17 pixels then shows it in its middle.
    centre = torch.tensor([[20.0, 12.0]]) * 2 / (SIZE - 1) - 1
    images = torch.zeros(1, SIZE, SIZE)
    images[0, 12, 20] = 1
    moved, _ = run(Augmentation(crop=17, crop_on_heart=1.0), slices=1, images=images, centres=centre)
    assert moved.shape == (1, 1, 17, 17)
    assert moved[0, 0, 8, 8] == pytest.approx(1, abs=1e-3)


def test_a_crop_anywhere_stays_within_the_grid():
    ramp = torch.arange(SIZE, dtype=torch.float32).expand(1, SIZE, SIZE)
    starts = []
    for seed in range(30):
        moved, _ = run(Augmentation(crop=17, crop_on_heart=0.0), slices=1, images=ramp.contiguous(), seed=seed)
        row = moved[0, 0, 0]
        torch.testing.assert_close(row.diff(), torch.ones(16), atol=1e-3, rtol=0)
        starts.append(float(row[0]))
    assert min(starts) > -0.01
    assert max(starts) < SIZE - 17 + 0.01
    assert max(starts) - min(starts) > 10


def test_the_same_generator_gives_the_same_batch():
    options = Augmentation(rotation_deg=30, noise=0.2, gamma=0.3, bias=0.3, elastic_mm=2)
    assert torch.equal(run(options, seed=5)[0], run(options, seed=5)[0])
    assert not torch.equal(run(options, seed=5)[0], run(options, seed=6)[0])
