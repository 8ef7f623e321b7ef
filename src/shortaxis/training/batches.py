"""Packing whole frames of different depth into batches of one fixed shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from shortaxis.errors import InputError
from shortaxis.metrics.end_coefficient import end_slices

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray


_LEAST_SLICES: Final = 3


class BatchPlan(NamedTuple):
    """Which slices make up a batch.

    Attributes:
        slices: int64 (B,), indices into the stack of all slices.
        frame_of_slice: int64 (B,), the frame's position within the batch.
        frames: int64 (F,), the frames of the data set; positions that are not filled repeat the first frame and own no valid slice.
        valid: bool (B,), False for padding.
        ends: bool (B,), True for the first two and the last two slices of a frame.
    """

    slices: NDArray[np.int64]
    frame_of_slice: NDArray[np.int64]
    frames: NDArray[np.int64]
    valid: NDArray[np.bool_]
    ends: NDArray[np.bool_]


def pack_epoch(depths: Sequence[int], frames: int, slots: int, seed: int, epoch: int, *, end_stacks: float = 0.0) -> list[list[int]]:
    """Shuffle the frames and deal them into batches, each frame once: first fit over the batches that still have room.

    A frame may come a second time, as a stack of its end slices only: that of frame f has the index F + f.

    Args:
        depths: Number of slices of every frame.
        frames: Largest number of frames in a batch.
        slots: Number of slices that a batch holds.
        seed: Of the run.
        epoch: Each one is shuffled anew; the same pair of seed and epoch gives the same batches.
        end_stacks: Share of the frames, drawn anew each epoch, that come a second time.

    Returns:
        Frame indices, batch by batch.

    Raises:
        InputError: A frame is deeper than a batch.
    """
    if max(depths) > slots:
        msg = f"a frame has {max(depths)} slices, but a batch only {slots} slots; raise batch.slices in the recipe"
        raise InputError(msg)
    rng = np.random.default_rng((seed, epoch))
    order = rng.permutation(len(depths))
    if end_stacks:
        again = np.flatnonzero(rng.random(len(depths)) < end_stacks) + len(depths)
        order = rng.permutation(np.concatenate([order, again]))
    sizes = [*depths, *(len(end_slices(depth)) for depth in depths)]
    batches: list[list[int]] = []
    room: list[int] = []
    for frame in order.tolist():
        depth = sizes[frame]
        for index, members in enumerate(batches):
            if len(members) < frames and room[index] >= depth:
                members.append(frame)
                room[index] -= depth
                break
        else:
            batches.append([frame])
            room.append(slots - depth)
    return batches


def plan_batch(
    members: Sequence[int],
    depths: NDArray[np.int64],
    frames: int,
    slots: int,
    *,
    cut_stacks: float = 0.0,
    rng: np.random.Generator | None = None,
) -> BatchPlan:
    """Lay the slices of some frames into the slots of one batch; padding repeats the batch's own slices, so that statistics stay sound.

    Args:
        members: Indices as `pack_epoch` deals them.
        depths: int64 (F,), number of slices of every frame.
        frames: Places for frames in the batch.
        slots: Places for slices in the batch.
        cut_stacks: Share of the frames that come as a stack planned otherwise; see `cut_stack`.
        rng: Draws them.
    """
    starts = np.concatenate(([0], np.cumsum(depths)))
    whole = [member % len(depths) for member in members]
    ends = [np.array(sorted(end_slices(int(depths[frame])))) for frame in whole]
    stacks = [end if member >= len(depths) else np.arange(depths[member]) for member, end in zip(members, ends, strict=True)]
    if rng is not None and cut_stacks:
        stacks = [cut_stack(stack, rng) if rng.random() < cut_stacks else stack for stack in stacks]
    slices = np.concatenate([starts[frame] + stack for frame, stack in zip(whole, stacks, strict=True)])
    at_end = np.concatenate([np.isin(stack, end) for stack, end in zip(stacks, ends, strict=True)])
    owner = np.repeat(np.arange(len(members)), [len(stack) for stack in stacks])
    filled = np.arange(slots) % len(slices)
    positions = np.full(frames, whole[0], np.int64)
    positions[: len(members)] = whole
    return BatchPlan(slices[filled], owner[filled], positions, np.arange(slots) < len(slices), at_end[filled])


def cut_stack(stack: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Plan a stack otherwise: leave out up to two slices at either end, or every second slice; at least three slices stay.

    Args:
        stack: int64 (D,), the slices in their order.
        rng: Draws what is left out.
    """
    if rng.random() < 1 / 3:
        cut = stack[int(rng.integers(2)) :: 2]
    else:
        first, last = rng.integers(3, size=2)
        cut = stack[first : len(stack) - last]
    return cut if len(cut) >= _LEAST_SLICES else stack


def iterate_batches(
    depths: Sequence[int],
    frames: int,
    slots: int,
    seed: int,
    *,
    first: int,
    count: int,
    end_stacks: float = 0.0,
    cut_stacks: float = 0.0,
) -> Iterator[BatchPlan]:
    """Give batches `first` to `count - 1` of the endless sequence of epochs.

    The sequence depends on nothing but the arguments, so a run that resumes at a step sees what an uninterrupted one would have seen.
    """
    depth_array = np.asarray(depths, np.int64)
    step, epoch = 0, 0
    while step < count:
        for members in pack_epoch(depths, frames, slots, seed, epoch, end_stacks=end_stacks):
            if first <= step < count:
                rng = np.random.default_rng((seed, epoch, step)) if cut_stacks else None
                yield plan_batch(members, depth_array, frames, slots, cut_stacks=cut_stacks, rng=rng)
            step += 1
        epoch += 1
