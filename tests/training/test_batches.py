from __future__ import annotations

from itertools import chain, islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shortaxis.errors import InputError
from shortaxis.training.batches import iterate_batches, pack_epoch, plan_batch

DEPTHS = st.lists(st.integers(1, 18), min_size=1, max_size=40)


@given(DEPTHS, st.integers(1, 8), st.integers(18, 96), st.integers(0, 5))
def test_an_epoch_holds_every_frame_once_and_no_batch_overflows(depths, frames, slots, epoch):
    batches = pack_epoch(depths, frames, slots, seed=1, epoch=epoch)
    assert sorted(chain.from_iterable(batches)) == list(range(len(depths)))
    for members in batches:
        assert len(members) <= frames
        assert sum(depths[frame] for frame in members) <= slots


def test_epochs_are_shuffled_anew_but_repeatably():
    depths = [5] * 20
    assert pack_epoch(depths, 4, 20, seed=1, epoch=0) == pack_epoch(depths, 4, 20, seed=1, epoch=0)
    assert pack_epoch(depths, 4, 20, seed=1, epoch=0) != pack_epoch(depths, 4, 20, seed=1, epoch=1)
    assert pack_epoch(depths, 4, 20, seed=1, epoch=0) != pack_epoch(depths, 4, 20, seed=2, epoch=0)


def test_a_frame_deeper_than_a_batch_is_refused():
    with pytest.raises(InputError, match=r"19 slices.*18 slots.*batch\.slices"):
        pack_epoch([3, 19], 8, 18, seed=0, epoch=0)


def test_slices_of_the_chosen_frames_come_first_and_padding_repeats_them():
    # Frames of 2, 3 and 1 slices stand at slices 0-1, 2-4 and 5 of the stack.
    plan = plan_batch([2, 0], np.array([2, 3, 1]), frames=3, slots=5)
    assert plan.slices.tolist() == [5, 0, 1, 5, 0]
    assert plan.frame_of_slice.tolist() == [0, 1, 1, 0, 1]
    assert plan.valid.tolist() == [True, True, True, False, False]
    assert plan.frames.tolist() == [2, 0, 2]


@given(DEPTHS, st.integers(0, 30), st.integers(1, 12))
def test_resuming_anywhere_sees_the_batches_of_an_uninterrupted_run(depths, first, more):
    def plans(start):
        return [plan.slices.tolist() for plan in iterate_batches(depths, 3, 40, 7, first=start, count=first + more)]

    whole = plans(0)
    assert len(whole) == first + more
    assert plans(first) == list(islice(whole, first, None))
