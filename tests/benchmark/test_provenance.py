"""The commit that ran."""

from __future__ import annotations

import re
import subprocess

import pytest

from shortaxis.benchmark.provenance import provenance
from shortaxis.errors import DataWarning


@pytest.fixture
def clone(tmp_path):
    package = tmp_path / "src" / "shortaxis"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")

    def git(*words):
        subprocess.run(["git", "-C", tmp_path, "-c", "user.name=n", "-c", "user.email=e", *words], check=True, capture_output=True)

    git("init")
    git("add", ".")
    git("commit", "-m", "m")
    return package


def test_a_clone_tells_its_commit_and_whether_files_differ_from_it(clone):
    found = provenance(clone)
    assert re.fullmatch("[0-9a-f]{40}", found.commit)
    assert found.modified is False
    (clone / "__init__.py").write_text("changed")
    assert provenance(clone) == (found.commit, True)


def test_a_package_elsewhere_in_a_clone_is_not_of_it(clone):
    inside = clone.parent / "venv"
    inside.mkdir()
    assert provenance(inside) == (None, None)


@pytest.mark.parametrize("answer", ["refused", "absent"])
def test_where_git_does_not_tell_of_a_clone_that_is_said_once(clone, monkeypatch, answer):
    def ask(words, **_options):
        if answer == "absent":
            raise FileNotFoundError
        return subprocess.CompletedProcess(words, 128, "", "fatal: detected dubious ownership in repository")

    monkeypatch.setattr(subprocess, "run", ask)
    with pytest.warns(DataWarning, match="git does not tell the commit") as told:
        assert [provenance(clone), provenance(clone)] == [("unknown", None)] * 2
    assert len(told) == 1


@pytest.mark.parametrize("error", [OSError, subprocess.TimeoutExpired("git", 20)])
def test_without_git_nothing_is_told(monkeypatch, tmp_path, error):
    def fail(*_arguments, **_options):
        raise error

    monkeypatch.setattr(subprocess, "run", fail)
    assert provenance(tmp_path) == (None, None)
