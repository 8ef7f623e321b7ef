"""Saying in the definition of an index where the endocardium is drawn."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shortaxis.endocardium import Endocardium
    from shortaxis.indices.index import Index

_DEPENDENT: Final = ("lv_", "wall_", "sv_difference")


def depends_on_endocardium(name: str) -> bool:
    """Whether an index depends on where the endocardium is drawn: those of the LV and of its wall, and the comparison of the ventricles.

    Examples:
        >>> depends_on_endocardium("lv_mass"), depends_on_endocardium("rv_edv")
        (True, False)
    """
    return name.startswith(_DEPENDENT)


def with_endocardium(found: Mapping[str, Index], endocardium: Endocardium | None) -> dict[str, Index]:
    """Add to the definition of each index that depends on it where the endocardium is drawn; None, where it is not known, adds nothing."""
    if endocardium is None:
        return dict(found)
    return {
        name: replace(index, definition=f"{index.definition}; {endocardium.describe()}") if depends_on_endocardium(name) else index
        for name, index in found.items()
    }
