"""Text that can be written as UTF-8, whatever a file is called."""

from __future__ import annotations


def as_utf8(text: str) -> str:
    """Text that can be written as UTF-8: bytes of a file name that are none become `?`."""
    return text.encode(errors="replace").decode()
