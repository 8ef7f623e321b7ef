"""Hold a built wheel against the source tree: every file of the package must be in it, and nothing else."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path


def main(wheel: str) -> str | None:
    """Compare the wheel with the files under `src/`.

    Args:
        wheel: Path of the wheel.

    Returns:
        What is wrong, or None.
    """
    source = Path("src")
    expected = {path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    with zipfile.ZipFile(wheel) as archive:
        sizes = {entry.filename: entry.file_size for entry in archive.infolist() if ".dist-info/" not in entry.filename}
    if missing := sorted(expected - sizes.keys()):
        return f"{wheel} lacks {', '.join(missing)}"
    if stray := sorted(sizes.keys() - expected):
        return f"{wheel} holds what is not in {source}/: {', '.join(stray)}"
    print(f"{wheel}: {len(sizes)} files, {sum(sizes.values()) / 2**20:.1f} MiB")
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
