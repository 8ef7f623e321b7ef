"""The command line. It parses, calls the library and prints; it holds no logic of its own.

Exit codes: 0 done; 1 done with findings; 2 the input or the arguments are wrong; 3 an internal error; 130 interrupted.
"""

from __future__ import annotations

from shortaxis.cli.app import app


def main() -> None:
    """Run the command line with the arguments of this process, and leave the process with its exit code."""
    app(prog_name="shortaxis")


__all__ = ["app", "main"]
