"""Body size as files give it: the unit is read from the number, and what no patient has is not used."""

from __future__ import annotations

import pytest

from shortaxis.io.body import implausible_together, plausible_height_cm, plausible_weight_kg, read_body_size


@pytest.mark.parametrize("value", [170, 1.7, 1700])
def test_a_height_is_read_in_cm_m_or_mm(value):
    assert plausible_height_cm(value)[0] == 170.0


@pytest.mark.parametrize("value", [70, 70_000])
def test_a_weight_is_read_in_kg_or_g(value):
    assert plausible_weight_kg(value)[0] == 70.0


@pytest.mark.parametrize("value", [17, 0.17, 3.0, 300, 17_000, -170, float("nan"), float("inf")])
def test_a_height_that_no_patient_has_is_not_used_and_the_remark_names_it(value):
    height, remark = plausible_height_cm(value)
    assert height is None
    assert f"{value:g}" in str(remark)


@pytest.mark.parametrize("value", [0.7, 1.9, 700, 1e6, -70, float("nan")])
def test_a_weight_that_no_patient_has_is_not_used_and_the_remark_names_it(value):
    weight, remark = plausible_weight_kg(value)
    assert weight is None
    assert f"{value:g}" in str(remark)


@pytest.mark.parametrize("value", [None, 0, 0.0])
def test_what_is_not_known_is_not_worth_a_remark(value):
    assert plausible_height_cm(value) == plausible_weight_kg(value) == (None, None)


@pytest.mark.parametrize(
    ("height", "weight", "wrong"), [(170, 70, False), (50, 3.2, False), (150, 200, False), (70, 170, True), (180, 8, True)]
)
def test_height_and_weight_must_fit_each_other(height, weight, wrong):
    assert (implausible_together(height, weight) is not None) == wrong


def test_a_table_keeps_what_is_implausible_to_show_it_and_remarks_it():
    height, weight, remarks = read_body_size(17.0, 70.0)
    assert (height, weight) == (17.0, 70.0)
    assert len(remarks) == 1
    assert read_body_size(1.7, 0.0) == (170.0, None, [])


@pytest.mark.parametrize("code", [-1.0, float("nan"), float("inf"), 0.0])
def test_a_code_for_a_missing_size_is_no_size(code):
    assert read_body_size(code, 70.0)[:2] == (None, 70.0)
    assert read_body_size(170.0, code)[:2] == (170.0, None)
