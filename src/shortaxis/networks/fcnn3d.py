"""The 3D network of Patravali et al. (STACOM 2017, arXiv 1707.07960), one half of the paper's "2D-3D FCNN"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch

from shortaxis.networks.fcnn2d import Fcnn2D
from shortaxis.networks.stack import stack_neighbours

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from torch import Tensor


class Fcnn3D(Fcnn2D):
    """The network of `Fcnn2D` with 3x3x3 convolutions, at most 256 channels, and pooling in the image plane only.

    The authors pad a stack to twelve slices; here each frame keeps its depth, since `needs_frames` makes the ensemble hand over which slice
    belongs to which frame.

    Args:
        widths: See `Fcnn2D`; at most 256.
        **options: See `Fcnn2D`.

    Raises:
        InputError: As `Fcnn2D`.
    """

    along_depth = True
    needs_frames: Final = True

    def __init__(self, widths: Sequence[int] = (16, 32, 64, 128, 256), **options: Any) -> None:
        super().__init__(widths, **options)

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
