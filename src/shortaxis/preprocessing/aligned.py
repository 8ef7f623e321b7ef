"""The heart-aligned grid: centred on the heart and turned so that every heart lies in the same direction.

The pose of the heart (`HeartPose`) is found once a study. A grid at that pose is one sparse matrix for each way: bilinear weights, widened
to a triangle when the target is coarser than the source so that detail is averaged and not skipped. So a picture is interpolated once,
whatever its rotation, and probabilities return by the inverse transform.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy import sparse

from shortaxis.errors import InputError
from shortaxis.preprocessing.grid import PhysicalGrid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shortaxis.preprocessing.pose import HeartPose


@dataclass(frozen=True)
class AlignedGrid(PhysicalGrid):
    """A square grid of fixed pixel size that is laid on the heart of each study.

    Where the pose is not known, the grid lies upright on the centre of the picture, as `PhysicalGrid`, and is `fallback_size` pixels wide.

    Attributes:
        spacing_mm: Edge of a pixel in mm.
        size: Pixels along each edge.
        fallback_size: Pixels along each edge where the pose is unknown.
    """

    spacing_mm: float = 1.25
    size: int = 144
    fallback_size: int = 224

    def at(self, pose: HeartPose) -> PosedGrid:
        """Lay the grid on a heart."""
        return PosedGrid(self.spacing_mm, self.size, pose)

    def upright(self) -> PhysicalGrid:
        """The grid for a study whose pose is unknown."""
        return PhysicalGrid(self.spacing_mm, self.fallback_size)

    def __post_init__(self) -> None:
        super().__post_init__()
        PhysicalGrid(self.spacing_mm, self.fallback_size)


@dataclass(frozen=True)
class PosedGrid:
    """An aligned grid at the pose of one study.

    Attributes:
        spacing_mm: Edge of a pixel in mm.
        size: Pixels along each edge.
        pose: Of the heart.
    """

    spacing_mm: float
    size: int
    pose: HeartPose

    def sample(self, image: NDArray[Any], spacing: tuple[float, float]) -> NDArray[np.float32]:
        """Bring an image (..., H, W) of any real dtype and of in-plane `spacing` (y, x) mm to the grid, float32 (..., size, size)."""
        matrix = _to_grid(self, (image.shape[-2], image.shape[-1]), spacing)
        return _applied(matrix, image, (self.size, self.size))

    def restore(self, values: NDArray[Any], shape: tuple[int, int], spacing: tuple[float, float]) -> NDArray[np.float32]:
        """Bring values on the grid (..., size, size) back to an image of `shape` and `spacing`; 0 where the grid does not reach."""
        return _applied(_to_image(self, shape, spacing), values, shape)

    def pixel_mm(self, shape: tuple[int, int], spacing: tuple[float, float]) -> tuple[float, float]:  # noqa: ARG002
        """Edges of a grid pixel in mm, (y, x)."""
        return self.spacing_mm, self.spacing_mm

    def covers(self, shape: tuple[int, int], spacing: tuple[float, float]) -> NDArray[np.bool_]:
        """Which pixels of an image lie on the grid, bool (H, W)."""
        reach = self.size * self.spacing_mm / 2
        return np.asarray((np.abs(_offsets_on_grid(self, shape, spacing)) <= reach).all(axis=0))


def _applied(matrix: sparse.csr_array, values: NDArray[Any], shape: tuple[int, int]) -> NDArray[np.float32]:
    stack = np.asarray(values, np.float32).reshape(-1, values.shape[-2] * values.shape[-1])
    result: NDArray[np.float32] = np.ascontiguousarray((matrix @ np.ascontiguousarray(stack.T)).T)
    return result.reshape(*values.shape[:-2], *shape)


def _offsets(edges: tuple[int, int], spacing: tuple[float, float]) -> NDArray[np.float64]:
    """Offsets (2, H, W) of pixel centres from the middle in mm, (down, right)."""
    axes = ((np.arange(n) - (n - 1) / 2) * mm for n, mm in zip(edges, spacing, strict=True))
    return np.stack(np.meshgrid(*axes, indexing="ij"))


def _offsets_on_grid(grid: PosedGrid, shape: tuple[int, int], spacing: tuple[float, float]) -> NDArray[np.float64]:
    """Offsets (2, H, W) of an image's pixels from the middle of the grid along its axes, in mm."""
    offsets = _offsets(shape, spacing) - np.array(grid.pose.centre_mm)[:, None, None]
    return np.tensordot(np.linalg.inv(grid.pose.to_image()), offsets, axes=1)


