"""The command line. It parses, calls the library and prints; it holds no logic of its own.

Exit codes: 0 done; 1 done with findings; 2 the input or the arguments are wrong; 3 an internal error; 130 interrupted.
"""

from __future__ import annotations

import gc

from shortaxis.cli.app import app

_NEW_OBJECTS = 50_000
"""Objects made between two searches for circular garbage: imports and headers make many that stay, and 700 as usual costs 0.1 s."""


def main() -> None:
    """Run the command line with the arguments of this process, and leave the process with its exit code."""
    gc.set_threshold(_NEW_OBJECTS)
    app(prog_name="shortaxis")


__all__ = ["app", "main"]
