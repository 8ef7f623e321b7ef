"""Eq. 2 and Eq. 3 of the paper as pure functions, over a batch of slices that belong to frames of different depth.

Shapes: N members, B slices, F frames, C classes. Which slices make up which frame is said by an averaging matrix (F, B): row f holds
1 / depth at the valid slices of frame f and 0 elsewhere, so that a mean over the depth of every frame is one matrix product.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Pooled(NamedTuple):
    """What a pooling rule returns.

    Attributes:
        probabilities: (B, C, H, W), each pixel sums to one over C.
        sigma: (N, F, H, W) σ_i of Eq. 3, or None for a rule that has none.
        omega: (N, F, H, W) weights ω̄_i, each pixel sums to one over N.
    """

    probabilities: Tensor
    sigma: Tensor | None
    omega: Tensor


def averaging_matrix(frame_of_slice: Tensor, n_frames: int, valid: Tensor | None = None) -> Tensor:
    """Build the averaging matrix of a batch.

    Args:
        frame_of_slice: int64 (B,), the frame in [0, F) that each slice belongs to.
        n_frames: F. Given by the caller, so that no value is read back from the device.
        valid: bool (B,), False for padding slices, which count nowhere. None: all are valid.

    Returns:
        float32 (F, B). The row of a frame without a valid slice is zero.
    """
    frames = torch.arange(n_frames, device=frame_of_slice.device)
    member = frame_of_slice[None, :] == frames[:, None]
    if valid is not None:
        member = member & valid[None, :]
    weight = member.float()
    return weight / weight.sum(dim=1, keepdim=True).clamp(min=1)


def channel_variance(members: Tensor, averaging: Tensor, *, unbiased: bool = True) -> Tensor:
    """σ_i of Eq. 3: the variance over channels of the member's mean over depth.

    Args:
        members: (N, B, C, H, W) member probabilities ŷ_i.
        averaging: (F, B), see `averaging_matrix`.
        unbiased: Divide by C - 1, as the authors' code does, and not by C.

    Returns:
        (N, F, H, W), in the unit of a squared probability.
    """
    mu = torch.einsum("fb,nbchw->nfchw", averaging.to(members.dtype), members)
    # Written out, since torch's own `var` is slow along any but the last axis.
    deviation = mu - mu.mean(dim=2, keepdim=True)
    return deviation.square().sum(dim=2) / (mu.shape[2] - int(unbiased))


def member_weights(sigma: Tensor, *, temperature: float = 1.0) -> Tensor:
    """ω̄_i of Eq. 3: the softmax of σ_i over the members.

    Args:
        sigma: (N, F, H, W).
        temperature: Divides σ; 1 is the paper, below 1 sharpens the choice between members.

    Returns:
        (N, F, H, W), summing to one over N.
    """
    return torch.softmax(sigma / temperature, dim=0)


def fixed_pooling(members: Tensor, weights: Tensor, averaging: Tensor, *, outer_softmax: bool = True) -> Pooled:
    """Eq. 2: softmax of the convex combination of the members with prior weights.

    Args:
        members: (N, B, C, H, W) member probabilities ŷ_i.
        weights: (N,) ω_i, non-negative, summing to one.
        averaging: (F, B); only F is used, for the shape of omega.
        outer_softmax: Apply the softmax as printed. Without it the combination itself, already a probability, is returned.
    """
    combined = torch.einsum("n,nbchw->bchw", weights.to(members.dtype), members)
    n, _, _, height, width = members.shape
    omega = weights.to(members.dtype)[:, None, None, None].expand(n, len(averaging), height, width)
    return Pooled(_outer(combined, outer_softmax), None, omega)


def uncertainty_pooling(
    members: Tensor,
    averaging: Tensor,
    frame_of_slice: Tensor,
    *,
    temperature: float = 1.0,
    unbiased: bool = True,
    outer_softmax: bool = True,
) -> Pooled:
    """Eq. 3: every pixel of a frame weighs the members by how much each one's mean over depth stands by one class.

    Args:
        members: (N, B, C, H, W) member probabilities ŷ_i.
        averaging: (F, B), see `averaging_matrix`.
        frame_of_slice: int64 (B,).
        temperature: See `member_weights`.
        unbiased: See `channel_variance`.
        outer_softmax: See `fixed_pooling`.
    """
    sigma = channel_variance(members, averaging, unbiased=unbiased)
    omega = member_weights(sigma, temperature=temperature)
    combined = (omega[:, frame_of_slice, None] * members).sum(dim=0)
    return Pooled(_outer(combined, outer_softmax), sigma, omega)


def _outer(combined: Tensor, outer_softmax: bool) -> Tensor:
    return torch.softmax(combined, dim=1) if outer_softmax else combined