@lru_cache(maxsize=8)
def _to_grid(grid: PosedGrid, shape: tuple[int, int], spacing: tuple[float, float]) -> sparse.csr_array:
    """Weights (size², H·W)."""
    offsets = _offsets((grid.size, grid.size), (grid.spacing_mm, grid.spacing_mm))
    offsets = np.tensordot(grid.pose.to_image(), offsets, axes=1) + np.array(grid.pose.centre_mm)[:, None, None]
    points = [offset.ravel() / mm + (n - 1) / 2 for offset, mm, n in zip(offsets, spacing, shape, strict=True)]
    return interpolation_matrix(points, shape, tuple(grid.spacing_mm / mm for mm in spacing))


@lru_cache(maxsize=8)
def _to_image(grid: PosedGrid, shape: tuple[int, int], spacing: tuple[float, float]) -> sparse.csr_array:
    """Weights (H·W, size²); rows of pixels that the grid does not cover are empty."""
    offsets = _offsets_on_grid(grid, shape, spacing)
    covered = np.flatnonzero(grid.covers(shape, spacing))
    points = [offset.ravel()[covered] / grid.spacing_mm + (grid.size - 1) / 2 for offset in offsets]
    inside = interpolation_matrix(points, (grid.size, grid.size), tuple(mm / grid.spacing_mm for mm in spacing)).tocoo()
    rows = covered[inside.coords[0]].astype(np.int32)
    return sparse.coo_array((inside.data, (rows, inside.coords[1])), shape=(shape[0] * shape[1], grid.size**2)).tocsr()


def interpolation_matrix(points: list[NDArray[np.float64]], shape: tuple[int, int], steps: tuple[float, ...]) -> sparse.csr_array:
    """Weights of interpolation at points of an image.

    Args:
        points: Rows and columns (N,) of the points, in pixels; beyond the border the edge is repeated.
        shape: (H, W) of the image.
        steps: Distance of neighbouring points along each axis, in pixels; above 1 the weights are widened.

    Returns:
        float32 (N, H·W), rows adding up to 1.

    Raises:
        InputError: The points lie so far apart that the picture cannot be a scan of a heart.
    """
    axes = [_axis_weights(at, n, step) for at, n, step in zip(points, shape, steps, strict=True)]
    (row_at, row_weight), (column_at, column_weight) = axes
    taps = (row_at[:, :, None] * shape[1] + column_at[:, None, :]).reshape(len(row_at), -1)
    weights = (row_weight[:, :, None] * column_weight[:, None, :]).reshape(len(row_at), -1)
    indptr = np.arange(len(weights) + 1, dtype=np.int64) * weights.shape[1]
    matrix = sparse.csr_array((weights.ravel().astype(np.float32), taps.ravel(), indptr), shape=(len(weights), shape[0] * shape[1]))
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return matrix


_WIDEST: Final = 32


def _axis_weights(points: NDArray[np.float64], length: int, step: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Along one axis, pixels (N, K) and their weights."""
    radius = max(step, 1.0)
    if radius > _WIDEST:
        msg = f"the pixels of image and grid differ by a factor of {radius:.0f}, which no scan of a heart needs; check the spacing"
        raise InputError(msg)
    points = np.clip(points, 0, length - 1)
    taps = np.floor(points - radius)[:, None] + np.arange(1, int(np.ceil(2 * radius)) + 1)
    weights = np.maximum(0, 1 - np.abs(points[:, None] - taps) / radius)
    weights[(taps < 0) | (taps > length - 1)] = 0
    weights /= weights.sum(axis=1, keepdims=True)
    return np.clip(taps, 0, length - 1).astype(np.int64), weights
