"""The first key in which what was asked for before and what is asked for now differ, in words."""

from __future__ import annotations

import reprlib
from typing import Any


def difference(there: Any, here: Any, key: str = "") -> str | None:
    """Find the first difference of two contents, such as recipes as plain types.

    Tables are gone through key by key, lists of one length entry by entry. A key that is absent is as one that is null.

    Args:
        there: What was kept.
        here: What is asked for.
        key: Where both stand in a larger content.

    Returns:
        The key with both values, or None where nothing differs.

    Examples:
        >>> difference({"optimizer": {"learning_rate": 0.001}}, {"optimizer": {"learning_rate": 0.002}})
        'optimizer.learning_rate: 0.001 there, 0.002 here'
        >>> difference({"members": [{"count": 2}]}, {"members": [{"count": 8}], "search": None})
        'members[0].count: 2 there, 8 here'
        >>> difference({"pooling": {"rule": "fixed"}}, {"pooling": {"rule": "fixed", "weights": [0.7, 0.3]}})
        'pooling.weights: nothing there, [0.7, 0.3] here'
    """
    if isinstance(there, dict) and isinstance(here, dict):
        pairs = [(f"{key}.{name}" if key else str(name), there.get(name), here.get(name)) for name in here | there]
    elif isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        pairs = [(f"{key}[{index}]", one, other) for index, (one, other) in enumerate(zip(there, here, strict=True))]
    else:
        return None if there == here else f"{key}: {_in_words(there)} there, {_in_words(here)} here"
    return next((found for name, one, other in pairs if (found := difference(one, other, name)) is not None), None)


def _in_words(value: Any) -> str:
    return "nothing" if value is None else reprlib.repr(value)
