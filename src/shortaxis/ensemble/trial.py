"""Trying an ensemble out once, before it is trained and when it is read: do its members and its rule return what all else relies on?"""

from __future__ import annotations

from contextlib import contextmanager
from math import lcm
from typing import TYPE_CHECKING, Final

import torch

from shortaxis.errors import InputError
from shortaxis.labels import ACDC, N_CLASSES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from shortaxis.ensemble.model_file import ModelSpec
    from shortaxis.ensemble.streaming import StreamingEnsemble

_FRAME_OF_SLICE: Final = (0, 0, 1)
"""Fewest slices that tell a map for each slice from one for each frame."""
_TOLERANCE: Final = 1e-3
"""How far a sum of probabilities may lie from one."""


def try_out(ensemble: StreamingEnsemble, spec: ModelSpec, edge: int, device: torch.device | str = "cpu") -> None:
    """Run an ensemble once: each member on noise, then the pooling rule on random probabilities, then its views.

    Args:
        ensemble: Built from `spec`, in evaluation mode, on `device`. No weight and no random state of torch is changed.
        spec: Names the members and the rule.
        edge: Of the slices, in pixels.
        device: Where it runs.

    Raises:
        InputError: A member fails, gives no logits (B, 4, H, W) or no finite ones, or the rule fails or gives no `Pooled` whose
            probabilities and weights are finite, not negative and sum to one. The message names the network or the rule.
    """
    noise = torch.Generator().manual_seed(0)
    slices = torch.randn(len(_FRAME_OF_SLICE), 1, edge, edge, generator=noise).to(device)
    scores = torch.randn(len(ensemble.members), len(slices), N_CLASSES, edge, edge, generator=noise).to(device)
    frames = torch.tensor(_FRAME_OF_SLICE, device=device)
    with torch.inference_mode():
        for index, member in enumerate(spec.members):
            _ask(ensemble, index, member["network"], slices, frames)
        _pool(ensemble, spec.pooling["rule"], torch.softmax(3 * scores, dim=2), frames)
        if spec.augmenting:
            spec.build_augmenting()(ensemble, slices)


def try_out_at_least_cost(ensemble: StreamingEnsemble, spec: ModelSpec) -> None:
    """Run an ensemble on the smallest slices that say something of those on its grid.

    Those are the smallest that all members take by their attribute `multiple`, which costs next to nothing. Where a member has no such
    attribute, or fails on so few pixels, it is the grid's own size.

    Raises:
        InputError: As `try_out`, or the grid does not suit the members.
    """
    grid = spec.build_grid()
    size = grid.size
    multiples = [getattr(member, "multiple", None) for member in ensemble.members]
    edge = lcm(*(multiple or 1 for multiple in multiples))
    if size % edge or getattr(grid, "fallback_size", size) % edge:
        msg = f"its networks need slices whose edges are multiples of {edge}, but its grid is {spec.grid}; use another model"
        raise InputError(msg)
    if None in multiples or edge == size:
        return try_out(ensemble, spec, size)
    try:
        return try_out(ensemble, spec, edge)
    except InputError:  # such as normalisation over the pixels, of which it needs more than one
        return try_out(ensemble, spec, size)


@contextmanager
def told_of(what: str, failure: str, remedy: str = "mend its code, or its options") -> Iterator[None]:
    """Turn any failure of what may be the user's own code into one sentence that names it.

    Args:
        what: Begins the sentence; an `InputError` follows behind a colon.
        failure: What to say behind `what` of any other error, of which kind and first line follow (torch adds a trace from the second on).
        remedy: Ends the sentence then.

    Raises:
        InputError: In place of whatever was raised.
    """
    try:
        yield
    except InputError as error:
        msg = f"{what}: {error}"
        raise InputError(msg) from error
    except Exception as error:
        reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}".removesuffix(": ")
        msg = f"{what}{failure} ({reason}); {remedy}"
        raise InputError(msg) from error


def _ask(ensemble: StreamingEnsemble, index: int, network: str, slices: Tensor, frames: Tensor) -> None:
    """Ask one member."""
    edge = slices.shape[-1]
    with told_of(f"network '{network}'", f" cannot work on slices of {edge}x{edge} pixels"):
        said = ensemble.ask(index, slices, frames)
        if said.shape[1] != N_CLASSES:
            shape = (len(slices), N_CLASSES, edge, edge)
            msg = (
                f"it tells {said.shape[1]} classes apart, this version needs {N_CLASSES} ({ACDC.describe()}); "
                f"return logits of shape {shape} for slices of shape {tuple(slices.shape)}"
            )
            raise InputError(msg)
        if not torch.isfinite(said).all():
            msg = "its logits hold NaN or infinity"
            raise InputError(msg)


def _pool(ensemble: StreamingEnsemble, rule: str, members: Tensor, frames: Tensor) -> None:
    """Ask the rule."""
    with told_of(f"pooling rule '{rule}'", " fails"):
        pooled = ensemble.pool(members, frames, n_frames=max(_FRAME_OF_SLICE) + 1)
        for field, values, axis, over in (("probabilities", pooled.probabilities, 1, "classes"), ("omega", pooled.omega, 0, "members")):
            # Written so that NaN, which compares false with everything, is refused too.
            if not (values >= 0).all() or not ((values.sum(dim=axis) - 1).abs() <= _TOLERANCE).all():
                msg = f"its {field} must be finite, not negative, and sum to one over the {over}; normalise them in the rule"
                raise InputError(msg)
        if pooled.sigma is not None and not torch.isfinite(pooled.sigma).all():
            msg = "its sigma holds NaN or infinity; keep it finite, or return None"
            raise InputError(msg)
