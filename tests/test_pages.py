"""The pages keep up with the program; that their code runs is seen to by `conftest.py` in the root."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import msgspec
import pytest
import typer

import shortaxis
from shortaxis.benchmark.result import Result, read_results
from shortaxis.benchmark.table import build_table
from shortaxis.benchmark.table_formats import FORMATS
from shortaxis.cli import app
from shortaxis.quality.calibration import load_calibration
from shortaxis.quality.calibration_tables import markdown_tables

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


def test_every_key_of_a_result_stands_in_the_table_of_the_benchmark_page() -> None:
    page = (ROOT / "docs" / "benchmark.md").read_text(encoding="utf-8")
    table = page.partition("## The JSON of a job")[2].partition("\nA case is")[0]
    named = {key for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for key in re.findall(r"`(\w+)`", row)}
    assert named == {field.name for field in msgspec.structs.fields(Result)}


@cache
def printed(folder: str, protocol: str, baseline: str) -> list[str]:
    return FORMATS["markdown"](build_table(read_results(ROOT / "results" / folder), [protocol], baseline=baseline)).splitlines()


@cache
def estimates(file: str) -> dict[str, dict[str, dict[str, float]]]:
    """What an evaluation among the results says of all cases, by protocol and name: value, and interval where it has one."""
    results = json.loads((ROOT / "results" / file).read_text(encoding="utf-8"))["results"]
    return {protocol: found["overall"] for protocol, found in results.items()}


def overall(file: str) -> dict[str, dict[str, float]]:
    """The values alone."""
    return {protocol: {name: score["value"] for name, score in found.items()} for protocol, found in estimates(file).items()}


@pytest.mark.skipif(not (ROOT / "results").is_dir(), reason="the results are not part of a source distribution")
def test_tables_on_the_page_of_rules_are_those_of_the_results() -> None:
    page = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
    shown = re.findall(r"<!-- results/(\S+) (\S+) against (\S+) -->\n(.*?)\n<!-- end -->", page, re.DOTALL)
    assert {folder.partition("/")[0] for folder, *_ in shown} == {
        path.parents[3].name for path in (ROOT / "results").glob("*/*/*/*/result.json")
    }
    scored = re.findall(r"<!-- evaluations -->\n(.*?)\n<!-- end -->", page, re.DOTALL)
    assert scored
    tables = [line for line in page.splitlines() if line.startswith("|")]
    assert sum(line.count("\n") + 1 for line in (*(lines for *_, lines in shown), *scored)) == len(tables)  # no table without its source
    for folder, protocol, baseline, lines in shown:
        assert [row for row in lines.splitlines() if row not in printed(folder, protocol, baseline)] == []
    for row in [row for lines in scored for row in lines.splitlines()[2:]]:
        _, _, *values, file, _ = (cell.strip() for cell in row.split("|"))
        found = overall(file.strip("`"))
        assert values == [
            f"{found[protocol][name]:.{digits}f}"
            for protocol, name, digits in (
                ("reference", "dsc_average", 2),
                ("reference", "ec", 1),
                ("paper", "ec", 1),
                ("clinical", "dsc_average", 2),
                ("clinical", "lv_ef_sd", 1),
            )
        ], row


RELEASED = "release-cpu-validation.json"
UNITS = dict.fromkeys(("lv_edv", "lv_esv", "rv_edv", "rv_esv"), "ml") | {"lv_ef": "points", "rv_ef": "points", "lv_mass": "g"}


def released(protocol: str, name: str) -> str:
    """A figure of the release's held-out counterpart as the pages write it: value and interval."""
    figure = estimates(RELEASED)[protocol][name]
    return f"{figure['value']:.1f} [{figure['low']:.1f}, {figure['high']:.1f}]"


@pytest.mark.skipif(not (ROOT / "results").is_dir(), reason="the results are not part of a source distribution")
@pytest.mark.parametrize("page", ["README.md", "docs/model-card.md"])
def test_scores_of_the_release_are_those_of_its_evaluation(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for protocol in ("reference", "paper", "clinical"):
        [row] = re.findall(rf"^\| `{protocol}` \| (\d.*) \|$", text, re.MULTILINE)
        assert row.split(" | ") == [released(protocol, name) for name in ("dsc_average", "dsc_rv", "dsc_myo", "dsc_lv", "ec")]


@pytest.mark.skipif(not (ROOT / "results").is_dir(), reason="the results are not part of a source distribution")
def test_distances_and_indices_on_the_model_card_are_those_of_the_evaluation() -> None:
    text, found = (ROOT / "docs" / "model-card.md").read_text(encoding="utf-8"), overall(RELEASED)["clinical"]
    shown = ", ".join(f"{name.upper()} {released('clinical', f'hd95_{name}')}" for name in ("rv", "myo", "lv"))
    assert f"HD95 in mm: {shown}." in text
    indices = ("lv_edv", "lv_esv", "lv_ef", "lv_mass", "rv_edv", "rv_esv", "rv_ef")
    bias = [f"{found[f'{index}_bias']:+.1f} ± {found[f'{index}_sd']:.1f} {UNITS[index]}" for index in indices]
    assert f"| bias ± SD | {' | '.join(bias)} |" in text
    assert f"| correlation | {' | '.join(f'{value:.3f}' for value in (found[index + '_r'] for index in indices))} |" in text


def test_tables_on_the_page_of_trust_are_those_of_the_calibration() -> None:
    page = (ROOT / "docs" / "trust.md").read_text(encoding="utf-8")
    shown = page.partition("<!-- calibration -->\n")[2].partition("\n<!-- /calibration -->")[0]
    found = markdown_tables(load_calibration(ROOT / "src/shortaxis/weights/release.calibration.json"))
    assert [line for line in shown.splitlines() if line.startswith("|")] == [line for line in found.splitlines() if line]
