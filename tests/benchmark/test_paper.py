"""The paper's own Table 1."""

from __future__ import annotations

import pytest

from shortaxis.benchmark.paper import mistaken_twin, paper_order, paper_row, paper_table

TABLE = paper_table()
PRINTED = [*TABLE.ablation_acdc, *TABLE.comparison_acdc, *TABLE.comparison_mnms]


def test_the_average_is_the_mean_of_the_structures_save_where_a_slip_is_named():
    # Two digits were printed, now cut and now rounded.
    wrong = [row.title for row in PRINTED if abs((row.rv + row.myo + row.lv) / 3 - row.average) > 0.01]
    assert wrong == ["TransUNet"]


def test_both_slips_are_named():
    assert [row.title for row in PRINTED if row.slips] == ["TransUNet", "3UNet (Uncertainty)"]
    mnms = TABLE.comparison_mnms[-1]
    assert mnms.ec == mnms.average == 88.13


def test_rows_that_stand_in_two_parts_are_equal():
    by_title = {row.title: row for row in TABLE.ablation_acdc}
    for row in TABLE.comparison_acdc[-2:]:
        assert (row.average, row.rv, row.myo, row.lv, row.ec) == tuple(
            getattr(by_title[row.title], name) for name in ("average", "rv", "myo", "lv", "ec")
        )


def test_the_ablation_has_the_eleven_rows_of_the_paper_in_its_order():
    assert len(TABLE.ablation_acdc) == 11
    names = ["beyond/soup", "rows/2unet-uncertainty", "rows/unet", "rows/d3p"]
    assert sorted(names, key=paper_order) == ["rows/unet", "rows/d3p", "rows/2unet-uncertainty", "beyond/soup"]


@pytest.mark.parametrize(
    ("figure", "value"), [("dsc_average", 92.29), ("dsc_rv", 92.11), ("ec", 81.0), ("hd95_average", None), ("title", None)]
)
def test_a_figure_is_found_by_the_name_that_protocols_give_it(figure, value):
    assert paper_row("rows/2unet-uncertainty").figure(figure) == value


def test_the_augmenting_figures_are_those_of_the_mistaken_code():
    assert paper_row("rows/2unet-augmenting") is None
    assert paper_row("rows/2unet-augmenting-as-published").average == 69.90
    assert mistaken_twin("2unet-augmenting") == "2unet-augmenting-as-published"
    assert mistaken_twin("rows/unet") is None
    names = ["rows/2unet-uncertainty", "rows/2unet-augmenting-as-published", "rows/2unet-augmenting", "rows/2unet-bagging"]
    assert sorted(names, key=paper_order) == [names[3], names[2], names[1], names[0]]


def test_a_row_beyond_the_paper_has_no_printed_figures():
    assert paper_row("beyond/2unet-entropy") is None
