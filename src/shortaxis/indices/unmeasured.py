"""Indices of a study whose spacing is not known: ratios stay, what is measured in ml or g has no value."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shortaxis.indices.index import Index

_MEASURED: Final = ("ml", "g", "l/min")


def without_volumes(found: Mapping[str, Index], reason: str) -> dict[str, Index]:
    """Take the values of volumes, masses, outputs and rates away, indexed or not.

    Args:
        found: Indices by name.
        reason: Why they cannot be measured, in words.

    Returns:
        The same indices; those that are left without a value have the reason.
    """
    return {
        name: replace(index, value=None, reason=reason) if index.unit.startswith(_MEASURED) and index.value is not None else index
        for name, index in found.items()
    }
