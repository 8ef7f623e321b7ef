"""Finding files."""

from __future__ import annotations

import os
from pathlib import Path


def files_below(folder: Path) -> list[Path]:
    """Every file below a folder, sorted by path; links to folders are followed, each folder once, so that no link can lead in a circle."""
    seen: set[str] = set()
    found: list[Path] = []
    for here, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(here)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        found += [Path(here, name) for name in names]
    return sorted(found)
