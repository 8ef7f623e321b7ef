"""Records that jobs keep beside their results, read again by a later call."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from shortaxis.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

Record = TypeVar("Record", bound=msgspec.Struct)


def read_kept(path: Path, kind: type[Record], what: str, remedy: str) -> Record:
    """Read a record.

    Args:
        path: The JSON file.
        kind: What it has to hold, at least.
        what: What it is, such as `the budget that an earlier job measured`.
        remedy: What to do when it is damaged.

    Raises:
        InputError: It cannot be read, or does not hold that.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, UnicodeDecodeError, msgspec.MsgspecError) as error:
        msg = f"{path}: not {what}, or damaged ({error}); {remedy}"
        raise InputError(msg) from error
