"""Finding the heart: one quick pass of a small network over a coarse picture, from any orientation.

It segments like any other network, on pixels of several millimetres; the centres of RV and LV give the centre of the heart and the
direction from LV to RV. It sees the picture in the eight ways in which rows and columns can be stored, and its answers are averaged, so the
pose does not depend on how a file is stored.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from scipy.ndimage import binary_dilation, label

from shortaxis.errors import InputError
from shortaxis.labels import Structure
from shortaxis.preprocessing import STANDARD_DEG, HeartPose, PhysicalGrid, normalise, pose_of_masses

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor, nn

SMALLEST_HEART_ML: Final = 20.0
_NOWHERE: Final = HeartPose((0.0, 0.0), STANDARD_DEG, certainty=0.0)
_NEAR: Final = np.array([[[0, 1, 0], [1, 1, 1], [0, 1, 0]]], bool)
"""Neighbours within a slice."""
_WAYS: Final = [(turns, flip) for flip in (False, True) for turns in range(4)]


class HeartFinder:
    """A network that finds the heart, with the grid it works on.

    Args:
        network: Turns (B, 1, S, S) into logits (B, 4, S, S).
        grid: Coarse pixels over a wide field of view.
    """

    def __init__(self, network: nn.Module, grid: PhysicalGrid) -> None:
        self.network, self.grid = network.eval(), grid

    def find(self, frames: Sequence[NDArray[Any]], spacing: tuple[float, float, float], *, mirrored: bool = False) -> HeartPose:
        """Find the pose of the heart.

        Args:
            frames: Some frames of one study, each (D, H, W), any real dtype, finite.
            spacing: (z, y, x) in mm.
            mirrored: Whether the picture is mirrored, see `shows_mirrored`.

        Returns:
            The pose, whose certainty is how well the eight ways agree in the direction; 0 where no heart is seen.
        """
        masses = np.mean([self._masses(frame, (spacing[1], spacing[2])) for frame in frames], axis=0)
        mean = masses.mean(axis=0)
        heart = _largest_part(mean.sum(axis=0) > 0.5)
        edge = self.grid.spacing_mm
        if mean[:, heart].sum() * edge**2 * spacing[0] / 1000 < SMALLEST_HEART_ML:
            return _NOWHERE
        pose, *ways = (pose_of_masses(each[0] * heart, each[1] * heart, (edge, edge), mirrored=mirrored) for each in (mean, *masses))
        if pose is None:
            return _NOWHERE
        directions = np.exp(1j * np.deg2rad([way.direction_deg for way in ways if way is not None]))
        return replace(pose, certainty=float(abs(directions.sum()) / len(_WAYS)))

    @torch.inference_mode()
    def _masses(self, frame: NDArray[Any], spacing: tuple[float, float]) -> NDArray[np.float64]:
        """Probabilities (8, 2, D, S, S) of the RV and of the LV with its wall, by each of the eight ways."""
        coarse = normalise(self.grid.sample(frame, spacing))
        device = next(self.network.parameters()).device
        slices = torch.from_numpy(np.concatenate([np.ascontiguousarray(_stored(coarse, *way)) for way in _WAYS]))[:, None].to(device)
        frames = torch.arange(len(_WAYS), device=device).repeat_interleave(len(coarse))
        logits: Tensor = self.network(slices, frames, None) if getattr(self.network, "needs_frames", False) else self.network(slices)
        shares = torch.softmax(logits.float(), dim=1)
        sides = torch.stack([shares[:, Structure.RV], shares[:, Structure.MYO] + shares[:, Structure.LV]]).cpu().numpy()
        ways = sides.reshape(2, len(_WAYS), len(coarse), self.grid.size, self.grid.size).swapaxes(0, 1)
        return np.stack([_restored(each, *way) for each, way in zip(ways, _WAYS, strict=True)]).astype(np.float64)


def frames_to_search(pixels: NDArray[Any], end_diastole: int | None = None) -> list[NDArray[Any]]:
    """Choose the frames of a study (T, D, H, W) in which the heart is looked for: ED, or else the first, and one about systole."""
    first = end_diastole or 0
    return [pixels[phase] for phase in sorted({first, (first + len(pixels) // 3) % len(pixels)})]


def build_finder(network: nn.Module, table: Mapping[str, Any]) -> HeartFinder:
    """Build a finder from its network and its table in a model file.

    Raises:
        InputError: The table does not describe a grid.
    """
    try:
        return HeartFinder(network, PhysicalGrid(table["spacing_mm"], table["size"]))
    except KeyError as error:
        msg = f"the description of the finder lacks {error}; use another model file"
        raise InputError(msg) from error


def _stored(image: NDArray[Any], turns: int, flip: bool) -> NDArray[Any]:
    return np.rot90(image[..., ::-1] if flip else image, turns, axes=(-2, -1))


def _restored(image: NDArray[Any], turns: int, flip: bool) -> NDArray[Any]:
    turned = np.rot90(image, -turns, axes=(-2, -1))
    return turned[..., ::-1] if flip else turned


def _largest_part(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest connected part of (D, S, S); a gap of four pixels does not part what belongs together."""
    parts, count = label(binary_dilation(mask, _NEAR, iterations=2))
    if not count:
        return mask
    sizes = np.bincount(parts[mask], minlength=count + 1)
    found: NDArray[np.bool_] = mask & (parts == sizes[1:].argmax() + 1)
    return found
