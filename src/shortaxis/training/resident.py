"""The training set as it lies on the device: every slice of every frame in one tensor, decoded once."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from shortaxis.errors import DataWarning, InputError
from shortaxis.labels import UNKNOWN, Structure
from shortaxis.preprocessing import AlignedGrid, PhysicalGrid, StretchedGrid, normalise
from shortaxis.training.canvas import Canvas, CanvasFrame, canvas_edge, lay_on_canvas, pose_for_training, stacked

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from shortaxis.datasets.dataset import Dataset
    from shortaxis.preprocessing import Grid, HeartPose
    from shortaxis.study import Frame


@dataclass(frozen=True)
class ResidentSet:
    """All frames of a data set: on the grid of the networks, or on a canvas where an aligned grid is laid on them.

    Attributes:
        images: float16 (S, K, K), normalised per frame; S slices of all frames one after another.
        labels: uint8 (S, K, K); `UNKNOWN` where nothing is known.
        depths: Number of slices of every frame, in order.
        centres: float32 (F, 2), centre of the heart of every frame as (x, y) in [-1, 1] of the picture.
        pixel_mm: float32 (F,), edge of a grid pixel in mm, the mean of both axes on a stretched grid.
        annotated: bool (F, C), which classes are annotated in every frame; None where all are.
        canvas: Where an aligned grid lies on the pictures; None where the pictures are on the grid.
    """

    images: Tensor
    labels: Tensor
    depths: tuple[int, ...]
    centres: Tensor
    pixel_mm: Tensor
    annotated: Tensor | None = None
    canvas: Canvas | None = None

    def take(self, frames: Sequence[int]) -> ResidentSet:
        """Copy some frames, in this order; one that is named twice is there twice."""
        starts = np.concatenate(([0], np.cumsum(self.depths)))
        slices = torch.from_numpy(np.concatenate([np.arange(starts[frame], starts[frame + 1]) for frame in frames])).to(self.images.device)
        chosen = torch.tensor(list(frames), device=self.images.device)
        depths = tuple(self.depths[frame] for frame in frames)
        annotated = None if self.annotated is None else self.annotated[chosen]
        canvas = None if self.canvas is None else self.canvas.of(chosen)
        return ResidentSet(self.images[slices], self.labels[slices], depths, self.centres[chosen], self.pixel_mm[chosen], annotated, canvas)


def load_resident(
    dataset: Dataset,
    grid: Grid,
    device: torch.device,
    *,
    find_pose: Callable[[Frame], HeartPose] = pose_for_training,
) -> ResidentSet:
    """Read a data set, bring it to the grid, normalise it, and put it on the device.

    Args:
        dataset: The frames.
        grid: What the networks see.
        device: Where the set lies.
        find_pose: Says how the heart lies in a frame that is not wholly annotated; used for an aligned grid only.

    Raises:
        InputError: The data set has no frame, the image of one has a single grey value, or none has an annotated structure.

    Warns:
        DataWarning: Some frames have no annotated structure.
    """
    if not len(dataset):
        msg = f"the data set '{dataset.name}' holds no annotated frame to train on"
        raise InputError(msg)
    frames = list(dataset) if isinstance(grid, AlignedGrid) else dataset
    edge = canvas_edge([frame.spacing[1:] for frame in frames], grid) if isinstance(grid, AlignedGrid) else 0
    laid: list[CanvasFrame] = []
    annotated, pixels, empty = [], [], []
    for frame in frames:
        if isinstance(grid, AlignedGrid):
            pose = pose_for_training(frame) if frame.is_whole else find_pose(frame)
            laid.append(lay_on_canvas(frame, pose, grid, edge))
        else:
            laid.append(_on_grid(frame, grid))
        if not laid[-1].image.any():
            msg = f"{frame.name}: its image has a single grey value, which teaches nothing; replace the image or remove the frame"
            raise InputError(msg)
        if not frame.labels.any():
            empty.append(frame.name)
        annotated.append([structure in frame.annotated for structure in Structure])
        pixels.append(_pixel_mm(frame, grid))
    _name_empty(dataset.name, empty, len(pixels))
    images, labels, centres, canvas = stacked(laid, grid.size, device)
    return ResidentSet(
        images,
        labels,
        tuple(len(frame.image) for frame in laid),
        centres,
        torch.tensor(pixels, dtype=torch.float32, device=device),
        None if np.all(annotated) else torch.tensor(annotated, device=device),
        canvas if isinstance(grid, AlignedGrid) else None,
    )


def _on_grid(frame: Frame, grid: PhysicalGrid | StretchedGrid) -> CanvasFrame:
    """A frame on the networks' own grid, as a canvas on which nothing is turned."""
    image, labels = frame_on_grid(frame, grid)
    return CanvasFrame(image.astype(np.float16), labels, _heart_centre(labels), np.eye(2), np.eye(2))


def _name_empty(dataset: str, empty: Sequence[str], of: int) -> None:
    """Name the frames without an annotated structure; each teaches the networks that there is no heart in it."""
    if not empty:
        return
    msg = (
        f"{len(empty)} of {of} training frames of '{dataset}' have no annotated structure, such as {', '.join(empty[:3])}; annotate or "
        "remove them"
    )
    if len(empty) == of:
        raise InputError(msg)
    warnings.warn(msg, DataWarning, stacklevel=3)


def frame_on_grid(frame: Frame, grid: PhysicalGrid | StretchedGrid) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Sample one frame: the normalised image float32 (D, G, G), and the class of largest share in each pixel, uint8 (D, G, G)."""
    spacing = frame.spacing[1:]
    values = (*Structure, UNKNOWN) if (frame.labels == UNKNOWN).any() else tuple(Structure)
    shares = np.stack([grid.sample(frame.labels == value, spacing) for value in values])
    return normalise(grid.sample(frame.image, spacing)), np.array(values, np.uint8)[shares.argmax(axis=0)]


def _pixel_mm(frame: Frame, grid: Grid) -> float:
    _, height, width = frame.image.shape
    y, x = grid.pixel_mm((height, width), (frame.spacing[1], frame.spacing[2]))
    return (y + x) / 2


def _heart_centre(labels: NDArray[np.uint8]) -> NDArray[np.float64]:
    _, rows, columns = np.nonzero((labels != Structure.BACKGROUND) & (labels != UNKNOWN))
    if not len(rows):
        return np.zeros(2)
    size = labels.shape[-1]
    centre: NDArray[np.float64] = np.array([columns.mean(), rows.mean()]) * 2 / (size - 1) - 1
    return centre
