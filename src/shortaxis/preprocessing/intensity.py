"""Intensity normalisation of one frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PERCENTILES: Final = (0.5, 99.5)


class IntensityWindow(NamedTuple):
    """The grey values that count in a frame.

    Attributes:
        low: 0.5th percentile.
        high: 99.5th percentile.
        mean: Mean of the values clipped at both.
        deviation: Standard deviation of the values clipped at both; 0 for a constant frame.
    """

    low: float
    high: float
    mean: float
    deviation: float

    @classmethod
    def of(cls, frame: NDArray[Any]) -> IntensityWindow:
        """Measure a frame: finite, any real dtype, any shape."""
        values = np.asarray(frame, np.float32)
        low, high = np.percentile(values, _PERCENTILES)
        values = np.clip(values, low, high)
        deviation = values.std(dtype=np.float64)
        if deviation <= np.finfo(np.float32).eps * max(abs(float(low)), abs(float(high))):
            deviation = np.float64(0)
        # NumPy's own scalars: they keep the arithmetic of `apply` in float64.
        return cls(low, high, values.mean(dtype=np.float64), deviation)

    def apply(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Clip values, then bring them to mean 0 and standard deviation 1; all zero where the window is that of a constant frame."""
        values = np.asarray(values, np.float32)
        if self.deviation == 0:
            return np.zeros_like(values)
        result: NDArray[np.float32] = ((np.clip(values, self.low, self.high) - self.mean) / self.deviation).astype(np.float32)
        return result


def normalise(frame: NDArray[Any]) -> NDArray[np.float32]:
    """Clip a frame at its 0.5th and 99.5th percentile, then bring it to mean 0 and standard deviation 1.

    Args:
        frame: Finite, any real dtype, (D, H, W).

    Returns:
        float32 of the same shape; all zero for a constant frame.
    """
    return IntensityWindow.of(frame).apply(frame)
