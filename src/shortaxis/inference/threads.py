"""Two libraries with threads of their own, and how they leave each other the cores."""

from __future__ import annotations

from contextlib import nullcontext
from functools import cache
from typing import TYPE_CHECKING

from threadpoolctl import ThreadpoolController

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import torch


def cores_for(device: torch.device) -> AbstractContextManager[object]:
    """Leave the cores to torch for the length of the block, where networks run on the CPU.

    OpenBLAS, which multiplies NumPy's matrices, keeps its threads spinning for some 20 ms after each product, in case another follows.
    Between resampling and networks they take the cores from torch, which costs a fifth of a frame's time on two cores. So it gets one
    thread in the block, and afterwards as many as it had. With networks on a GPU it keeps them all.
    """
    return _openblas().limit(limits=1) if device.type == "cpu" else nullcontext()


@cache
def _openblas() -> ThreadpoolController:
    """Every OpenBLAS of this process; asked for once, since looking for them takes longer than setting them."""
    return ThreadpoolController().select(internal_api="openblas")
