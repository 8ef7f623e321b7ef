"""Augmentation on the device: one draw a frame, the same for all its slices, without a loop and without reading a value back.

All geometric changes are composed into one sampling grid, so an image is interpolated once.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F

from shortaxis.labels import N_CLASSES, UNKNOWN
from shortaxis.preprocessing import STANDARD_DEG

if TYPE_CHECKING:
    from torch import Tensor

    from shortaxis.training.canvas import Canvas
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
    canvas: Canvas | None = None,
) -> tuple[Tensor, Tensor]:
    """Augment a batch of slices.

    Args:
        images: float (B, K, K), normalised.
        labels: uint8 (B, K, K).
        frame_of_slice: int64 (B,), in [0, F).
        centres: float32 (F, 2), centre of the heart of each frame as (x, y) in [-1, 1].
        pixel_mm: float32 (F,), edge of a pixel of the networks' grid in mm.
        options: The recipe's table.
        generator: On the device of the images; the only source of randomness.
        canvas: Where an aligned grid lies on the pictures of the F frames; None where the pictures are on the networks' grid already.

    Returns:
        Images float32 (B, 1, S, S) and labels int64 (B, S, S), S the crop or the edge of the grid.
    """
    draw = _Draw(len(centres), generator, images.device)
    if canvas is None:
        sampling = _sampling_grid(draw, images.shape[-1], options.crop or images.shape[-1], centres, pixel_mm, options)
    else:
        sampling = _sampling_on_canvas(draw, options.crop or canvas.size, centres, pixel_mm, canvas, options)
    sampling = sampling[frame_of_slice]
    if options.slice_shift_mm:
        per_mm = 2 / (images.shape[-1] - 1) / pixel_mm[frame_of_slice] if canvas is None else canvas.upright[frame_of_slice, 0, 0]
        sampling = sampling + (_shift_of_slices(draw, len(images), options) * per_mm[:, None])[:, None, None, :]
    outside = None
    if options.view_mm:
        sampling, outside = _within_view(draw, sampling, frame_of_slice, centres, pixel_mm, canvas, images.shape[-1], options)
    moved = F.grid_sample(images[:, None].float(), sampling, mode="bilinear", padding_mode="border", align_corners=True)
    if canvas is None:
        truth = F.grid_sample(labels[:, None].float(), sampling, mode="nearest", padding_mode="zeros", align_corners=True)[:, 0].long()
    else:
        truth = _largest_share(labels, sampling)
    if outside is not None:
        truth = truth.masked_fill(outside, UNKNOWN)
    return _intensity(draw, moved, frame_of_slice, options), truth


def _largest_share(labels: Tensor, sampling: Tensor) -> Tensor:
    """The class of largest share at each point, int64 (B, S, S); pixels of the pictures may be larger than those of the grid."""
    values = torch.tensor([*range(N_CLASSES), UNKNOWN], device=labels.device)
    shares = (labels[:, None] == values[:, None, None]).float()
    return values[F.grid_sample(shares, sampling, mode="bilinear", padding_mode="border", align_corners=True).argmax(dim=1)]


def _sampling_on_canvas(draw: _Draw, size: int, centres: Tensor, pixel_mm: Tensor, canvas: Canvas, options: Augmentation) -> Tensor:
    """Where each pixel of an aligned grid looks on the canvas: (F, S, S, 2), (x, y) in [-1, 1]; errors of the pose are in it."""
    axis = torch.arange(size, device=draw.device) - (size - 1) / 2
    plane = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1)
    points = torch.einsum("fij,hwj->fhwi", _linear_maps(draw, options), plane) * pixel_mm[:, None, None, None]
    if options.elastic_mm:
        points = points + _elastic(draw, size, options)
    shift = draw.uniform(options.shift_mm, 2) * draw.chance(options.probability)[:, None]
    if options.mirror:
        points = torch.einsum("fij,fhwj->fhwi", _mirrors(draw, options), points)
    matrix = canvas.aligned
    if options.upright:
        turned = draw.chance(options.upright)[:, None, None]
        matrix = turned * canvas.upright + (1 - turned) * matrix
    points = points + shift[:, None, None, :]
    return torch.einsum("fij,fhwj->fhwi", matrix, points) + centres[:, None, None, :]


def _mirrors(draw: _Draw, options: Augmentation) -> Tensor:
    """Reflections along the standard direction, for some frames, as one (F, 2, 2) matrix a frame."""
    twice = math.radians(2 * STANDARD_DEG)
    mirror = torch.tensor([[math.cos(twice), -math.sin(twice)], [-math.sin(twice), -math.cos(twice)]], device=draw.device)
    chosen = draw.chance(options.mirror)[:, None, None]
    return chosen * mirror + (1 - chosen) * torch.eye(2, device=draw.device)


def _shift_of_slices(draw: _Draw, slices: int, options: Augmentation) -> Tensor:
    """Displacement of each slice in mm (B, 2): breath-holds differ."""
    return torch.randn((slices, 2), generator=draw.generator, device=draw.device) * options.slice_shift_mm


def _within_view(
    draw: _Draw,
    sampling: Tensor,
    frame_of_slice: Tensor,
    centres: Tensor,
    pixel_mm: Tensor,
    canvas: Canvas | None,
    edge: int,
    options: Augmentation,
) -> tuple[Tensor, Tensor]:
    """Cut the picture to a smaller field of view around the heart, whose edge is then repeated; also says which points lie outside."""
    per_mm = (2 / (edge - 1) / pixel_mm)[:, None].expand(-1, 2) if canvas is None else canvas.upright.diagonal(dim1=1, dim2=2)
    half = options.view_mm * (1 + draw.uniform(1.0, 2).abs()) * per_mm
    middle = centres + draw.uniform(0.2, 2) * half
    half = half + 4 * (1 - draw.chance(options.probability / 2))[:, None]  # beyond the picture: no cut
    low, high = ((middle + sign * half)[frame_of_slice][:, None, None, :] for sign in (-1, 1))
    inside = sampling.maximum(low).minimum(high)
    return inside, (inside != sampling).any(dim=-1)


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
    if options.resolution:
        images = torch.lerp(images, _coarser(images), per_slice(draw.uniform(1.0).abs() * draw.chance(options.resolution)))
    if options.ghost:
        images = images + per_slice(draw.uniform(options.ghost) * draw.chance(chance)) * _ghost(draw, images, frame_of_slice)
    if options.banding:
        images = _banded(draw, images, frame_of_slice, options)
    if options.blur:
        smooth = F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
        images = torch.lerp(images, smooth, per_slice(draw.uniform(options.blur).abs() * draw.chance(chance)))
    if options.gamma:
        exponent = per_slice(torch.exp(draw.uniform(options.gamma) * draw.chance(chance)))
        low, high = images.amin(dim=(2, 3), keepdim=True), images.amax(dim=(2, 3), keepdim=True)
        width = (high - low).clamp(min=1e-3)
        images = ((images - low) / width).clamp(0, 1) ** exponent * width + low
    if options.curve:
        # Bends the middle of the grey scale up or down and leaves black, grey and white where they are.
        low, high = images.amin(dim=(2, 3), keepdim=True), images.amax(dim=(2, 3), keepdim=True)
        share = (images - low) / (high - low).clamp(min=1e-3)
        bend = per_slice(draw.uniform(options.curve) * draw.chance(chance)) * torch.sin(2 * torch.pi * share) / (2 * torch.pi)
        images = (share + bend) * (high - low) + low
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


def _coarser(images: Tensor) -> Tensor:
    """The pictures as pixels of twice the edge show them."""
    coarse = F.avg_pool2d(images, 2)
    return F.interpolate(coarse, size=images.shape[-2:], mode="bilinear", align_corners=False)


def _ghost(draw: _Draw, images: Tensor, frame_of_slice: Tensor) -> Tensor:
    """A copy of each picture moved by half or a third of its height, as motion leaves along the phase-encoding direction."""
    parts = torch.where(draw.chance(0.5) > 0, 2, 3)[frame_of_slice]
    moved = torch.stack([images.roll(images.shape[-2] // part, dims=-2) for part in (2, 3)])
    return torch.where((parts == 2)[:, None, None, None], moved[0], moved[1])


def _banded(draw: _Draw, images: Tensor, frame_of_slice: Tensor, options: Augmentation) -> Tensor:
    """Dark bands, as a field that is off resonance leaves in balanced steady-state cines."""
    axis = torch.linspace(-1, 1, images.shape[-1], device=images.device)
    angle, place = draw.uniform(torch.pi), draw.uniform(1.0)
    across = torch.cos(angle)[:, None, None] * axis + torch.sin(angle)[:, None, None] * axis[:, None] - place[:, None, None]
    band = torch.exp(-((across / 0.12) ** 2)) * (draw.uniform(options.banding).abs() * draw.chance(options.probability / 2))[:, None, None]
    dark = images.amin(dim=(2, 3), keepdim=True)
    return dark + (images - dark) * (1 - band[frame_of_slice][:, None])
