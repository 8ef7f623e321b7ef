"""Which code ran: the commit of the clone that the package lies in, where it lies in one."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple

import shortaxis


class Provenance(NamedTuple):
    """The state of the code.

    Attributes:
        commit: Full hash, or None outside a clone or without git.
        modified: Whether tracked files differ from the commit; None likewise.
    """

    commit: str | None
    modified: bool | None


def provenance(package: Path | None = None) -> Provenance:
    """Ask git for the commit of the clone that holds the package.

    A package that merely lies somewhere below a clone of something else, such as a virtual environment inside of it, is not of that clone.

    Args:
        package: Folder of the package; by default this one.
    """
    package = (package or Path(shortaxis.__file__).parent).resolve()
    root = _git(package, "rev-parse", "--show-toplevel")
    if root is None or package != Path(root.strip()).resolve() / "src" / "shortaxis":
        return Provenance(None, None)
    commit, changes = _git(package, "rev-parse", "HEAD"), _git(package, "status", "--porcelain", "--untracked-files=no", "--", "..")
    return Provenance(None, None) if commit is None or changes is None else Provenance(commit.strip(), bool(changes.strip()))


def _git(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=20, check=False)  # noqa: S603, S607
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
