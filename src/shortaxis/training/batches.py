"""Packing whole frames of different depth into batches of one fixed shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shortaxis.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray


class BatchPlan(NamedTuple):
    """Which slices make up a batch.

    Attributes:
        slices: int64 (B,), indices into the stack of all slices.
        frame_of_slice: int64 (B,), the frame's position within the batch.
        frames: int64 (F,), the frames of the data set; positions that are not filled repeat the first frame and own no valid slice.
        valid: bool (B,), False for padding.
    """

    slices: NDArray[np.int64]
    frame_of_slice: NDArray[np.int64]
    frames: NDArray[np.int64]
    valid: NDArray[np.bool_]


def pack_epoch(depths: Sequence[int], frames: int, slots: int, seed: int, epoch: int) -> list[list[int]]:
    """Shuffle the frames and deal them into batches, each frame once: first fit over the batches that still have room.

    Args:
        depths: Number of slices of every frame.
        frames: Largest number of frames in a batch.
        slots: Number of slices that a batch holds.
        seed: Of the run.
        epoch: Each one is shuffled anew; the same pair of seed and epoch gives the same batches.

    Returns:
        Frame indices, batch by batch.

    Raises:
        InputError: A frame is deeper than a batch.
    """
    if max(depths) > slots:
        msg = f"a frame has {max(depths)} slices, but a batch only {slots} slots; raise batch.slices in the recipe"
        raise InputError(msg)
    order = np.random.default_rng((seed, epoch)).permutation(len(depths))
    batches: list[list[int]] = []
    room: list[int] = []
    for frame in order.tolist():
        depth = depths[frame]
        for index, members in enumerate(batches):
            if len(members) < frames and room[index] >= depth:
                members.append(frame)
                room[index] -= depth
                break
        else:
            batches.append([frame])
            room.append(slots - depth)
    return batches


def plan_batch(members: Sequence[int], depths: NDArray[np.int64], frames: int, slots: int) -> BatchPlan:
    """Lay the slices of some frames into the slots of one batch; padding repeats the batch's own slices, so that statistics stay sound."""
    starts = np.concatenate(([0], np.cumsum(depths)))
    slices = np.concatenate([np.arange(starts[frame], starts[frame + 1]) for frame in members])
    owner = np.repeat(np.arange(len(members)), depths[list(members)])
    filled = np.arange(slots) % len(slices)
    positions = np.full(frames, members[0], np.int64)
    positions[: len(members)] = members
    return BatchPlan(slices[filled], owner[filled], positions, np.arange(slots) < len(slices))


def iterate_batches(depths: Sequence[int], frames: int, slots: int, seed: int, *, first: int, count: int) -> Iterator[BatchPlan]:
    """Give batches `first` to `count - 1` of the endless sequence of epochs.

    The sequence depends on nothing but the arguments, so a run that resumes at a step sees what an uninterrupted one would have seen.
    """
    depth_array = np.asarray(depths, np.int64)
    step, epoch = 0, 0
    while step < count:
        for members in pack_epoch(depths, frames, slots, seed, epoch):
            if first <= step < count:
                yield plan_batch(members, depth_array, frames, slots)
            step += 1
        epoch += 1
