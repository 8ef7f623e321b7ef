"""Run the code blocks of README.md and docs/: what a reader copies has to work.

A `python` block runs as it stands; the blocks of one page share their names and a fresh working folder. In a `console` block each line
`$ shortaxis ...` runs and must leave with exit code 0; lines after it, where there are any, must match what it prints (`...` stands for
anything). Commands of other programs are not run. The invisible comment `<!--- skip: next "reason" --->` before a block leaves it out.
"""

from __future__ import annotations

import doctest
import io
import os
import shlex
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

from sybil import Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser, SkipParser

if TYPE_CHECKING:
    from sybil import Example

MATCH = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def run_console(example: Example) -> str | None:
    """Run the `$ shortaxis` lines of a block; return what differs from the output shown, or None."""
    text = str(example.parsed).replace("\\\n", " ")
    for block in text.split("$ ")[1:]:
        line, _, shown = block.partition("\n")
        words = shlex.split(line, comments=True)
        if words[0] != "shortaxis":
            continue
        code, output = run_shortaxis(words)
        if code:
            return f"`{line}` left with exit code {code}:\n{output}"
        if shown.strip() and not doctest.OutputChecker().check_output(shown.strip() + "\n", output.strip() + "\n", MATCH):
            return f"`{line}` printed\n{output}\nbut the page shows\n{shown}"
    return None


def run_shortaxis(words: list[str]) -> tuple[object, str]:
    """Run a command line as the installed script does; return its exit code and what it printed."""
    from shortaxis.cli import main  # noqa: PLC0415 (only when a page is run: it is not needed to collect the tests)

    output = io.StringIO()
    with mock.patch("sys.argv", words), redirect_stdout(output), redirect_stderr(output):
        try:
            code: object = main()
        except SystemExit as left:
            code = left.code
    return code, output.getvalue()


def enter_folder(namespace: dict[str, object]) -> None:
    """Give the page a working folder of its own."""
    folder = tempfile.TemporaryDirectory()
    namespace["_leave"] = (folder, Path.cwd())
    os.chdir(folder.name)


def leave_folder(namespace: dict[str, object]) -> None:
    """Go back to where the tests run and remove the folder."""
    folder, home = namespace["_leave"]
    os.chdir(home)
    folder.cleanup()


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), CodeBlockParser("console", run_console), SkipParser()],
    patterns=["README.md", "docs/*.md"],
    setup=enter_folder,
    teardown=leave_folder,
).pytest()
