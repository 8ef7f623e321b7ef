"""Streaming: members that are trained jointly through the pooled output (Eq. 1)."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from shortaxis.ensemble.pooling import averaging_matrix
from shortaxis.ensemble.rules import PoolingRule, build_pooling
from shortaxis.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable


class EnsembleOutput(NamedTuple):
    """What an ensemble says of a batch; float32 also under autocast, and float64 of networks in float64.

    Attributes:
        probabilities: (B, C, H, W), pooled.
        members: (N, B, C, H, W), each member's probabilities ŷ_i.
        sigma: (N, F, H, W), or None for a rule without it.
        omega: (N, F, H, W).

    σ and ω̄ of a rule that weighs every slice on its own are (N, B, H, W); see `StreamingEnsemble.per_slice`.
    """

    probabilities: Tensor
    members: Tensor
    sigma: Tensor | None
    omega: Tensor


class StreamingEnsemble(nn.Module):
    """Any number and mix of networks under one pooling rule.

    A loss on `probabilities` sends a gradient to every member by the chain rule (Eq. 1); nothing is detached on the way.

    Args:
        members: Networks from (B, 1, H, W) to (B, C, H, W) logits, with equal C; see `shortaxis.networks` for those that need frames.
        pooling: A pooling rule, or the name of a registered one (`fixed`, `uncertainty`).

    Raises:
        InputError: There is no member, or the pooling is unknown.

    Examples:
        >>> import torch
        >>> from shortaxis.networks import UNet
        >>> pair = StreamingEnsemble([UNet((4, 8)), UNet((4, 8))], pooling="uncertainty")
        >>> out = pair(torch.zeros(6, 1, 32, 32), torch.tensor([0, 0, 0, 0, 1, 1]), n_frames=2)
        >>> tuple(out.probabilities.shape), tuple(out.omega.shape)
        ((6, 4, 32, 32), (2, 2, 32, 32))
    """

    def __init__(self, members: Iterable[nn.Module], pooling: PoolingRule | str = "uncertainty") -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        if not len(self.members):
            msg = "an ensemble needs at least one member"
            raise InputError(msg)
        self.pooling: PoolingRule = build_pooling(pooling) if isinstance(pooling, str) else pooling

    @property
    def per_slice(self) -> bool:
        """Whether the pooling rule weighs every slice on its own, and not all slices of a frame alike."""
        return bool(getattr(self.pooling, "per_slice", False))

    def forward(
        self,
        slices: Tensor,
        frame_of_slice: Tensor | None = None,
        *,
        n_frames: int = 1,
        valid: Tensor | None = None,
    ) -> EnsembleOutput:
        """Segment a batch of slices.

        Args:
            slices: float (B, 1, H, W), normalised.
            frame_of_slice: int64 (B,), the frame in [0, n_frames) of each slice. None: all slices are one frame.
            n_frames: F.
            valid: bool (B,), False for padding slices, which have no part in σ. None: all are valid.

        Raises:
            InputError: A member cannot work on slices of this size, or the members disagree in the number of classes.
        """
        for index, member in enumerate(self.members):
            _check_size(member, index, slices)
        probabilities = [_probabilities(member, slices, frame_of_slice, valid) for member in self.members]
        if len({member.shape for member in probabilities}) > 1:
            msg = f"the members must give logits of one shape, not {', '.join(str(tuple(member.shape)) for member in probabilities)}"
            raise InputError(msg)
        return self.pool(torch.stack(probabilities), frame_of_slice, n_frames=n_frames, valid=valid)

    def pool(
        self, members: Tensor, frame_of_slice: Tensor | None = None, *, n_frames: int = 1, valid: Tensor | None = None
    ) -> EnsembleOutput:
        """Pool member probabilities (N, B, C, H, W) that were computed before; the other arguments are those of `forward`."""
        if frame_of_slice is None:
            frame_of_slice = torch.zeros(members.shape[1], dtype=torch.long, device=members.device)
        # Under autocast the mean over depth would run in half precision, where the small differences between the members' σ are lost.
        with nullcontext() if members.is_meta else torch.autocast(members.device.type, enabled=False):
            pooled = self.pooling(members, averaging_matrix(frame_of_slice, n_frames, valid), frame_of_slice)
        return EnsembleOutput(pooled.probabilities, members, pooled.sigma, pooled.omega)


def _probabilities(member: nn.Module, slices: Tensor, frame_of_slice: Tensor | None, valid: Tensor | None) -> Tensor:
    """Softmax of the logits, in float32 at least; a network that looks along the stack is told where each slice belongs."""
    logits: Tensor = member(slices, frame_of_slice, valid) if getattr(member, "needs_frames", False) else member(slices)
    return torch.softmax(logits, dim=1, dtype=torch.promote_types(logits.dtype, torch.float32))


def _check_size(member: nn.Module, index: int, slices: Tensor) -> None:
    """Refuse slices that a network, by its attribute `multiple`, cannot take; a network without the attribute takes any."""
    multiple = getattr(member, "multiple", 1)
    height, width = slices.shape[-2:]
    if height % multiple or width % multiple:
        msg = (
            f"slices of {height}x{width} pixels do not fit member {index + 1} ({type(member).__name__}): "
            f"both edges must be multiples of {multiple}; choose such a grid size"
        )
        raise InputError(msg)
