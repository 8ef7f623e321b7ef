"""This process among the processes that `torchrun` started; one process alone needs no set-up."""

from __future__ import annotations

import os
import platform
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist

from shortaxis.errors import InputError

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


def device_in_words(device: torch.device) -> str:
    """Name the hardware, for records."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads"


def choose_device(device: str = "auto", local_index: int = 0) -> torch.device:
    """Turn a device's name into a device that is there.

    Args:
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        local_index: Which GPU plain `cuda` and `auto` mean.

    Raises:
        InputError: The name is unknown, or the device is not there.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        msg = f"--device {device}: no such kind of device; choose auto, cpu, cuda or cuda:N"
        raise InputError(msg) from error
    if chosen.type == "cuda":
        chosen = torch.device("cuda", local_index if chosen.index is None else chosen.index)
        if chosen.index >= torch.cuda.device_count():
            msg = f"--device {device}: this machine has {torch.cuda.device_count()} CUDA devices; choose cpu, or one that is there"
            raise InputError(msg)
        torch.cuda.set_device(chosen)
    return chosen
