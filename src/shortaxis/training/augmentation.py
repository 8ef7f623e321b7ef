"""Augmentation on the device: one draw a frame, the same for all its slices, without a loop and without reading a value back.

All geometric changes are composed into one sampling grid, so an image is interpolated once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from torch import Tensor

    from shortaxis.training.recipe import Augmentation

_ELASTIC_NODES = 8
_BIAS_NODES = 3


class _Draw(NamedTuple):
    """Random numbers of one batch: `n` frames, all from one generator."""

    n: int
    generator: torch.Generator
    device: torch.device

    def uniform(self, half_width: float, *shape: int) -> Tensor:
        """Uniform in [-half_width, half_width], (n, *shape)."""
        return (torch.rand((self.n, *shape), generator=self.generator, device=self.device) * 2 - 1) * half_width

    def normal(self, *shape: int) -> Tensor:
        """Standard normal, (n, *shape)."""
        return torch.randn((self.n, *shape), generator=self.generator, device=self.device)

    def chance(self, probability: float) -> Tensor:
        """1 with the probability, otherwise 0, (n,)."""
        return (torch.rand(self.n, generator=self.generator, device=self.device) < probability).float()


def augment(
    images: Tensor,
    labels: Tensor,
    frame_of_slice: Tensor,
    centres: Tensor,
    pixel_mm: Tensor,
    options: Augmentation,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Augment a batch of slices.

    Args:
        images: float (B, G, G), normalised.
        labels: uint8 (B, G, G).
        frame_of_slice: int64 (B,), in [0, F).
        centres: float32 (F, 2), centre of the heart of each frame as (x, y) in [-1, 1].
        pixel_mm: float32 (F,), edge of a pixel in mm.
        options: The recipe's table.
        generator: On the device of the images; the only source of randomness.

    Returns:
        Images float32 (B, 1, S, S) and labels int64 (B, S, S), S the crop or G.
    """
    size = images.shape[-1]
    draw = _Draw(len(centres), generator, images.device)
    sampling = _sampling_grid(draw, size, options.crop or size, centres, pixel_mm, options)[frame_of_slice]
    moved = F.grid_sample(images[:, None].float(), sampling, mode="bilinear", padding_mode="border", align_corners=True)
    truth = F.grid_sample(labels[:, None].float(), sampling, mode="nearest", padding_mode="zeros", align_corners=True)
    return _intensity(draw, moved, frame_of_slice, options), truth[:, 0].long()


def _sampling_grid(draw: _Draw, size: int, crop: int, centres: Tensor, pixel_mm: Tensor, options: Augmentation) -> Tensor:
    """Where each output pixel looks in the input: (F, S, S, 2), (x, y) in [-1, 1]."""
    per_mm = 2 / (size - 1) / pixel_mm
    axis = torch.linspace(-1, 1, crop, device=draw.device) * ((crop - 1) / (size - 1))
    plane = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1)
    points = torch.einsum("fij,hwj->fhwi", _linear_maps(draw, options), plane)
    if options.elastic_mm:
        points = points + _elastic(draw, crop, options) * per_mm[:, None, None, None]
    centre = _crop_centres(draw, size, crop, centres, options)
    shift = draw.uniform(options.shift_mm, 2) * (draw.chance(options.probability) * per_mm)[:, None]
    return points + (centre + shift)[:, None, None, :]


def _linear_maps(draw: _Draw, options: Augmentation) -> Tensor:
    """Rotation, zoom, shear and mirror as one (F, 2, 2) matrix a frame."""
    angle = torch.deg2rad(draw.uniform(options.rotation_deg)) * draw.chance(options.probability)
    if options.quarter_turns:
        angle = angle + torch.floor(draw.uniform(2.0)) * (torch.pi / 2)
    scale = torch.exp(draw.uniform(options.scale) * draw.chance(options.probability))
    shear = draw.uniform(options.shear) * draw.chance(options.probability)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    turn = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)
    one, zero = torch.ones_like(shear), torch.zeros_like(shear)
    mirror = torch.sign(draw.uniform(1.0, 2)) if options.flip else torch.ones(draw.n, 2, device=draw.device)
    slant = torch.stack([torch.stack([one, shear], -1), torch.stack([zero, one], -1)], -2)
    return turn @ slant * mirror[:, None, :]


def _elastic(draw: _Draw, crop: int, options: Augmentation) -> Tensor:
    """A smooth displacement in mm, (F, S, S, 2)."""
    coarse = draw.normal(2, _ELASTIC_NODES, _ELASTIC_NODES) * options.elastic_mm * draw.chance(options.probability)[:, None, None, None]
    return F.interpolate(coarse, size=(crop, crop), mode="bicubic", align_corners=True).permute(0, 2, 3, 1)


def _crop_centres(draw: _Draw, size: int, crop: int, centres: Tensor, options: Augmentation) -> Tensor:
    """Centre of each frame's crop, (F, 2); the middle of the grid when nothing is cropped."""
    reach = 1 - (crop - 1) / (size - 1)
    if reach <= 0:
        return torch.zeros_like(centres)
    on_heart = draw.chance(options.crop_on_heart)[:, None]
    return (on_heart * centres + (1 - on_heart) * draw.uniform(reach, 2)).clamp(-reach, reach)


def _intensity(draw: _Draw, images: Tensor, frame_of_slice: Tensor, options: Augmentation) -> Tensor:
    """Change the grey values of (B, 1, S, S)."""

    def per_slice(values: Tensor) -> Tensor:
        return values[frame_of_slice].view(-1, 1, 1, 1)

    chance = options.probability
    if options.blur:
        smooth = F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
        images = torch.lerp(images, smooth, per_slice(draw.uniform(options.blur).abs() * draw.chance(chance)))
    if options.gamma:
        exponent = per_slice(torch.exp(draw.uniform(options.gamma) * draw.chance(chance)))
        low, high = images.amin(dim=(2, 3), keepdim=True), images.amax(dim=(2, 3), keepdim=True)
        width = (high - low).clamp(min=1e-3)
        images = ((images - low) / width).clamp(0, 1) ** exponent * width + low
    if options.bias:
        coarse = draw.uniform(options.bias, 1, _BIAS_NODES, _BIAS_NODES) * draw.chance(chance)[:, None, None, None]
        field = F.interpolate(coarse, size=images.shape[-2:], mode="bicubic", align_corners=True)[frame_of_slice]
        images = images + field * (images + 1)
    images = images * per_slice(torch.exp(draw.uniform(options.contrast) * draw.chance(chance)))
    images = images + per_slice(draw.uniform(options.brightness) * draw.chance(chance))
    if options.noise:
        strength = per_slice(draw.uniform(options.noise).abs() * draw.chance(chance))
        images = images + strength * torch.randn(images.shape, generator=draw.generator, device=draw.device)
    return images
