"""Two libraries with threads of their own, and how they leave each other the cores."""

from __future__ import annotations

from contextlib import nullcontext
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING

from threadpoolctl import ThreadpoolController

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import torch


def cores_for(device: torch.device) -> AbstractContextManager[object]:
    """Leave the cores to torch for the length of the block, where networks run on the CPU.

    OpenBLAS, which multiplies NumPy's matrices, keeps its threads spinning for a while after each product, in case another follows.
    Between resampling and networks they take the cores from torch, which costs a fifth of a frame's time on two cores. So it gets one
    thread while any such block is open, and as many as it had when the last one closes. With networks on a GPU it keeps them all.
    """
    return _one_thread() if device.type == "cpu" else nullcontext()


class _OneThread:
    """OpenBLAS with one thread while any block is open: the setting is the process's, and blocks of several threads may overlap."""

    def __init__(self) -> None:
        self._openblas = ThreadpoolController().select(internal_api="openblas")
        self._lock = Lock()
        self._open = 0

    def __enter__(self) -> None:
        with self._lock:
            if not self._open:
                self._limit = self._openblas.limit(limits=1)
            self._open += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._open -= 1
            if not self._open:
                self._limit.restore_original_limits()


@cache
def _one_thread() -> _OneThread:
    """The one of this process; looking for its libraries takes longer than setting them."""
    return _OneThread()
