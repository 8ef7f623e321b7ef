"""Label schemes: which integer stands for which structure, so that no bare integer travels through the code."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shortaxis.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


class Structure(IntEnum):
    """The classes in the canonical order of this package, which is ACDC's: also the channel order of every network."""

    BACKGROUND = 0
    RV = 1
    MYO = 2
    LV = 3


FOREGROUND: Final = (Structure.RV, Structure.MYO, Structure.LV)
N_CLASSES: Final = len(Structure)
UNKNOWN: Final = 255
"""Label of a pixel of an annotation of which nothing is known; never in a segmentation."""

_ENTRY: Final = re.compile(r"\s*(rv|myo|lv)\s*=\s*(\d{1,5})\s*", re.IGNORECASE)
_LARGEST: Final = 65535

ROUNDING: Final = 1e-3
"""How far a label that is stored as a float may lie from its integer."""


@dataclass(frozen=True)
class LabelScheme:
    """The integers that one data set uses for the structures.

    Attributes:
        name: Short name, as the command line takes it.
        values: The integer in the data set for each structure.

    Raises:
        InputError: A structure has no integer, or two have the same.
    """

    name: str
    values: Mapping[Structure, int]

    def __post_init__(self) -> None:
        holders: dict[int, Structure] = {}
        for structure in Structure:
            if structure not in self.values:
                msg = f"the label scheme '{self.name}' has no {structure.name}; say which integer it is"
                raise InputError(msg)
            other = holders.setdefault(self.values[structure], structure)
            if other is not structure:
                msg = f"the label scheme '{self.name}' has {self.values[structure]} for both {other.name} and {structure.name}; mend one"
                raise InputError(msg)

    def to_canonical(self, labels: NDArray[Any], source: str = "the label image") -> NDArray[np.uint8]:
        """Translate labels of this scheme to the canonical order.

        Args:
            labels: Integer-valued array of any shape; floats within `ROUNDING` of an integer are that integer, as a file that stores its
                labels as floats or with a slope may hold them.
            source: What to name in an error, usually the file.

        Returns:
            uint8 array of the same shape, values of `Structure`.

        Raises:
            InputError: A value belongs to no structure of the scheme.
        """
        out, known = self._translated(labels)
        if not known.all() and labels.dtype.kind == "f":
            out, known = self._translated(_rounded(labels))
        if not known.all():
            stray = np.unique(labels[~known])[:5].tolist()
            msg = f"{source}: label values {stray} are not in the scheme '{self.name}' ({self.describe()}); name the right scheme"
            raise InputError(msg)
        return out

    def _translated(self, labels: NDArray[Any]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """The canonical labels, and where there are any."""
        out = np.zeros(labels.shape, np.uint8)
        known = np.zeros(labels.shape, bool)
        for structure, value in self.values.items():
            mask = labels == value
            out[mask] = structure
            known |= mask
        return out, known

    def from_canonical(self, labels: NDArray[Any]) -> NDArray[np.uint8]:
        """Translate canonical labels (any shape) to this scheme, uint8."""
        table = np.zeros(N_CLASSES, np.uint8)
        for structure, value in self.values.items():
            table[structure] = value
        return table[np.asarray(labels, np.intp)]

    def describe(self) -> str:
        """Say the scheme in words, for instance `0 BACKGROUND, 1 RV, 2 MYO, 3 LV`."""
        return ", ".join(f"{value} {structure.name}" for structure, value in sorted(self.values.items(), key=lambda item: item[1]))


def _rounded(labels: NDArray[Any]) -> NDArray[Any]:
    """Values near an integer as that integer, the others as they are."""
    with np.errstate(invalid="ignore"):
        whole = np.rint(labels)
        return np.where(np.abs(labels - whole) <= ROUNDING, whole, labels)


def _scheme(name: str, *, rv: int, myo: int, lv: int) -> LabelScheme:
    return LabelScheme(name, {Structure.BACKGROUND: 0, Structure.RV: rv, Structure.MYO: myo, Structure.LV: lv})


ACDC: Final = _scheme("acdc", rv=1, myo=2, lv=3)
MNMS: Final = _scheme("mnms", rv=3, myo=2, lv=1)
SCHEMES: Final = {scheme.name: scheme for scheme in (ACDC, MNMS)}


def scheme_named(name: str) -> LabelScheme:
    """Look a scheme up by its name.

    Raises:
        InputError: No scheme has this name.
    """
    if name not in SCHEMES:
        msg = f"no label scheme is called '{name}'; known are {', '.join(SCHEMES)}"
        raise InputError(msg)
    return SCHEMES[name]


def as_scheme(scheme: LabelScheme | str) -> LabelScheme:
    """Take a scheme, the name of a known one, or an order spelled out for foreground, where 0 is background.

    Args:
        scheme: A scheme, which is returned as it is; `acdc` or `mnms`; or each structure with its integer from 1 to 65535.

    Raises:
        InputError: The text is neither name nor order, or the order lacks a structure or has a structure or an integer twice.

    Examples:
        >>> as_scheme("rv=3,myo=1,lv=2").describe()
        '0 BACKGROUND, 1 MYO, 2 LV, 3 RV'
    """
    if isinstance(scheme, LabelScheme):
        return scheme
    if scheme in SCHEMES:
        return SCHEMES[scheme]
    values = {Structure.BACKGROUND: 0}
    for entry in scheme.split(","):
        match = _ENTRY.fullmatch(entry)
        structure, value = (Structure[match[1].upper()], int(match[2])) if match else (Structure.BACKGROUND, 0)
        if structure in values or not 0 < value <= _LARGEST:
            msg = (
                f"the label scheme '{scheme}' is not understood at '{entry}'; give {', '.join(SCHEMES)}, or each structure once with its "
                f"integer from 1 to {_LARGEST}, such as rv=3,myo=2,lv=1"
            )
            raise InputError(msg)
        values[structure] = value
    return LabelScheme(scheme, values)
