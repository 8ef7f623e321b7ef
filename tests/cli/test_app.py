"""The program as a whole: help, version, exit codes of errors, quick start."""

from __future__ import annotations

import os
import resource
import runpy
import signal
import subprocess
import sys
import warnings
from functools import partial
from pathlib import Path

import pytest

from shortaxis import __version__
from shortaxis.cli import app, main
from shortaxis.phantom import make_phantom

COMMANDS = sorted(command.callback.__name__ for command in app.registered_commands)


def python(*arguments, **options):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("COV_", "COVERAGE_"))}
    return subprocess.run(
        [sys.executable, *map(str, arguments)], check=False, capture_output=True, text=True, env=environment, timeout=120, **options
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command_shows_an_example_that_names_it(run, command):
    result = run(command, "--help")
    assert result.exit_code == 0
    assert "Example" in result.stdout
    assert f"shortaxis {command}" in " ".join(result.stdout.split())


def test_version_is_told(run):
    assert run("--version").stdout == f"shortaxis {__version__}\n"


@pytest.mark.parametrize(
    "start", [main, lambda: runpy.run_module("shortaxis", run_name="__main__")], ids=["shortaxis", "python -m shortaxis"]
)
def test_the_program_runs_by_its_name_and_as_a_module(monkeypatch, capsys, start):
    monkeypatch.setattr("sys.argv", ["anything", "--version"])
    with pytest.raises(SystemExit) as left:
        start()
    assert left.value.code == 0
    assert capsys.readouterr().out == f"shortaxis {__version__}\n"


def test_no_arguments_show_the_help(run):
    assert "Usage: shortaxis" in run().output.replace("root", "shortaxis")


def test_the_program_starts_without_the_heavy_libraries():
    code = "import sys, shortaxis.cli; print(sorted({'torch', 'numpy', 'matplotlib', 'nibabel', 'scipy'} & sys.modules.keys()))"
    assert python("-c", code).stdout == "[]\n"


def test_help_takes_less_than_a_second():
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = python("-m", "shortaxis", "--help")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert result.returncode == 0
    assert "segment" in result.stdout
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.0


@pytest.mark.parametrize("arguments", [("segment",), ("segment", "a.nii", "--colour"), ("train",), ("no-such-command",)])
def test_wrong_arguments_leave_with_two_and_no_traceback(run, arguments):
    result = run(*arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


class TestInternalError:
    @pytest.fixture(autouse=True)
    def _broken(self, monkeypatch):
        def fail(*_arguments, **_options):
            raise ZeroDivisionError("a bug")

        monkeypatch.setattr("shortaxis.segmenting.segment_inputs", fail)

    def test_it_leaves_with_three_and_says_how_to_report(self, run):
        result = run("segment", "a.nii", "--out", "out")
        assert result.exit_code == 3
        assert "ZeroDivisionError: a bug" in result.stderr
        assert "--debug" in result.stderr
        assert "Traceback" not in result.stderr

    @pytest.mark.parametrize("line", [("--debug", "segment", "a.nii", "--out", "out"), ("segment", "a.nii", "--out", "out", "--debug")])
    def test_debug_anywhere_on_the_line_lets_it_through(self, run, line):
        result = run(*line)
        assert isinstance(result.exception, ZeroDivisionError)


def test_debug_behind_two_dashes_is_an_input(run, tmp_path):
    result = run("segment", "--out", tmp_path / "out", "--", "--debug")
    assert result.exit_code == 2
    assert "--debug: no such file" in result.stderr


def test_debug_shows_where_an_input_error_arose(run, tmp_path):
    result = run("--debug", "model", tmp_path / "absent")
    assert type(result.exception).__name__ == "InputError"


def test_an_interrupt_leaves_with_130(run, monkeypatch):
    def interrupt(*_arguments, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("shortaxis.segmenting.segment_inputs", interrupt)
    result = run("segment", "a.nii", "--out", "out")
    assert result.exit_code == 130
    assert "Interrupted" in result.stderr


def test_warnings_of_this_package_are_one_line_and_those_of_others_are_not_shown(run, monkeypatch):
    def warn(*_arguments, **_options):
        warnings.warn_explicit("two spacings", UserWarning, str(Path("shortaxis") / "io" / "nifti.py"), 1)
        warnings.warn_explicit("old function", DeprecationWarning, "torch.py", 1)
        warnings.warn_explicit("for experts", UserWarning, "torch.py", 1)
        raise KeyboardInterrupt

    monkeypatch.setattr("shortaxis.segmenting.segment_inputs", warn)
    lines = run("segment", "a.nii", "--out", "out").stderr.splitlines()
    assert lines[0] == "Warning: two spacings"
    assert len(lines) == 2


class TestDiskFull:
    """A limit on the size of files stands for a full disk: the system refuses the write in the same place."""

    @pytest.fixture
    def refused(self, run, tmp_path):
        def at_bytes(limit, *arguments):
            before, action = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
            try:
                result = run(*arguments, "--out", tmp_path / "out")
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, before)
                signal.signal(signal.SIGXFSZ, action)
            assert result.exit_code == 2, result.output
            assert "cannot be written" in result.stderr
            assert result.stderr.count("\n") == 1
            return not (tmp_path / "out").exists()

        return at_bytes

    def test_segment_leaves_nothing_half_written(self, refused, cine):
        assert refused(20_000, "segment", cine, "--save-probabilities")

    def test_demo_leaves_nothing_half_written(self, refused, monkeypatch):
        monkeypatch.setattr("shortaxis.demo.make_phantom", partial(make_phantom, n_slices=6, spacing=(10.0, 3.0, 3.0)))
        assert refused(50_000, "demo")
