"""Plug-ins: code of your own that adds networks, pooling rules, losses or readers to the registries before a command runs."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from shortaxis.errors import InputError
from shortaxis.registry import Registry

if TYPE_CHECKING:
    from types import ModuleType

_loaded: dict[str, dict[str, str]] = {}


def load_plugin(plugin: str) -> ModuleType:
    """Run a plug-in once: a Python file, or a module that is installed. It may import what lies beside it.

    Args:
        plugin: Path of a file that ends in `.py`, or the dotted name of a module.

    Raises:
        InputError: There is no such file or module, or it fails, and the message names the line; or it registers a name that comes with
            the package, or that another plug-in has.

    Examples:
        >>> load_plugin("colorsys").__name__
        'colorsys'
    """
    if plugin in {"", "."}:
        msg = "--plugin needs the path of a Python file, or the name of an installed module"
        raise InputError(msg)
    is_file = plugin.endswith(".py") or Path(plugin).name != plugin
    name = f"shortaxis_plugin_{Path(plugin).stem}" if is_file else plugin
    path = Path(plugin).expanduser().resolve()
    kept = sys.modules.get(name)
    if is_file and kept is not None:
        if kept.__file__ != str(path):
            msg = f"{plugin}: another plug-in of this name was loaded from {kept.__file__}; give one of them another name"
            raise InputError(msg)
        return kept
    if is_file and not (path.is_file() and path.suffix == ".py"):
        msg = f"{plugin}: no such plug-in; give the path of a Python file that ends in .py, or the name of an installed module without .py"
        raise InputError(msg)
    loading, Registry.plugin = Registry.plugin, path.name if is_file else name
    try:
        module = _run(name, path) if is_file else importlib.import_module(name)
    except InputError as error:
        msg = f"{plugin}: {error}"
        raise InputError(msg) from error
    except (Exception, SystemExit) as error:  # it may fail in any way
        msg = f"{plugin}: the plug-in cannot be loaded ({_failure(error, path)}); mend it, or leave it away"
        raise InputError(msg) from error
    finally:
        Registry.plugin = loading
    _loaded[name] = {"plugin": path.name if is_file else name}
    if source := getattr(module, "__file__", None):
        _loaded[name]["sha256"] = hashlib.sha256(Path(source).read_bytes()).hexdigest()
    return module


def loaded_plugins() -> list[dict[str, str]]:
    """The plug-ins of this process in the order of loading: `plugin`, its file's name or its module, and `sha256` of the code."""
    return list(_loaded.values())


def _run(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None, "a path that ends in .py has a loader"
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # behind all else, so that no file beside it hides a library
    sys.modules[name] = module  # dataclasses look for their module there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _failure(error: BaseException, path: Path) -> str:
    """What went wrong, and in which of its lines."""
    said = f"{type(error).__name__}: {error}".partition("\n")[0]
    if isinstance(error, SyntaxError):
        return said
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f"line {lines[-1]}, {said}" if lines else said
