"""The figures that the paper printed, for standing beside those measured here."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any, Final

import msgspec

TABLE: Final = "paper_table.toml"


class PaperRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One row of the paper's Table 1, in per cent.

    Attributes:
        title: As printed.
        average: Mean DSC of the three structures.
        rv: DSC.
        myo: DSC.
        lv: DSC.
        ec: End Coefficient, Eq. 6.
        row: Last part of the name of the recipe with which the row is trained here; None where it is not. In the comparison it orders the
            rows, and no figure stands beside them: those were measured on other patients and counted otherwise.
        sound: Last part of the name of the recipe without the mistake of the published code, beside which the figures do not belong.
        slips: What is wrong with a printed figure.
    """

    title: str
    average: float
    rv: float
    myo: float
    lv: float
    ec: float
    row: str | None = None
    sound: str | None = None
    slips: str | None = None

    def figure(self, name: str) -> float | None:
        """The printed value of a figure by the name that protocols give it, such as `dsc_rv` or `ec`; None where it has none."""
        value: Any = getattr(self, name.removeprefix("dsc_"), None)
        return value if isinstance(value, float) else None


class PaperTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The paper's Table 1.

    Attributes:
        source: Where it was printed.
        protocol: The protocol whose figures may stand beside it.
        ablation_acdc: Ablation study on ACDC.
        comparison_acdc: Comparison on ACDC.
        comparison_mnms: Comparison on M&Ms.
    """

    source: str
    protocol: str
    ablation_acdc: tuple[PaperRow, ...]
    comparison_acdc: tuple[PaperRow, ...]
    comparison_mnms: tuple[PaperRow, ...]


@cache
def paper_table() -> PaperTable:
    """Read the table that lies in the package."""
    text = (resources.files("shortaxis") / "benchmark" / TABLE).read_text(encoding="utf-8")
    return msgspec.toml.decode(text, type=PaperTable)


def paper_row(row: str) -> PaperRow | None:
    """The ablation row of the paper that a benchmark row repeats, by the last part of its name; None for a row beyond the paper.

    Examples:
        >>> paper_row("rows/2unet-uncertainty").ec
        81.0
    """
    last = row.rpartition("/")[2]
    return next((printed for printed in paper_table().ablation_acdc if printed.row == last), None)


def paper_order(row: str) -> tuple[int, str]:
    """Key that sorts rows as the paper prints them, and those beyond the paper after them by name."""
    table = paper_table()
    rows = [(printed.row, printed.sound) for printed in table.ablation_acdc]
    rows += [(printed.row, f"{printed.row}-as-published") for printed in (*table.comparison_acdc, *table.comparison_mnms)]
    last = row.rpartition("/")[2]
    return (next((index for index, names in enumerate(rows) if last in names), len(rows)), row)


def mistaken_twin(row: str) -> str | None:
    """The row with the mistake of the published code, to which the paper's figures belong in place of this one; None for any other.

    Examples:
        >>> mistaken_twin("rows/2unet-augmenting")
        'rows/2unet-augmenting-as-published'
    """
    folder, slash, last = row.rpartition("/")
    return next((f"{folder}{slash}{printed.row}" for printed in paper_table().ablation_acdc if printed.sound == last), None)
