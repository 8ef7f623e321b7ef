from __future__ import annotations

import torch

from shortaxis.networks.stack import stack_distances

# Three slices of frame 0, two of frame 1 in between, a padding slice of frame 0 at the end.
OWNER = torch.tensor([0, 1, 0, 1, 0, 0])
VALID = torch.tensor([True, True, True, True, True, False])


def test_slices_of_a_frame_find_each_other_and_no_padding() -> None:
    same, _ = stack_distances(OWNER, VALID)
    assert [row.nonzero().flatten().tolist() for row in same] == [[0, 2, 4], [1, 3], [0, 2, 4], [1, 3], [0, 2, 4], [0, 2, 4]]


def test_distance_is_counted_within_the_frame() -> None:
    _, distance = stack_distances(OWNER, VALID)
    assert distance[[0, 0, 2, 1], [2, 4, 4, 3]].tolist() == [1, 2, 1, 1]
    assert torch.equal(distance, distance.T)
    assert distance.diagonal().tolist() == [0] * 6


def test_all_slices_are_valid_unless_told_otherwise() -> None:
    same, distance = stack_distances(torch.zeros(3, dtype=torch.long))
    assert same.all()
    assert distance.tolist() == [[0, 1, 2], [1, 0, 1], [2, 1, 0]]
