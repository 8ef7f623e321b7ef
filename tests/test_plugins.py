"""Plug-ins and the registries that they add to."""

from __future__ import annotations

import copy
import hashlib
import pickle
import sys

import pytest

from shortaxis import plugins
from shortaxis.errors import InputError
from shortaxis.losses import LOSSES
from shortaxis.plugins import load_plugin, loaded_plugins
from shortaxis.registry import Registry


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a plug-in into a folder of its own; what it leaves in the interpreter goes with the test."""
    monkeypatch.setattr(plugins, "_loaded", {})
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)

    def written(code: str, name: str = "own.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(code, encoding="utf-8")
        return path

    yield written
    for name in set(sys.modules) - before:
        del sys.modules[name]


class TestRegistry:
    def test_a_new_name_is_found_and_may_be_given_anew(self):
        numbers = Registry("number", {"one": 1})
        numbers["two"] = 3
        numbers["two"] = 2
        assert numbers.named("two") == 2
        assert list(numbers) == ["one", "two"]

    def test_what_the_package_brings_keeps_its_name(self):
        numbers = Registry("number", {"one": 1})
        with pytest.raises(InputError, match=r"number called 'one' .*another name"):
            numbers["one"] = 2
        assert numbers == {"one": 1}

    @pytest.mark.parametrize(
        "change",
        [
            lambda numbers: numbers.update(one=2),
            lambda numbers: numbers.pop("one"),
            lambda numbers: numbers.popitem(),
            lambda numbers: numbers.clear(),
            lambda numbers: numbers.__delitem__("one"),
        ],
        ids=["update", "pop", "popitem", "clear", "del"],
    )
    def test_no_way_round_it(self, change):
        numbers = Registry("number", {"one": 1})
        with pytest.raises(InputError, match="comes with the package"):
            change(numbers)
        assert numbers == {"one": 1}

    @pytest.mark.parametrize("copied", [copy.deepcopy, lambda numbers: pickle.loads(pickle.dumps(numbers))], ids=["copy", "pickle"])
    def test_a_copy_keeps_it_too(self, copied):
        numbers = Registry("number", {"one": 1})
        numbers["two"] = 2
        other = copied(numbers)
        del other["two"]
        with pytest.raises(InputError, match="number called 'one' comes with"):
            del other["one"]
        assert (other, numbers) == ({"one": 1}, {"one": 1, "two": 2})

    def test_it_shows_itself(self):
        assert repr(Registry("number", {"one": 1})) == "Registry('number', {'one': 1})"

    def test_an_unknown_name_is_refused_with_those_that_are_known(self):
        with pytest.raises(InputError, match=r"'three'; known are one, two, .*--plugin"):
            Registry("number", {"one": 1, "two": 2}).named("three")


class TestLoading:
    def test_a_file_runs_once_and_is_told_with_its_hash(self, write):
        path = write("runs = []\nruns.append(1)\n")
        first = load_plugin(str(path))
        assert load_plugin(str(path)) is first
        assert first.runs == [1]
        assert loaded_plugins() == [{"plugin": "own.py", "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}]

    def test_a_module_is_loaded_by_its_name(self, write):
        assert write
        assert load_plugin("colorsys") is sys.modules["colorsys"]
        assert [plugin["plugin"] for plugin in loaded_plugins()] == ["colorsys"]

    def test_a_module_without_a_file_has_no_hash(self, write):
        assert write
        load_plugin("sys")
        assert loaded_plugins() == [{"plugin": "sys"}]

    def test_it_may_import_what_lies_beside_it_but_hides_no_library(self, write):
        write("width = 7", "beside_own.py")
        write("raise SystemError", "colorsys.py")
        assert load_plugin(str(write("import colorsys\nfrom beside_own import width"))).width == 7

    def test_a_dataclass_with_late_annotations_finds_its_module(self, write):
        code = "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\nclass Rule:\n    size: int = 3\n"
        assert load_plugin(str(write(code))).Rule().size == 3

    def test_two_files_of_one_name_are_refused(self, write, tmp_path):
        load_plugin(str(write("")))
        with pytest.raises(InputError, match=r"another plug-in of this name .*own\.py"):
            load_plugin(str(write("", "other/own.py")))

    def test_two_of_them_cannot_have_one_name(self, write, monkeypatch):
        monkeypatch.setitem(LOSSES, "mine", LOSSES["equation-4"])  # and takes it away behind the test
        del LOSSES["mine"]
        code = "from shortaxis.losses import LOSSES\nLOSSES['mine'] = LOSSES['equation-4']\n"
        load_plugin(str(write(code)))
        with pytest.raises(InputError, match=r"other\.py: .*own\.py .*loss called 'mine'"):
            load_plugin(str(write(code, "other.py")))
        LOSSES["mine"] = LOSSES["dice-cross-entropy"]  # as in a notebook that has loaded it
        assert LOSSES.named("mine") is LOSSES["dice-cross-entropy"]

    @pytest.mark.parametrize(
        ("code", "said"),
        [
            ("x = 1\nint('a')", r"cannot be loaded \(line 2, ValueError: invalid literal"),
            ("def f(:", r"cannot be loaded \(SyntaxError: .*line 1"),
            ("import missing_here", r"cannot be loaded \(line 1, ModuleNotFoundError: No module named 'missing_here'\)"),
            ("raise SystemExit('enough')", r"cannot be loaded \(line 1, SystemExit: enough\)"),
            (
                "from shortaxis.networks import NETWORKS\nNETWORKS['unet'] = None",
                r"own\.py: a network called 'unet' comes with the package",
            ),
        ],
        ids=["fails", "syntax", "import", "leaves", "built-in"],
    )
    def test_one_that_fails_says_where_and_can_be_tried_again(self, write, code, said):
        path = write(code)
        with pytest.raises(InputError, match=said):
            load_plugin(str(path))
        assert loaded_plugins() == []
        write("mended = True")
        assert load_plugin(str(path)).mended

    @pytest.mark.parametrize(
        ("plugin", "said"),
        [
            ("nowhere.py", r"nowhere\.py: no such plug-in; give the path of a Python file"),
            ("./own", r"\./own: no such plug-in; give the path of a Python file that ends in \.py"),
            ("no_module_of_this_name", "cannot be loaded .ModuleNotFoundError"),
            ("", "--plugin needs the path of a Python file"),
        ],
    )
    def test_what_is_not_there_is_refused(self, plugin, said):
        with pytest.raises(InputError, match=said):
            load_plugin(plugin)
