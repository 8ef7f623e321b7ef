"""This process among the processes that `torchrun` started; one process alone needs no set-up."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist

from shortaxis.inference.device import choose_device

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Processes:
    """Position of this process.

    Attributes:
        index: Rank, from 0.
        count: Number of processes.
        device: The device of this process.
    """

    index: int
    count: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this process writes the files."""
        return self.index == 0

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process, so that all leave a loop at the same step."""
        if self.count == 1:
            return flag
        shared = torch.tensor(float(flag), device=self.device)
        dist.all_reduce(shared, dist.ReduceOp.MAX)
        return bool(shared)


@contextmanager
def joined_processes(device: str = "auto") -> Iterator[Processes]:
    """Join the processes of `torchrun` (environment RANK, WORLD_SIZE, LOCAL_RANK) for the length of the block.

    Args:
        device: `auto` (a GPU where there is one), `cpu`, `cuda` or `cuda:N`.

    Raises:
        InputError: The device is not there.
    """
    count, index = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    chosen = choose_device(device, int(os.environ.get("LOCAL_RANK", "0")))
    if count == 1:
        yield Processes(0, 1, chosen)
        return
    dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    try:
        yield Processes(index, count, chosen)
    finally:
        dist.destroy_process_group()
