"""The output folder while a run works in it: one run at a time, and nothing of a killed one left behind."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from shortaxis.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LEFTOVERS: Final = (".partial-", ".before-")
"""How the names of what `io.staging` and `io.atomic` work in begin."""


@contextmanager
def working_in(out: Path) -> Iterator[None]:
    """Hold an output folder for this run; it is made where it is missing, and goes again where it stays empty.

    The system gives the folder free when the run ends, however it ends. What a killed run left half-written is removed.

    Args:
        out: The folder.

    Raises:
        InputError: Another run is at work in the folder, or it cannot be written.
    """
    made = [folder for folder in (out, *out.parents) if not folder.exists()]
    try:
        try:
            out.mkdir(parents=True, exist_ok=True)
            holder = _hold(out)
            _remove_leftovers(out)
        except OSError as error:
            msg = f"{out}: cannot be written ({error.strerror or error}); choose another --out folder"
            raise InputError(msg) from error
        try:
            yield
        finally:
            if holder is not None:
                os.close(holder)
    finally:
        for folder in made:
            with suppress(OSError):
                folder.rmdir()  # only what is still empty goes


def _hold(out: Path) -> int | None:
    """Lock the folder; None where the system or the file system knows no locks, and two runs at once are the user's affair."""
    if sys.platform == "win32":
        return None
    import fcntl  # noqa: PLC0415 (not on every system)

    holder = os.open(out, os.O_RDONLY)
    try:
        fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(holder)
        msg = f"{out}: another run is writing there; wait for it, or choose another --out folder"
        raise InputError(msg) from error
    except OSError:
        os.close(holder)
        return None
    return holder


def _remove_leftovers(out: Path) -> None:
    with os.scandir(out) as entries:
        left = [entry for entry in entries if entry.name.startswith(_LEFTOVERS)]
    for entry in left:
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            os.unlink(entry.path)  # noqa: PTH108 (an entry of scandir is no Path)
