"""Several outputs that belong together appear together or not at all."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from shortaxis.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def staged(out: Path | str) -> Iterator[Path]:
    """Give an empty folder inside `out`; when the block ends well its files move to `out`, otherwise they go and `out` stays as it was.

    Args:
        out: Where the files shall stand; made where it is missing. Files of the same name are replaced.

    Yields:
        The folder to fill. Subfolders are kept.

    Raises:
        InputError: `out` cannot be written, or the disk is full.
    """
    out = Path(out)
    made = [folder for folder in (out, *out.parents) if not folder.exists()]
    stage: Path | None = None
    try:
        out.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=".partial-", dir=out))
        yield stage
        _publish(stage, out)
    except OSError as error:
        msg = f"{out}: cannot be written ({error.strerror or error}); free some space or choose another --out folder"
        raise InputError(msg) from error
    finally:
        if stage is not None:
            shutil.rmtree(stage, ignore_errors=True)
        for folder in made:
            with suppress(OSError):
                folder.rmdir()  # only what is still empty goes


def _publish(stage: Path, out: Path) -> None:
    """Move every file; where one cannot be moved, those before it go back and what they replaced returns."""
    before = Path(tempfile.mkdtemp(prefix=".before-", dir=out))
    moved: list[tuple[Path, Path | None]] = []
    try:
        for number, path in enumerate(sorted(path for path in stage.rglob("*") if path.is_file())):
            target = out / path.relative_to(stage)
            target.parent.mkdir(parents=True, exist_ok=True)
            kept = before / str(number) if target.is_file() else None
            if kept is not None:
                target.replace(kept)
            moved.append((target, kept))
            path.replace(target)
    except OSError:
        for target, kept in reversed(moved):
            if kept is not None:
                kept.replace(target)
            elif target.is_file():
                target.unlink()
        raise
    finally:
        shutil.rmtree(before, ignore_errors=True)
