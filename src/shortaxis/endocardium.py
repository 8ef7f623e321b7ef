"""Where the border of the LV cavity is drawn: a convention that every volume names."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from shortaxis.errors import InputError


class Endocardium(StrEnum):
    """Where the border between the LV cavity and the myocardium is drawn.

    Attributes:
        TRABECULAE: On the inner side of the trabeculae, as the annotators of ACDC draw it; the networks learn this border.
        COMPACT: At the compact myocardium, with the trabeculae in the cavity, as the annotators of Sunnybrook draw it.
    """

    TRABECULAE = "trabeculae"
    COMPACT = "compact"

    def describe(self) -> str:
        """Say it in words, for the definition of an index."""
        return _ENDOCARDIUM[self]


_ENDOCARDIUM: Final = {
    Endocardium.TRABECULAE: "endocardium on the inner side of the trabeculae",
    Endocardium.COMPACT: "endocardium at the compact myocardium, with the trabeculae in the LV cavity",
}


def as_endocardium(name: str) -> Endocardium:
    """Take one of the two borders, or its name.

    Raises:
        InputError: There is no border of this name.
    """
    try:
        return Endocardium(name)
    except ValueError as error:
        msg = f"endocardium: {name!r} is not known; choose {' or '.join(Endocardium)}"
        raise InputError(msg) from error
