"""A clinical index: never a bare number."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Index:
    """A clinical index.

    Attributes:
        name: Short name, such as `lv_edv`.
        value: The index, or None when it cannot be known.
        unit: Unit of the value.
        definition: How it is computed, in words.
        source: Where the definition comes from.
        reason: Why there is no value, in words; None when there is one.
        lower_bound: Whether the true value is at least this, since slices are missing.
    """

    name: str
    value: float | None
    unit: str
    definition: str
    source: str
    reason: str | None = None
    lower_bound: bool = False
