"""Rules of the package as a whole: what an import costs, who may import whom, what is exported."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import shortaxis

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "shortaxis"
MODULES = sorted(PACKAGE.rglob("*.py"))

# The rooms from left to right: a module imports from its own room and from those above it. Rooms on one line do not see each other.
ORDER = (
    ("errors",),
    ("registry",),
    ("plugins",),
    ("endocardium", "labels"),
    ("preprocessing",),
    ("study",),
    ("io",),
    ("phantom",),
    ("datasets",),
    ("networks",),
    ("ensemble", "losses"),
    ("indices",),
    ("metrics",),
    ("inference",),
    ("evaluation", "quality"),
    ("training",),
    ("reports",),
    ("dicom_reports",),
    ("segmenting",),
    ("benchmark", "demo", "inspection", "pacs"),
    ("cli",),
    ("__main__",),
)
RANK = {room: rank for rank, rooms in enumerate(ORDER) for room in rooms}


def fresh_python(code: str) -> str:
    """Run `code` in a new interpreter, out of sight of the coverage measurement, and return what it prints."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("COV_", "COVERAGE_"))}
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment, timeout=60).stdout


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path: Path) -> set[str]:
    """All that a module imports, also inside functions and for types only; of this package down to the room."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            names |= {node.module} if node.module != "shortaxis" else {f"shortaxis.{alias.name}" for alias in node.names}
    return names - {"shortaxis.__version__"}


def imported_rooms(path: Path) -> set[str]:
    return {name.split(".")[1] for name in imports_of(path) if name.startswith("shortaxis.")}


def imported_packages(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imports_of(path)}


def test_import_loads_no_torch() -> None:
    assert fresh_python("import sys, shortaxis; print(sorted({'torch', 'matplotlib', 'nibabel', 'scipy'} & sys.modules.keys()))") == "[]\n"


def test_import_takes_less_than_three_tenths_of_a_second() -> None:
    code = "from time import process_time as now; start = now(); import shortaxis; print(now() - start)"
    assert min(float(fresh_python(code)) for _ in range(5)) < 0.3


def test_version_is_the_same_everywhere() -> None:
    citation = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    assert citation
    assert shortaxis.__version__ == importlib.metadata.version("shortaxis") == citation[1]


def test_package_is_marked_as_typed() -> None:
    assert (PACKAGE / "py.typed").is_file()


@pytest.mark.parametrize("name", shortaxis.__all__)
def test_public_name_loads_and_is_listed(name: str) -> None:
    assert getattr(shortaxis, name).__name__.rpartition(".")[2] == name
    assert name in dir(shortaxis)


def test_public_names_are_the_same_for_a_type_checker() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    typed = {
        alias.name: node.module.removeprefix("shortaxis.")
        for branch in tree.body
        if isinstance(branch, ast.If) and isinstance(branch.test, ast.Name)
        for node in branch.body
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    assert typed == shortaxis._HOMES
    assert sorted(typed) == shortaxis.__all__


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'segmnet'"):
        _ = shortaxis.segmnet


def test_indices_can_be_called_before_its_package_is_loaded_and_again_after() -> None:
    code = """
import numpy as np, shortaxis as sa
study = sa.Study(np.zeros((1, 2, 5, 5), np.float32), (10.0, 10.0, 10.0), end_diastole=0)
labels = np.full((1, 2, 5, 5), sa.Structure.LV, np.uint8)
print([sa.indices(sa.Segmentation(study, labels))["lv_edv"].value for _ in range(2)])
"""
    assert fresh_python(code) == "[50.0, 50.0]\n"


def test_indices_can_be_called_once_its_package_is_loaded() -> None:
    package = importlib.import_module("shortaxis.indices")
    study = shortaxis.Study(np.zeros((1, 2, 5, 5), np.float32), (10.0, 10.0, 10.0), end_diastole=0)
    segmentation = shortaxis.Segmentation(study, np.full((1, 2, 5, 5), shortaxis.Structure.LV, np.uint8))
    assert shortaxis.indices is package
    assert shortaxis.indices(segmentation)["lv_edv"].value == 50.0


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_module_says_what_it_is_and_stays_short(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    assert ast.get_docstring(tree)
    if len(tree.body) > 1:
        assert "\nfrom __future__ import annotations\n" in source
    assert source.count("\n") <= 400


def test_every_foreign_package_is_a_declared_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    requirements = sum((extras[name] for name in extras if name != "dev"), project["dependencies"])
    declared = {re.split(r"[<>=\[; ]", requirement)[0].lower() for requirement in requirements} | {"shortaxis"}
    foreign = set().union(*map(imported_packages, MODULES)) - set(sys.stdlib_module_names)
    distributions = {"PIL": "pillow", "dicomweb_client": "dicomweb-client", "fpdf": "fpdf2", "sklearn": "scikit-learn"}
    assert {distributions.get(name, name) for name in foreign} <= declared


@pytest.mark.parametrize("path", [path for path in MODULES if room_of(path) != "__init__"], ids=name_of)
def test_module_imports_only_from_rooms_to_its_left(path: Path) -> None:
    room = room_of(path)
    left = {other for other in RANK if RANK[other] < RANK[room]}
    assert imported_rooms(path) <= left | {room}
