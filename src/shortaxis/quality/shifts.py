"""Frames as another scanner, another protocol or another operator might have given them: what the calibration learns caution from.

A shift acts on the frame as it lies in its file, before any grid, and takes the labels along. It is drawn once a patient, so that ED and ES
come from one scanner.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shortaxis.study import Frame

Stack = Literal["whole", "short", "long"]
"""Whether the stack is as it was, lacks slices at its ends, or runs on into slices that show nothing."""

_SEED: Final = 20
_LEAST_SLICES: Final = 6
"""A stack of fewer slices is not shortened."""


@dataclass(frozen=True)
class Shift:
    """One way in which a scan differs from those that the networks know.

    Attributes:
        bend: Bends the middle of the grey scale up (positive) or down; black and white stay.
        gamma: Exponent of the grey scale.
        field: Amplitude of a smooth field of sensitivity, as a share; with `field_seed`.
        coarse: Pixels of the acquisition by pixels of the file: detail that is lost.
        noise: Standard deviation of the noise by that of the frame.
        ghost: Strength of a copy moved by half the field of view.
        view_mm: Edge of the square around the heart that the field of view is cut to; None leaves it.
        turns: Quarter turns.
        stack: See `Stack`.
        base: Slices that are taken from, or added to, the first end of the stack.
        apex: The same at the last end.
        seed: Of noise and field.
    """

    bend: float = 0.0
    gamma: float = 1.0
    field: float = 0.0
    coarse: float = 1.0
    noise: float = 0.0
    ghost: float = 0.0
    view_mm: float | None = None
    turns: int = 0
    stack: Stack = "whole"
    base: int = 0
    apex: int = 0
    seed: int = 0


def draw_shift(patient: str, number: int = 0) -> Shift:
    """Draw a shift, always the same for a patient and a number, on every machine.

    Args:
        patient: The patient's name.
        number: Tells several shifts of one patient apart.
    """
    rng = np.random.default_rng([_SEED, number, *patient.encode()])
    kind: Stack = ("whole", "whole", "short", "long")[rng.integers(4)]
    ends = rng.integers(0, 3, 2)
    return Shift(
        bend=float(rng.uniform(-0.5, 0.5)),
        gamma=float(np.exp(rng.uniform(-0.35, 0.35))),
        field=float(rng.uniform(0, 0.35)),
        coarse=float(rng.choice([1.0, 1.5, 2.0])),
        noise=float(rng.uniform(0, 0.2)),
        ghost=float(rng.choice([0.0, 0.0, 0.1])),
        view_mm=float(rng.uniform(120, 170)) if rng.random() < 0.4 else None,
        turns=int(rng.integers(4)),
        stack=kind,
        base=int(ends[0]),
        apex=int(ends[1]),
        seed=int(rng.integers(2**31)),
    )


def shifted(frame: Frame, shift: Shift) -> Frame:
    """The frame after a shift; a new one, its labels moved along.

    Args:
        frame: Image (D, H, W) of any real dtype, labels and spacing (z, y, x) in mm.
        shift: How it changes.
    """
    image, labels = np.asarray(frame.image, np.float32), frame.labels
    spacing = frame.spacing
    image, labels = _other_slices(image, labels, shift)
    image = _other_appearance(image, shift)
    if shift.view_mm is not None:
        rows, columns = _view(labels, spacing[1:], shift.view_mm)
        image, labels = image[:, rows, columns], labels[:, rows, columns]
    image = np.ascontiguousarray(np.rot90(image, shift.turns, axes=(1, 2)))
    labels = np.ascontiguousarray(np.rot90(labels, shift.turns, axes=(1, 2)))
    if shift.turns % 2:
        spacing = (spacing[0], spacing[2], spacing[1])
    return replace(frame, image=image, labels=labels, spacing=spacing)


def _other_slices(image: NDArray[np.float32], labels: NDArray[np.uint8], shift: Shift) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    if shift.stack == "short" and len(image) - shift.base - shift.apex >= _LEAST_SLICES:
        kept = slice(shift.base, len(image) - shift.apex)
        return image[kept], labels[kept]
    if shift.stack == "long":
        blank = ((shift.base, shift.apex), (0, 0), (0, 0))
        return np.pad(image, blank, constant_values=float(image.min())), np.pad(labels, blank)
    return image, labels


def _other_appearance(image: NDArray[np.float32], shift: Shift) -> NDArray[np.float32]:
    rng = np.random.default_rng(shift.seed)
    low, high = np.percentile(image, (0.5, 99.5))
    share = np.clip((image - low) / max(high - low, 1e-6), 0, 1)
    share = share**shift.gamma
    share = share + shift.bend * np.sin(2 * np.pi * share) / (2 * np.pi)
    if shift.field:
        nodes = rng.uniform(-shift.field, shift.field, (1, 3, 3))
        zoom = (1, share.shape[1] / 3, share.shape[2] / 3)
        field = ndimage.zoom(nodes, zoom, order=2, mode="nearest", grid_mode=True)
        share = share * (1 + field[:, : share.shape[1], : share.shape[2]])
    if shift.coarse > 1:
        share = ndimage.gaussian_filter(share, (0, 0.42 * shift.coarse, 0.42 * shift.coarse))
    if shift.ghost:
        share = share + shift.ghost * np.roll(share, share.shape[1] // 2, axis=1)
    if shift.noise:
        share = share + rng.normal(0, shift.noise * float(share.std()), share.shape)
    return np.asarray(share * 1000, np.float32)


def _view(labels: NDArray[np.uint8], pixel_mm: tuple[float, float], edge_mm: float) -> tuple[slice, slice]:
    """Rows and columns of a square around the heart; the picture's edge where it would reach beyond."""
    cut = []
    for axis, mm in enumerate(pixel_mm):
        shown = np.flatnonzero((labels > 0).any(axis=(0, 2 - axis)))
        length = labels.shape[axis + 1]
        middle = (shown[0] + shown[-1]) / 2 if shown.size else (length - 1) / 2
        half = edge_mm / 2 / mm
        first, last = max(0, round(middle - half)), min(length, round(middle + half) + 1)
        cut.append(slice(first, last))
    return cut[0], cut[1]
