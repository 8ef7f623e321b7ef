"""Where the commands print: results to stdout, everything else to stderr."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console, RenderableType

FINDINGS, INPUT_ERROR, INTERNAL_ERROR, INTERRUPTED = 1, 2, 3, 130
"""Exit codes besides 0."""

WIDTH_OF_A_FILE = 100


def print_json(content: Any) -> None:
    """Print JSON to stdout, and nothing else."""
    typer.echo(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False))


def show(*parts: RenderableType) -> None:
    """Print tables and text to stdout; into a file or pipe at a fixed width, so that no figure is cut."""
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=max(console.width, WIDTH_OF_A_FILE))
    for part in parts:
        console.print(part)


def note(text: str) -> None:
    """Print a line to stderr."""
    typer.echo(text, err=True)


def complain(error: Exception | str, head: str = "Error") -> None:
    """Print an error to stderr in one line."""
    note(f"{typer.style(f'{head}:', bold=True)} {error}")


@contextmanager
def progress(text: str, *, quiet: bool = False) -> Iterator[Callable[[float, float | None, str], None]]:
    """Show a progress bar on stderr while the block runs; nothing where stderr is no terminal.

    Args:
        text: What is being done.
        quiet: Show nothing on a terminal either.

    Yields:
        A function that takes the units done, the units of the whole (None while it is not known), and a word on where the work stands.
    """
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    console = stderr()
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task(text, total=None)

        def report(done: float, total: float | None, where: str = "") -> None:
            bar.update(task, completed=done, total=total, description=f"{text} [dim]{where}[/]" if where else text)

        yield report


def is_terminal() -> bool:
    """Whether someone watches stderr."""
    return stderr().is_terminal


def stderr() -> Console:
    """A console on stderr."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)
