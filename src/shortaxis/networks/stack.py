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
