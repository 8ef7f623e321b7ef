"""Streaming: members that are trained jointly through the pooled output (Eq. 1)."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, NamedTuple, TypeGuard

import torch
from torch import Tensor, nn

from shortaxis.ensemble.pooling import Pooled, averaging_matrix
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
        finder: A network that finds the heart for an aligned grid (`shortaxis.ensemble.finder`); it takes no part in `forward`.

    Raises:
        InputError: There is no member, one is no module, or the pooling is unknown or no rule.

    Examples:
        >>> import torch
        >>> from shortaxis.networks import UNet
        >>> pair = StreamingEnsemble([UNet((4, 8)), UNet((4, 8))], pooling="uncertainty")
        >>> out = pair(torch.zeros(6, 1, 32, 32), torch.tensor([0, 0, 0, 0, 1, 1]), n_frames=2)
        >>> tuple(out.probabilities.shape), tuple(out.omega.shape)
        ((6, 4, 32, 32), (2, 2, 32, 32))
    """

    def __init__(
        self, members: Iterable[nn.Module], pooling: PoolingRule | str = "uncertainty", *, finder: nn.Module | None = None
    ) -> None:
        super().__init__()
        members = list(members)
        for index, member in enumerate(members):
            if not isinstance(member, nn.Module):
                msg = f"member {index + 1} must be a torch.nn.Module, such as UNet(), not {member!r}"
                raise InputError(msg)
        if not members:
            msg = "an ensemble needs at least one member"
            raise InputError(msg)
        self.members = nn.ModuleList(members)
        self.finder = finder
        self.pooling: PoolingRule = build_pooling(pooling) if isinstance(pooling, str) else pooling
        if isinstance(pooling, type) or not callable(self.pooling):
            msg = f"the pooling must be a rule, such as Uncertainty(), or the name of one, not {pooling!r}"
            raise InputError(msg)

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
            InputError: A member cannot work on slices of this size or returns no logits (B, C, H, W), the members disagree in C, or the
                pooling rule does not return what `Pooled` says.
        """
        probabilities = [self.ask(index, slices, frame_of_slice, valid=valid) for index in range(len(self.members))]
        if len({member.shape for member in probabilities}) > 1:
            msg = f"the members must give logits of one shape, not {', '.join(str(tuple(member.shape)) for member in probabilities)}"
            raise InputError(msg)
        return self.pool(torch.stack(probabilities), frame_of_slice, n_frames=n_frames, valid=valid)

    def ask(self, index: int, slices: Tensor, frame_of_slice: Tensor | None = None, *, valid: Tensor | None = None) -> Tensor:
        """One member's probabilities (B, C, H, W), in float32 at least; the arguments behind its index are those of `forward`."""
        member = self.members[index]
        _check_size(member, index, slices)
        # A network that looks along the stack is told where each slice belongs.
        logits = member(slices, frame_of_slice, valid) if getattr(member, "needs_frames", False) else member(slices)
        _check_logits(logits, member, index, slices)
        return torch.softmax(logits, dim=1, dtype=torch.promote_types(logits.dtype, torch.float32))

    def pool(
        self, members: Tensor, frame_of_slice: Tensor | None = None, *, n_frames: int = 1, valid: Tensor | None = None
    ) -> EnsembleOutput:
        """Pool member probabilities (N, B, C, H, W) that were computed before; the other arguments are those of `forward`."""
        if frame_of_slice is None:
            frame_of_slice = torch.zeros(members.shape[1], dtype=torch.long, device=members.device)
        # Under autocast the mean over depth would run in half precision, where the small differences between the members' σ are lost.
        with nullcontext() if members.is_meta else torch.autocast(members.device.type, enabled=False):
            pooled = self.pooling(members, averaging_matrix(frame_of_slice, n_frames, valid), frame_of_slice)
        _check_pooled(pooled, self.pooling, members, members.shape[1] if self.per_slice else n_frames)
        return EnsembleOutput(pooled.probabilities, members, pooled.sigma, pooled.omega)


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


def _check_logits(logits: object, member: nn.Module, index: int, slices: Tensor) -> None:
    """Refuse what a network returns, by its type and shape alone: nothing is read back from the device."""
    batch, _, height, width = slices.shape
    if _is_float(logits) and logits.ndim == 4 and (logits.shape[0], *logits.shape[2:]) == (batch, height, width):
        return
    msg = (
        f"member {index + 1} ({type(member).__name__}) must return logits as one float tensor of shape ({batch}, C, {height}, {width}), "
        f"C the number of classes, not {_told(logits)}; change its forward"
    )
    raise InputError(msg)


def _check_pooled(pooled: object, rule: PoolingRule, members: Tensor, sets: int) -> None:
    """Refuse what a rule returns, by its type and shapes alone; `sets` is F, or B of a rule that weighs every slice."""
    name = getattr(rule, "__name__", type(rule).__name__)
    if not isinstance(pooled, Pooled):
        msg = f"pooling rule {name} must return Pooled(probabilities, sigma, omega), not {_told(pooled)}"
        raise InputError(msg)
    n, batch, classes, height, width = members.shape
    if not _is_float(pooled.probabilities) or tuple(pooled.probabilities.shape) != (batch, classes, height, width):
        wanted = (batch, classes, height, width)
        msg = f"pooling rule {name} must return probabilities as a float tensor of shape {wanted}, not {_told(pooled.probabilities)}"
        raise InputError(msg)
    for field, value in (("sigma", pooled.sigma), ("omega", pooled.omega)):
        if (value is None and field == "sigma") or (_is_float(value) and tuple(value.shape) == (n, sets, height, width)):
            continue
        msg = (
            f"pooling rule {name} must return {field} as a float tensor of shape {(n, sets, height, width)}, not {_told(value)}: one map a "
            "frame, or one a slice where the rule says `per_slice = True`"
        )
        raise InputError(msg)


def _is_float(value: object) -> TypeGuard[Tensor]:
    return isinstance(value, Tensor) and value.is_floating_point()


def _told(value: object) -> str:
    return f"{value.dtype} of shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
