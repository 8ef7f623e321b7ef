"""The progress bar: seen by people, silent for programs."""

from __future__ import annotations

import pytest
from rich.console import Console

from shortaxis.cli import console


@pytest.mark.parametrize("terminal", [True, False])
def test_the_bar_is_drawn_on_a_terminal_only(monkeypatch, capsys, terminal):
    monkeypatch.setattr(console, "stderr", lambda: Console(stderr=True, force_terminal=terminal, width=120))
    with console.progress("Working") as report:
        report(1, 4, "on it")
        report(4, 4)
    seen = capsys.readouterr()
    assert seen.out == ""
    assert ("Working" in seen.err) == terminal
    assert console.is_terminal() == terminal


def test_tables_fit_the_terminal_where_there_is_one(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "40")
    console.show("word " * 15)
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 40
