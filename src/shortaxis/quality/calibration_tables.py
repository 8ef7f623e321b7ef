"""The figures of a calibration as Markdown tables, the way the documentation shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from shortaxis.metrics.protocols import INDICES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shortaxis.quality.calibration import Calibration

_NONE: Final = "–"
_SHARES: Final = {
    "caught_dsc_below_0.7": "end slices with DSC < 0.7 that are flagged",
    "caught_dsc_below_0.8": "end slices with DSC < 0.8 that are flagged",
    "flagged_good": "good end slices that are flagged",
    "precision": "flagged end slices that are poor",
}


def markdown_tables(calibration: Calibration) -> str:
    """Four tables: how well end slices are judged, how true the risks are, what the intervals hold, and which scans are known."""
    facts = calibration.trust.provenance
    return "\n\n".join(
        [
            _end_slices(facts["end_slices"]),
            _reliability(facts["end_slices"]),
            _intervals(facts["intervals"]),
            _scans(facts["outside"]),
        ]
    )


def _end_slices(sources: Mapping[str, Any]) -> str:
    rows = [
        ["end slices of the heart", *(str(found["slices"]) for found in sources.values())],
        ["of them with DSC < 0.8; < 0.7", *(f"{found['poor']}; {found['very_poor']}" for found in sources.values())],
        ["AUROC", *(_number(found["auroc"]) for found in sources.values())],
        [
            "Brier score; of a model that only knows the share of poor ones",
            *(f"{found['brier']:.3f}; {found['brier_of_the_share_alone']:.3f}" for found in sources.values()),
        ],
        *([words, *(_percent(found[name]) for found in sources.values())] for name, words in _SHARES.items()),
    ]
    return _table(["Frames", *sources], rows)


def _reliability(sources: Mapping[str, Any]) -> str:
    bins = max(len(found["reliability"]) for found in sources.values())
    rows = []
    for place in range(bins):
        cells = []
        for found in sources.values():
            parts = found["reliability"]
            cells.append(
                f"{_percent(parts[place]['mean_probability'])} → {_percent(parts[place]['share_poor'])}" if place < len(parts) else _NONE
            )
        rows.append([f"{place + 1} of {bins}", *cells])
    return _table(["Fifth of the end slices, by risk: mean risk → share of poor ones", *sources], rows)


def _intervals(sources: Mapping[str, Any]) -> str:
    head = ["Index", *(f"{source} ({found['studies']} studies)" for source, found in sources.items())]
    rows = []
    for name, unit in INDICES.items():
        cells = []
        for found in sources.values():
            figures = found[name]
            cells.append(_NONE if figures is None else f"{_percent(figures['held'])}, {figures['mean_width']:.1f} {_unit(unit)}")
        side, what = name.split("_")
        rows.append([f"{side.upper()} {what if what == 'mass' else what.upper()}", *cells])
    return _table(head, rows)


def _scans(sources: Mapping[str, Any]) -> str:
    rows = [[source, str(found["scans"]), str(found["outside"])] for source, found in sources.items() if found["scans"]]
    return _table(["Studies", "Number", "Outside the known scans"], rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _percent(share: float | None) -> str:
    return _NONE if share is None else f"{100 * share:.0f} %"


def _number(value: float | None) -> str:
    return _NONE if value is None else f"{value:.2f}"


def _unit(unit: str) -> str:
    return "points" if unit == "%" else unit
