from __future__ import annotations

from itertools import chain, islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shortaxis.errors import InputError
from shortaxis.training.batches import cut_stack, iterate_batches, pack_epoch, plan_batch

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


def test_end_slices_are_the_first_two_and_the_last_two_of_each_frame():
    # Frames of 6 and 3 slices; the last slot is padding and repeats the first slice.
    plan = plan_batch([0, 1], np.array([6, 3]), frames=2, slots=10)
    assert plan.ends.tolist() == [True, True, False, False, True, True, True, True, True, True]


def test_a_stack_of_end_slices_is_a_frame_of_its_own():
    # Frame 1 has slices 2 to 7; its stack has the index F + 1 = 3.
    plan = plan_batch([1, 3, 0], np.array([2, 6]), frames=4, slots=14)
    assert plan.slices.tolist() == [2, 3, 4, 5, 6, 7, 2, 3, 6, 7, 0, 1, 2, 3]
    assert plan.frame_of_slice.tolist() == [0] * 6 + [1] * 4 + [2] * 2 + [0] * 2
    assert plan.frames.tolist() == [1, 1, 0, 1]
    assert plan.ends.tolist() == [True, True, False, False, True, True] + [True] * 8
    assert plan.valid.tolist() == [True] * 12 + [False] * 2


@given(DEPTHS, st.integers(1, 8), st.integers(18, 96), st.integers(0, 5))
def test_with_a_share_of_one_every_frame_comes_twice_and_no_batch_overflows(depths, frames, slots, epoch):
    batches = pack_epoch(depths, frames, slots, seed=1, epoch=epoch, end_stacks=1.0)
    assert sorted(chain.from_iterable(batches)) == list(range(2 * len(depths)))
    for members in batches:
        assert len(members) <= frames
        assert plan_batch(members, np.array(depths), frames, slots).valid.sum() <= slots


def test_share_of_end_stacks_is_drawn_anew_each_epoch():
    depths = [8] * 400
    drawn = [{unit for batch in pack_epoch(depths, 8, 64, 0, epoch, end_stacks=0.25) for unit in batch if unit >= 400} for epoch in (0, 1)]
    assert all(70 < len(units) < 130 for units in drawn)
    assert drawn[0] != drawn[1]


@pytest.mark.parametrize("end_stacks", [0.0, 0.5])
def test_shape_of_a_batch_never_changes(end_stacks):
    plans = list(iterate_batches([3, 9, 18, 6, 1], 3, 20, 7, first=0, count=12, end_stacks=end_stacks))
    assert {tuple(part.shape for part in plan) for plan in plans} == {((20,), (20,), (3,), (20,), (20,))}


def test_a_cut_stack_lacks_slices_at_its_ends_or_every_second_one():
    stack = np.arange(9)
    kept = {tuple(cut_stack(stack, np.random.default_rng(seed)).tolist()) for seed in range(200)}
    assert tuple(range(0, 9, 2)) in kept
    assert tuple(range(1, 9, 2)) in kept
    assert {len(cut) for cut in kept if len(cut) > 1 and cut[1] - cut[0] == 1} == {5, 6, 7, 8, 9}


def test_a_short_stack_stays_whole():
    for seed in range(50):
        assert len(cut_stack(np.arange(4), np.random.default_rng(seed))) >= 3


def test_cut_stacks_are_the_same_after_a_resume():
    def plans(first):
        return list(iterate_batches((8, 9, 7, 6), 2, 20, 3, first=first, count=8, cut_stacks=0.8))

    for one, other in zip(plans(0)[5:], plans(5), strict=True):
        assert all((a == b).all() for a, b in zip(one, other, strict=True))
    assert any((~plan.valid).sum() > 6 for plan in plans(0))
