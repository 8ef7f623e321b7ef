"""The training set as it lies on the device: every slice of every frame in one tensor, decoded once."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from shortaxis.errors import DataWarning, InputError
from shortaxis.labels import Structure
from shortaxis.preprocessing import Grid, normalise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from shortaxis.datasets.dataset import Dataset
    from shortaxis.study import Frame


@dataclass(frozen=True)
class ResidentSet:
    """All frames of a data set on the grid.

    Attributes:
        images: float16 (S, G, G), normalised per frame; S slices of all frames one after another.
        labels: uint8 (S, G, G).
        depths: Number of slices of every frame, in order.
        centres: float32 (F, 2), centre of the annotated heart of every frame as (x, y) in [-1, 1] of the grid.
        pixel_mm: float32 (F,), edge of a grid pixel in mm, the mean of both axes on a stretched grid.
    """

    images: Tensor
    labels: Tensor
    depths: tuple[int, ...]
    centres: Tensor
    pixel_mm: Tensor

    def take(self, frames: Sequence[int]) -> ResidentSet:
        """Copy some frames, in this order; one that is named twice is there twice."""
        starts = np.concatenate(([0], np.cumsum(self.depths)))
        slices = torch.from_numpy(np.concatenate([np.arange(starts[frame], starts[frame + 1]) for frame in frames])).to(self.images.device)
        chosen = torch.tensor(list(frames), device=self.images.device)
        depths = tuple(self.depths[frame] for frame in frames)
        return ResidentSet(self.images[slices], self.labels[slices], depths, self.centres[chosen], self.pixel_mm[chosen])


def load_resident(dataset: Dataset, grid: Grid, device: torch.device) -> ResidentSet:
    """Read a data set, bring it to the grid, normalise it, and put it on the device.

    Raises:
        InputError: The data set has no frame, the image of one has a single grey value, or none has an annotated structure.

    Warns:
        DataWarning: Some frames have no annotated structure.
    """
    if not len(dataset):
        msg = f"the data set '{dataset.name}' holds no annotated frame to train on"
        raise InputError(msg)
    images, labels, depths, centres, pixels = [], [], [], [], []
    empty: list[str] = []
    for frame in dataset:
        image, label = frame_on_grid(frame, grid)
        if not image.any():
            msg = f"{frame.name}: its image has a single grey value, which teaches nothing; replace the image or remove the frame"
            raise InputError(msg)
        if not label.any():
            empty.append(frame.name)
        images.append(image.astype(np.float16))
        labels.append(label)
        depths.append(len(image))
        centres.append(_heart_centre(label))
        pixels.append(_pixel_mm(frame, grid))
    _name_empty(dataset.name, empty, len(depths))
    return ResidentSet(
        torch.from_numpy(np.concatenate(images)).to(device),
        torch.from_numpy(np.concatenate(labels)).to(device),
        tuple(depths),
        torch.tensor(np.stack(centres), dtype=torch.float32, device=device),
        torch.tensor(pixels, dtype=torch.float32, device=device),
    )


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


def frame_on_grid(frame: Frame, grid: Grid) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Sample one frame: the normalised image float32 (D, G, G), and the class of largest share in each pixel, uint8 (D, G, G)."""
    spacing = frame.spacing[1:]
    shares = np.stack([grid.sample(frame.labels == structure, spacing) for structure in Structure])
    return normalise(grid.sample(frame.image, spacing)), shares.argmax(axis=0).astype(np.uint8)


def _pixel_mm(frame: Frame, grid: Grid) -> float:
    _, height, width = frame.image.shape
    y, x = grid.pixel_mm((height, width), (frame.spacing[1], frame.spacing[2]))
    return (y + x) / 2


def _heart_centre(labels: NDArray[np.uint8]) -> NDArray[np.float64]:
    _, rows, columns = np.nonzero(labels)
    if not len(rows):
        return np.zeros(2)
    size = labels.shape[-1]
    centre: NDArray[np.float64] = np.array([columns.mean(), rows.mean()]) * 2 / (size - 1) - 1
    return centre
