"""The in-plane grids that networks see, each with its inverse.

A grid is one linear map along each in-plane axis, so resampling a stack of slices is two matrix products, `R_h @ image @ R_w.T`. Rows of
R hold the weights of linear interpolation, widened to a triangle when the grid is coarser than the image so that detail is averaged and
not skipped. Positions count from pixel centres; the centre of the image lies on the centre of the grid. A linear ramp keeps its place
exactly on a finer grid, and to a tenth of an image pixel on a coarser one. Beyond the border the edge is repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shortaxis.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGEST: Final = 1024
"""Pixels along an edge: no cine has more, and a damaged model file cannot ask for more memory than this takes."""


@dataclass(frozen=True)
class PhysicalGrid:
    """A square grid of fixed pixel size: what does not fit is cropped, what is missing is filled with the edge.

    Attributes:
        spacing_mm: Edge of a pixel in mm.
        size: Pixels along each edge.
    """

    spacing_mm: float = 1.25
    size: int = 224

    def __post_init__(self) -> None:
        _check_size(self.size)
        if not isinstance(self.spacing_mm, int | float) or not 0 < self.spacing_mm < np.inf:
            msg = f"grid: spacing_mm must be a length above zero, not {self.spacing_mm}"
            raise InputError(msg)

    def sample(self, image: NDArray[Any], spacing: tuple[float, float]) -> NDArray[np.float32]:
        """Bring an image to the grid.

        Args:
            image: Any real dtype (..., H, W).
            spacing: In-plane spacing of the image in mm, (y, x).

        Returns:
            float32 (..., size, size).
        """
        steps = tuple(self.spacing_mm / mm for mm in spacing)
        return _apply(image, (self.size, self.size), steps)

    def restore(self, values: NDArray[Any], shape: tuple[int, int], spacing: tuple[float, float]) -> NDArray[np.float32]:
        """Bring values on the grid, such as probabilities (..., size, size), back to an image of `shape` and `spacing`."""
        steps = tuple(mm / self.spacing_mm for mm in spacing)
        return _apply(values, shape, steps)

    def pixel_mm(self, shape: tuple[int, int], spacing: tuple[float, float]) -> tuple[float, float]:  # noqa: ARG002
        """Edges of a grid pixel in mm, (y, x), for an image of `shape` and `spacing`."""
        return self.spacing_mm, self.spacing_mm

    def covers(self, shape: tuple[int, int], spacing: tuple[float, float]) -> NDArray[np.bool_]:
        """Which pixels of an image lie on the grid, bool (H, W); at the others `restore` only repeats the edge."""
        reach = self.size * self.spacing_mm / 2
        rows, columns = (np.abs(np.arange(n) - (n - 1) / 2) * mm <= reach for n, mm in zip(shape, spacing, strict=True))
        covered: NDArray[np.bool_] = rows[:, None] & columns
        return covered


@dataclass(frozen=True)
class StretchedGrid:
    """The paper's grid: every image is stretched to a square of `size` pixels, whatever its spacing.

    Attributes:
        size: Pixels along each edge.
    """

    size: int = 224

    def __post_init__(self) -> None:
        _check_size(self.size)

    def sample(self, image: NDArray[Any], spacing: tuple[float, float]) -> NDArray[np.float32]:  # noqa: ARG002
        """Bring an image (..., H, W) to the grid; the spacing is ignored. Returns float32 (..., size, size)."""
        steps = tuple(length / self.size for length in image.shape[-2:])
        return _apply(image, (self.size, self.size), steps)

    def restore(self, values: NDArray[Any], shape: tuple[int, int], spacing: tuple[float, float]) -> NDArray[np.float32]:  # noqa: ARG002
        """Bring values on the grid (..., size, size) back to an image of `shape`; the spacing is ignored."""
        steps = tuple(self.size / length for length in shape)
        return _apply(values, shape, steps)

    def pixel_mm(self, shape: tuple[int, int], spacing: tuple[float, float]) -> tuple[float, float]:
        """Edges of a grid pixel in mm, (y, x), for an image of `shape` and `spacing`."""
        return shape[0] * spacing[0] / self.size, shape[1] * spacing[1] / self.size

    def covers(self, shape: tuple[int, int], spacing: tuple[float, float]) -> NDArray[np.bool_]:  # noqa: ARG002
        """Which pixels of an image lie on the grid, bool (H, W): all of them."""
        return np.ones(shape, bool)


@lru_cache(maxsize=64)
def _resampling_matrix(outputs: int, inputs: int, step: float) -> NDArray[np.float32]:
    """Weights (outputs, inputs) of linear interpolation; `step` is the distance of output pixels in input pixels."""
    centres = (np.arange(outputs) - (outputs - 1) / 2) * step + (inputs - 1) / 2
    centres = np.clip(centres, 0, inputs - 1)
    radius = max(step, 1.0)
    weights = np.maximum(0, 1 - np.abs(centres[:, None] - np.arange(inputs)) / radius)
    matrix: NDArray[np.float32] = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    matrix.setflags(write=False)
    return matrix


def _apply(values: NDArray[Any], shape: tuple[int, ...], steps: tuple[float, ...]) -> NDArray[np.float32]:
    rows = _resampling_matrix(shape[0], values.shape[-2], steps[0])
    columns = _resampling_matrix(shape[1], values.shape[-1], steps[1])
    result: NDArray[np.float32] = rows @ (np.asarray(values, np.float32) @ columns.T)
    return result


def _check_size(size: int) -> None:
    if not isinstance(size, int) or not 1 <= size <= LARGEST:
        msg = f"grid: size must be a whole number of pixels from 1 to {LARGEST}, not {size}"
        raise InputError(msg)
