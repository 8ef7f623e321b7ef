"""Which of the dimension indices of a multi-frame file counts the phases.

Each frame of an enhanced file carries DimensionIndexValues, one number a dimension. DimensionIndexSequence says what each dimension is;
where it is absent or names nothing that runs with time, the first dimension that tells all frames at one place apart counts the phases.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydicom import Dataset

_IN_TIME: Final = frozenset(
    {
        "TemporalPositionIndex",
        "TemporalPositionTimeOffset",
        "NominalCardiacTriggerDelayTime",
        "ActualCardiacTriggerDelayTime",
        "NominalPercentageOfCardiacPhase",
        "FrameReferenceDateTime",
        "FrameAcquisitionDateTime",
        "TriggerTime",
    }
)
"""Attributes that a dimension of time points to."""


def phase_indices(dataset: Dataset, positions: Sequence[tuple[float, ...]], indices: Sequence[tuple[float, ...]]) -> list[float | None]:
    """Give the number of the phase of each frame.

    Args:
        dataset: The header of the file.
        positions: Position of each frame.
        indices: Its dimension index values, possibly empty.

    Returns:
        A number for each frame, or None for all where no dimension tells the frames at one place apart.
    """
    unknown: list[float | None] = [None] * len(indices)
    length = min(map(len, indices), default=0)
    places: dict[tuple[float, ...], list[tuple[float, ...]]] = defaultdict(list)
    for position, index in zip(positions, indices, strict=True):
        places[position].append(index)
    if not length or max(map(len, places.values())) < 2:
        return unknown
    telling = [k for k in range(length) if all(len({index[k] for index in frames}) == len(frames) for frames in places.values())]
    named = [k for k in _temporal(dataset) if k in telling]
    return [index[(named or telling)[0]] for index in indices] if telling else unknown


def _temporal(dataset: Dataset) -> list[int]:
    """Which dimensions the header calls temporal."""
    from pydicom.datadict import keyword_for_tag  # noqa: PLC0415 (an optional package)

    try:
        pointers: list[Any] = [item.get("DimensionIndexPointer") for item in dataset.get("DimensionIndexSequence") or ()]
        return [k for k, pointer in enumerate(pointers) if pointer is not None and keyword_for_tag(pointer) in _IN_TIME]
    except Exception:  # a damaged value may fail in any way
        return []
