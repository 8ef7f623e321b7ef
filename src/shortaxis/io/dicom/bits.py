"""Which bits of a stored pixel hold its value.

BitsStored says how many they are, HighBit which is the highest: nearly always BitsStored − 1. Old files put the value at the upper end, and
some headers say so although it is not. The pixels decide: where the bits below the value are the same in all pixels, they are padding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from shortaxis.io.dicom.limits import ClaimError
from shortaxis.io.dicom.values import whole

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom import Dataset

_NEEDED: Final = ("BitsAllocated", "PixelRepresentation", "Rows", "Columns")
_WHOLE: Final = (8, 16, 32)


class Bits(NamedTuple):
    """Bits allocated and stored, and the highest bit of a value."""

    allocated: int
    stored: int
    high: int

    @property
    def as_usual(self) -> bool:
        """Whether the value fills the lower bits."""
        return self.high == self.stored - 1


def bits_of(dataset: Dataset) -> Bits:
    """Read the bits of a header, and fill in what it lacks and what can only be one thing.

    Raises:
        ClaimError: They contradict each other, or a needed one is missing.
    """
    for keyword in _NEEDED:
        if whole(dataset.get(keyword)) is None:
            msg = f"does not say {keyword}, without which its pixels cannot be decoded"
            raise ClaimError(msg)
    allocated = whole(dataset.BitsAllocated) or 0
    stored = whole(dataset.get("BitsStored"))
    if stored is None:
        stored = dataset.BitsStored = allocated
    if not 0 < stored <= allocated:
        msg = f"says that {stored} bits of {allocated} are stored (BitsStored, BitsAllocated), which contradict each other"
        raise ClaimError(msg)
    high = whole(dataset.get("HighBit"))
    dataset.SamplesPerPixel = dataset.get("SamplesPerPixel") or 1
    dataset.PhotometricInterpretation = dataset.get("PhotometricInterpretation") or "MONOCHROME2"
    return Bits(allocated, stored, stored - 1 if high is None else high)


def read_whole(dataset: Dataset, bits: Bits) -> bool:
    """Let a header say that all bits count, where the value may lie elsewhere than usual; tell whether it was changed."""
    if bits.as_usual or bits.allocated not in _WHOLE:
        return False
    dataset.BitsStored, dataset.HighBit = bits.allocated, bits.allocated - 1
    return True


def value_of(image: NDArray[Any], bits: Bits) -> NDArray[Any]:
    """Take the value out of pixels that were read with all their bits.

    Args:
        image: Whole numbers of `bits.allocated` bits.
        bits: What the header says.

    Raises:
        ClaimError: What the header says does not fit the pixels.
    """
    padding = bits.high + 1 - bits.stored
    lowest = image & ((1 << padding) - 1) if padding > 0 and bits.high < bits.allocated else None
    if lowest is not None and (lowest.min() == lowest.max() or not _fits(image, bits.stored)):
        return (image << (bits.allocated - 1 - bits.high)) >> (bits.allocated - bits.stored)
    if _fits(image, bits.stored):
        return image
    msg = f"says that {bits.stored} bits up to bit {bits.high} are stored (BitsStored, HighBit), which its pixels contradict"
    raise ClaimError(msg)


def _fits(image: NDArray[Any], stored: int) -> bool:
    signed = np.issubdtype(image.dtype, np.signedinteger)
    low, high = (-(1 << (stored - 1)), 1 << (stored - 1)) if signed else (0, 1 << stored)
    return bool(low <= image.min() and image.max() < high)
