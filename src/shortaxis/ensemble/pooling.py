"""Eq. 2 and Eq. 3 of the paper as pure functions, over a batch of slices that belong to frames of different depth.

Shapes: N members, B slices, F frames, C classes. Which slices make up which frame is said by an averaging matrix (F, B): row f holds
1 / depth at the valid slices of frame f and 0 elsewhere, so that a mean over the depth of every frame is one matrix product. A mean over
other sets of slices is another matrix (K, B): that of a neighbourhood around each slice is `neighbourhood_matrix`, with K = B.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from shortaxis.networks.stack import stack_distances


class Pooled(NamedTuple):
    """What a pooling rule returns.

    Attributes:
        probabilities: (B, C, H, W), each pixel sums to one over C.
        sigma: (N, F, H, W) σ_i of Eq. 3 or what another rule has in its place, or None for a rule that has none.
        omega: (N, F, H, W) weights ω̄_i, each pixel sums to one over N.

    A rule that weighs every slice on its own has B in place of F.
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


def neighbourhood_matrix(averaging: Tensor, frame_of_slice: Tensor, radius: int) -> Tensor:
    """Build the matrix that takes, for each slice, the mean over the slices of its frame that are at most `radius` away.

    Args:
        averaging: (F, B), see `averaging_matrix`; the valid slices of a frame stand in the batch in the order of the stack.
        frame_of_slice: int64 (B,).
        radius: Slices to each side; 0 is the slice alone. At the end of a stack the mean runs over what there is.

    Returns:
        (B, B), rows of valid slices sum to one; a padding slice has a part in no other row.
    """
    same, distance = stack_distances(frame_of_slice, averaging.sum(dim=0) > 0)
    weight = (same & (distance <= radius)).to(averaging.dtype)
    return weight / weight.sum(dim=1, keepdim=True).clamp(min=1)


def depth_mean(members: Tensor, averaging: Tensor) -> Tensor:
    """μ_i of Eq. 3: mean over sets of slices of the members' probabilities.

    Args:
        members: (N, B, C, H, W) member probabilities ŷ_i.
        averaging: (K, B), one row a set, such as `averaging_matrix` gives.

    Returns:
        (N, K, C, H, W).
    """
    return torch.einsum("fb,nbchw->nfchw", averaging.to(members.dtype), members)


def variance_over_channels(mu: Tensor, *, unbiased: bool = True) -> Tensor:
    """Variance over channels of (N, K, C, H, W), dividing by C - 1 where `unbiased`: (N, K, H, W)."""
    # Written out, since torch's own `var` is slow along any but the last axis.
    deviation = mu - mu.mean(dim=2, keepdim=True)
    return deviation.square().sum(dim=2) / (mu.shape[2] - int(unbiased))


def channel_variance(members: Tensor, averaging: Tensor, *, unbiased: bool = True) -> Tensor:
    """σ_i of Eq. 3: the variance over channels of the member's mean over depth.

    Args:
        members: (N, B, C, H, W) member probabilities ŷ_i.
        averaging: (F, B), see `averaging_matrix`.
        unbiased: Divide by C - 1, as the authors' code does, and not by C.

    Returns:
        (N, F, H, W), in the unit of a squared probability.
    """
    return variance_over_channels(depth_mean(members, averaging), unbiased=unbiased)


def member_weights(sigma: Tensor, *, temperature: float | Tensor = 1.0) -> Tensor:
    """ω̄_i of Eq. 3: the softmax of σ_i over the members.

    Args:
        sigma: (N, F, H, W).
        temperature: Divides σ; 1 is the paper, below 1 sharpens the choice between members. A tensor has one element.

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
    frame_of_slice: Tensor | None,
    *,
    temperature: float | Tensor = 1.0,
    unbiased: bool = True,
    outer_softmax: bool = True,
) -> Pooled:
    """Eq. 3: every pixel of a frame weighs the members by how much each one's mean over depth stands by one class.

    Args:
        members: (N, B, C, H, W) member probabilities ŷ_i.
        averaging: (F, B), see `averaging_matrix`; or (B, B), the slices around each slice, see `neighbourhood_matrix`.
        frame_of_slice: int64 (B,), the row of `averaging` that holds for each slice; None for a matrix (B, B).
        temperature: See `member_weights`.
        unbiased: See `channel_variance`.
        outer_softmax: See `fixed_pooling`.
    """
    sigma = channel_variance(members, averaging, unbiased=unbiased)
    return weighted_pooling(members, sigma, frame_of_slice, temperature=temperature, outer_softmax=outer_softmax)


def weighted_pooling(
    members: Tensor,
    confidence: Tensor,
    set_of_slice: Tensor | None,
    *,
    temperature: float | Tensor = 1.0,
    outer_softmax: bool = True,
) -> Pooled:
    """The second half of Eq. 3, for any confidence: weights by a softmax over the members, and their weighted sum.

    Args:
        members: (N, B, C, H, W) member probabilities ŷ_i.
        confidence: (N, K, H, W), σ in Eq. 3; more is better.
        set_of_slice: int64 (B,), the row in [0, K) that holds for each slice; None: K = B, each slice has its own.
        temperature: See `member_weights`.
        outer_softmax: See `fixed_pooling`.
    """
    omega = member_weights(confidence, temperature=temperature)
    of_slice = omega[:, :, None] if set_of_slice is None else omega[:, set_of_slice, None]
    return Pooled(_outer((of_slice * members).sum(dim=0), outer_softmax), confidence, omega)


def _outer(combined: Tensor, outer_softmax: bool) -> Tensor:
    return torch.softmax(combined, dim=1) if outer_softmax else combined
