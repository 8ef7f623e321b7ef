"""A data set that tells how far its reading has come."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from shortaxis.datasets.dataset import Dataset

if TYPE_CHECKING:
    from collections.abc import Callable

    from shortaxis.datasets.dataset import FrameRef
    from shortaxis.study import Frame


def watched(dataset: Dataset, on_frame: Callable[[str], None]) -> Dataset:
    """Give the same data set, which calls `on_frame` with a frame's name after each reading."""
    return Dataset(dataset.name, tuple(replace(ref, load=partial(_load, ref, on_frame)) for ref in dataset.refs))


def _load(ref: FrameRef, on_frame: Callable[[str], None]) -> Frame:
    frame = ref.load()
    on_frame(ref.name)
    return frame
