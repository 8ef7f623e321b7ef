"""Intensity normalisation of one frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PERCENTILES: Final = (0.5, 99.5)


def normalise(frame: NDArray[Any]) -> NDArray[np.float32]:
    """Clip a frame at its 0.5th and 99.5th percentile, then bring it to mean 0 and standard deviation 1.

    Args:
        frame: Finite, any real dtype, (D, H, W).

    Returns:
        float32 of the same shape; all zero for a constant frame.
    """
    values = np.asarray(frame, np.float32)
    low, high = np.percentile(values, _PERCENTILES)
    values = np.clip(values, low, high)
    deviation = values.std(dtype=np.float64)
    if deviation <= np.finfo(np.float32).eps * max(abs(float(low)), abs(float(high))):
        return np.zeros_like(values)
    result: NDArray[np.float32] = ((values - values.mean(dtype=np.float64)) / deviation).astype(np.float32)
    return result
