"""The 3D UNet of Isensee et al. (STACOM 2017, arXiv 1707.00587), one half of the paper's "2D&3D UNets"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch

from shortaxis.networks.isensee2d import Isensee2D
from shortaxis.networks.stack import stack_neighbours

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from torch import Tensor


class Isensee3D(Isensee2D):
    """The network of `Isensee2D` with 3x3x3 convolutions; pooling is in the image plane only, so that the depth of a frame stays.

    `needs_frames` makes the ensemble hand over which slice belongs to which frame. Frames of any depth share a batch; none is padded.

    Args:
        widths: See `Isensee2D`.
        dropout: See `Isensee2D`.
        **options: See `Isensee2D`.

    Raises:
        InputError: As `Isensee2D`.
    """

    along_depth = True
    needs_frames: Final = True

    def __init__(self, widths: Sequence[int] = (26, 52, 104, 208, 416), *, dropout: float = 0.5, **options: Any) -> None:
        super().__init__(widths, dropout=dropout, **options)

    def forward(self, slices: Tensor, frame_of_slice: Tensor | None = None, valid: Tensor | None = None) -> Tensor:
        """Turn slices into logits.

        Args:
            slices: float (B, 1, H, W); H and W are multiples of `self.multiple`.
            frame_of_slice: int64 (B,), the frame of each slice. None: all are one frame.
            valid: bool (B,), False for padding slices, at which no other slice looks. None: all are valid.

        Returns:
            (B, C, H, W).
        """
        if frame_of_slice is None:
            frame_of_slice = torch.zeros(len(slices), dtype=torch.long, device=slices.device)
        return self.logits(slices, stack_neighbours(frame_of_slice, valid))
