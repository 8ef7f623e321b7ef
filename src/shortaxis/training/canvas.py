"""Frames for an aligned grid, kept as they are stored: training lays the grid on them with a jitter, in one interpolation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import torch
from scipy.ndimage import convolve1d

from shortaxis.labels import UNKNOWN, Structure
from shortaxis.preprocessing import STANDARD_DEG, HeartPose, IntensityWindow, pose_of_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from shortaxis.preprocessing import AlignedGrid
    from shortaxis.study import Frame

MARGIN: Final = 1.45
"""Half a canvas over half an aligned grid: the diagonal of the grid fits in."""


class Canvas(NamedTuple):
    """Where an aligned grid lies on pictures of their own pixels, each (K, K) with the heart's centre near the middle.

    Attributes:
        aligned: float32 (F, 2, 2), turns offsets (right, down) in mm on the grid into offsets on the canvas, whose edges are -1 and 1.
        upright: float32 (F, 2, 2), the same for a grid that is not turned.
        size: Pixels along each edge of the grid.
    """

    aligned: Tensor
    upright: Tensor
    size: int

    def of(self, frames: Tensor) -> Canvas:
        """Choose frames by their indices, int64."""
        return Canvas(self.aligned[frames], self.upright[frames], self.size)


class CanvasFrame(NamedTuple):
    """One frame on a canvas.

    Attributes:
        image: float16 (D, K, K), normalised by what an aligned grid sees of it.
        labels: uint8 (D, K, K), `UNKNOWN` outside the picture.
        centre: (x, y) of the heart's centre on the canvas, in [-1, 1].
        aligned: As `Canvas.aligned`, (2, 2).
        upright: As `Canvas.upright`, (2, 2).
    """

    image: NDArray[np.float16]
    labels: NDArray[np.uint8]
    centre: NDArray[np.float64]
    aligned: NDArray[np.float64]
    upright: NDArray[np.float64]


def canvas_edge(spacings: Sequence[tuple[float, float]], grid: AlignedGrid) -> int:
    """Pixels along the edge of a canvas that takes the grid, however it is turned, on pictures of all these in-plane spacings in mm."""
    finest = min(min(spacing) for spacing in spacings)
    return 2 * math.ceil(grid.size * grid.spacing_mm * MARGIN / 2 / finest) + 1


def pose_for_training(frame: Frame) -> HeartPose:
    """The pose of a frame by its annotation; upright on the annotated heart where that does not show both ventricles."""
    plane = (frame.spacing[1], frame.spacing[2])
    known = np.where(frame.labels == UNKNOWN, Structure.BACKGROUND, frame.labels)
    pose = pose_of_labels(known, plane)
    if pose is not None:
        return pose
    _, rows, columns = np.nonzero(known)
    if not len(rows):
        return HeartPose((0.0, 0.0), STANDARD_DEG)
    _, height, width = known.shape
    return HeartPose(((rows.mean() - (height - 1) / 2) * plane[0], (columns.mean() - (width - 1) / 2) * plane[1]), STANDARD_DEG)


def lay_on_canvas(frame: Frame, pose: HeartPose, grid: AlignedGrid, edge: int) -> CanvasFrame:
    """Cut a frame out around its heart.

    Args:
        frame: The frame.
        pose: Of its heart.
        grid: What the networks see.
        edge: K, see `canvas_edge`.
    """
    plane = (frame.spacing[1], frame.spacing[2])
    window = IntensityWindow.of(grid.at(pose).sample(frame.image, plane))
    image = window.apply(smoothed(np.asarray(frame.image, np.float32), tuple(grid.spacing_mm / mm for mm in plane)))
    heart = [mm / step + (n - 1) / 2 for mm, step, n in zip(pose.centre_mm, plane, frame.image.shape[1:], strict=True)]
    middle = [int(np.clip(round(at), 0, n - 1)) for at, n in zip(heart, frame.image.shape[1:], strict=True)]
    half = edge // 2
    wanted = [np.arange(at - half, at + half + 1) for at in middle]
    inside = [(at >= 0) & (at < n) for at, n in zip(wanted, frame.image.shape[1:], strict=True)]
    rows, columns = (np.clip(at, 0, n - 1) for at, n in zip(wanted, frame.image.shape[1:], strict=True))
    labels = np.where(inside[0][:, None] & inside[1], frame.labels[:, rows[:, None], columns], np.uint8(UNKNOWN))
    centre = np.array([(heart[axis] - middle[axis]) / half for axis in (1, 0)])
    per_mm = np.diag([1 / half / plane[1], 1 / half / plane[0]])
    turn = pose.to_image()[::-1, ::-1]  # (right, down) in place of (down, right)
    return CanvasFrame(image[:, rows[:, None], columns].astype(np.float16), labels, centre, per_mm @ turn, per_mm)


def smoothed(image: NDArray[np.float32], steps: tuple[float, ...]) -> NDArray[np.float32]:
    """Average neighbouring pixels where a grid is coarser than the picture, as sampling does at inference.

    Args:
        image: (D, H, W).
        steps: Pixels of the grid in pixels of the picture, (y, x).
    """
    for axis, step in zip((1, 2), steps, strict=True):
        if step > 1:
            taps = np.arange(-math.ceil(step) + 1, math.ceil(step))
            weights = np.maximum(0, 1 - np.abs(taps) / step)
            image = convolve1d(image, weights / weights.sum(), axis=axis, mode="nearest")
    return image


def stacked(frames: Sequence[CanvasFrame], size: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Canvas]:
    """Images, labels, centres and canvas of all frames on the device."""

    def together(name: str) -> Tensor:
        return torch.tensor(np.stack([getattr(frame, name) for frame in frames]), dtype=torch.float32, device=device)

    images = torch.from_numpy(np.concatenate([frame.image for frame in frames])).to(device)
    labels = torch.from_numpy(np.concatenate([frame.labels for frame in frames])).to(device)
    return images, labels, together("centre"), Canvas(together("aligned"), together("upright"), size)
