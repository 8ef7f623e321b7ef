"""Which slices of a batch stand in one stack, and how far apart: for whatever looks along the depth of a frame."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class StackDistances(NamedTuple):
    """How slices of a batch stand to each other.

    Attributes:
        same: bool (B, B), True where the slice of the column is a valid slice of the frame that the slice of the row belongs to.
        distance: int64 (B, B), how many slices apart they are, where `same` is true.
    """

    same: Tensor
    distance: Tensor


def stack_distances(frame_of_slice: Tensor, valid: Tensor | None = None) -> StackDistances:
    """Find the neighbours of every slice, without a loop and without reading a value back.

    Args:
        frame_of_slice: int64 (B,), the frame of each slice; the valid slices of a frame stand in the batch in the order of the stack.
        valid: bool (B,), False for padding slices, which are nobody's neighbours. None: all are valid.
    """
    same = frame_of_slice[:, None] == frame_of_slice[None, :]
    if valid is not None:
        same = same & valid[None, :]
    index = torch.arange(len(frame_of_slice), device=frame_of_slice.device)
    place = (same & (index[None, :] <= index[:, None])).sum(dim=1)
    return StackDistances(same, (place[:, None] - place[None, :]).abs())


class StackNeighbours(NamedTuple):
    """The slices just before and just behind each slice in its own frame.

    Attributes:
        before: int64 (B,), position of the slice before; of a slice that has none, any position.
        behind: int64 (B,), position of the slice behind.
        has_before: bool (B,), whether there is a slice before; never true of a padding slice.
        has_behind: bool (B,).
    """

    before: Tensor
    behind: Tensor
    has_before: Tensor
    has_behind: Tensor


def stack_neighbours(frame_of_slice: Tensor, valid: Tensor | None = None) -> StackNeighbours:
    """Find the slices before and behind every slice, without a loop and without reading a value back.

    Args:
        frame_of_slice: int64 (B,), the frame of each slice; the valid slices of a frame stand in the batch in the order of the stack.
        valid: bool (B,), False for padding slices, which have no neighbours and are nobody's. None: all are valid.
    """
    same = frame_of_slice[:, None] == frame_of_slice[None, :]
    if valid is not None:
        same = same & valid[None, :] & valid[:, None]
    index = torch.arange(len(frame_of_slice), device=frame_of_slice.device)
    earlier = same & (index[None, :] < index[:, None])
    later = same & (index[None, :] > index[:, None])
    before = torch.where(earlier, index[None, :], -1).amax(dim=1)
    behind = torch.where(later, index[None, :], len(index)).amin(dim=1)
    return StackNeighbours(before.clamp(min=0), behind.clamp(max=len(index) - 1), before >= 0, behind < len(index))
