"""From signal to picture: coil sensitivity, off-resonance bands, point spread, noise, magnitude."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import fft

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shortaxis.phantom.scan import Scan


@dataclass(frozen=True)
class Scanner:
    """What the scanner does to the signal.

    Attributes:
        sensitivity: float32 (D, H, W), product of the bias field and the bSSFP bands, about 1 at the heart.
        window: float32 (H, W), k-space filter of the acquired resolution, zero frequency first.
        noise: Standard deviation of each of the two channels of noise, before the k-space filter, relative to LV blood.
        scale: Picture value of LV blood.
    """

    sensitivity: NDArray[np.float32]
    window: NDArray[np.float32]
    noise: float
    scale: float

    def acquire(self, rng: np.random.Generator, signal: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take the picture.

        Signal and complex noise pass the same k-space filter, and the magnitude is taken last: the result is Rician, and Rayleigh in
        air, with noise as smooth as the picture.

        Args:
            rng: Source of the noise.
            signal: float32 (D, H, W), signed.

        Returns:
            float32 (D, H, W), whole numbers as a scanner stores them, not negative.
        """
        noisy = np.empty(signal.shape, np.complex64)
        noisy.real = signal * self.sensitivity
        noisy.real += self.noise * rng.standard_normal(signal.shape, np.float32)
        noisy.imag = self.noise * rng.standard_normal(signal.shape, np.float32)
        spectrum = fft.fft2(noisy, overwrite_x=True)
        spectrum *= self.window
        picture: NDArray[np.float32] = np.rint(np.abs(fft.ifft2(spectrum, overwrite_x=True)) * np.float32(self.scale))
        return picture


def set_up_scanner(rng: np.random.Generator, scan: Scan, *, noise: float | None = None) -> Scanner:
    """Draw a scanner.

    Args:
        rng: Source of randomness.
        scan: The voxel grid.
        noise: Standard deviation of the noise in each channel relative to LV blood; None draws it.

    Returns:
        The scanner.
    """
    x, y = scan.x, scan.y
    # Surface coils lie on the chest (left) and the back (right): the signal falls off towards the middle and with the distance up and down.
    front, back = rng.uniform(0.25, 0.7), rng.uniform(0.1, 0.45)
    bias = 1 + front * np.exp(-(x + 110) / 38) + back * np.exp((x - 125) / 38)
    bias = np.minimum(bias, 2.2) * np.exp(-(((y + rng.uniform(-15, 15)) / rng.uniform(150, 210)) ** 2))
    across = x / 150 * rng.uniform(-0.18, 0.18) + y / 150 * rng.uniform(-0.18, 0.18) + scan.z / 100 * rng.uniform(-0.08, 0.08)
    # bSSFP bands: the signal vanishes where the field is off by half a cycle each repetition; the shim is good at the heart only.
    shift = rng.uniform(-20, 20, 2)
    slant = rng.uniform(-0.25, 0.45) * x
    off = ((x - shift[0]) / rng.uniform(150, 200)) ** 2 + ((y + slant - shift[1]) / rng.uniform(115, 150)) ** 4 + scan.z / 100 * 0.15
    bands = np.clip(np.abs(np.cos(np.pi / 2 * off)) * 2.2, 0.05, 1)
    sensitivity = (bias * np.exp(across) * bands).astype(np.float32)
    acquired = rng.uniform(1.7, 2.2)
    return Scanner(
        sensitivity=sensitivity / np.float32(bias[np.abs(y[:, 0]).argmin(), np.abs(x[0]).argmin()]),
        window=_k_space_window(scan, acquired),
        noise=float(rng.uniform(0.014, 0.032) if noise is None else noise),
        scale=float(rng.uniform(250, 600)),
    )


def _k_space_window(scan: Scan, acquired: float) -> NDArray[np.float32]:
    """Filter of a scan whose acquired pixel is `acquired` mm: flat in the middle of k-space, rolled off like a Tukey window at its edge."""
    windows = []
    for size, spacing in zip(scan.shape[1:], scan.spacing[1:], strict=True):
        position = np.abs(fft.fftfreq(size, spacing)) * 2 * max(acquired, spacing)
        windows.append(np.clip(0.5 + 0.5 * np.cos(np.pi * np.clip((position - 0.4) / 0.6, 0, 1)), 0, 1))
    return np.outer(*windows).astype(np.float32)
