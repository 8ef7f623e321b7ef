"""Which code ran: the commit of the clone that the package lies in, where it lies in one."""

from __future__ import annotations

import subprocess
import warnings
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import shortaxis
from shortaxis.errors import DataWarning

UNKNOWN: Final = "unknown"
"""In place of a commit where there is a clone, but git does not answer."""


class Provenance(NamedTuple):
    """The state of the code.

    Attributes:
        commit: Full hash; `unknown` where git is absent or refuses the clone; None outside a clone.
        modified: Whether tracked files differ from the commit; None where the commit is not known.
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
    clone = package.parent.parent
    if package != clone / "src" / "shortaxis" or not (clone / ".git").exists():
        return Provenance(None, None)
    commit, changes = _git(package, "rev-parse", "HEAD"), _git(package, "status", "--porcelain", "--untracked-files=no", "--", "..")
    if commit is None or changes is None:
        _warn(clone)
        return Provenance(UNKNOWN, None)
    return Provenance(commit.strip(), bool(changes.strip()))


@cache
def _warn(clone: Path) -> None:
    warnings.warn(
        f"{clone}: git does not tell the commit, so that results say '{UNKNOWN}'; "
        "install git, or allow the folder with `git config --global --add safe.directory`",
        DataWarning,
        stacklevel=4,
    )


def _git(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=20, check=False)  # noqa: S603, S607
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
