"""The pages keep up with the program; that their code runs is seen to by `conftest.py` in the root."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
import typer

import shortaxis
from shortaxis.benchmark.result import read_results
from shortaxis.benchmark.table import build_table
from shortaxis.benchmark.table_formats import FORMATS
from shortaxis.cli import app

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


def test_reference_names_every_command() -> None:
    page = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `shortaxis (\w+)", page, re.MULTILINE)) == set(typer.main.get_command(app).commands)


def test_reference_names_every_public_name() -> None:
    page = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    assert set(re.findall(r"`sa\.(\w+)", page)) == set(shortaxis.__all__)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", page.read_text(encoding="utf-8")):
        linked = page.parent / target if target else page
        assert linked.exists(), f"{page.name} links to {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@cache
def printed(folder: str, protocol: str, baseline: str) -> list[str]:
    return FORMATS["markdown"](build_table(read_results(ROOT / "results" / folder), [protocol], baseline=baseline)).splitlines()


@pytest.mark.skipif(not (ROOT / "results").is_dir(), reason="the results are not part of a source distribution")
def test_tables_on_the_page_of_rules_are_those_of_the_results() -> None:
    page = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
    shown = re.findall(r"<!-- results/(\S+) (\S+) against (\S+) -->\n(.*?)\n<!-- end -->", page, re.DOTALL)
    assert {folder.partition("/")[0] for folder, *_ in shown} == {
        path.parents[3].name for path in (ROOT / "results").glob("*/*/*/*/result.json")
    }
    tables = [line for line in page.splitlines() if line.startswith("|")]
    assert sum(line.count("\n") + 1 for *_, line in shown) == len(tables)  # no table without its source
    for folder, protocol, baseline, lines in shown:
        assert [row for row in lines.splitlines() if row not in printed(folder, protocol, baseline)] == []
