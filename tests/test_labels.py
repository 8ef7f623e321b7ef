"""Label schemes: no integer of a data set passes for another's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from shortaxis.errors import InputError
from shortaxis.labels import ACDC, MNMS, SCHEMES, LabelScheme, Structure, as_scheme, scheme_named


def test_acdc_counts_from_the_right_ventricle_and_mnms_from_the_left() -> None:
    values = np.array([1, 2, 3])
    assert ACDC.to_canonical(values).tolist() == [Structure.RV, Structure.MYO, Structure.LV]
    assert MNMS.to_canonical(values).tolist() == [Structure.LV, Structure.MYO, Structure.RV]


@given(arrays(np.uint8, (2, 3, 4), elements=st.integers(0, 3)), st.sampled_from(sorted(SCHEMES)))
def test_from_canonical_undoes_to_canonical(values: np.ndarray, name: str) -> None:
    scheme = SCHEMES[name]
    back = scheme.from_canonical(scheme.to_canonical(values))
    assert back.dtype == np.uint8
    np.testing.assert_array_equal(back, values)


def test_whole_numbers_stored_as_floats_are_taken() -> None:
    assert ACDC.to_canonical(np.array([[0.0, 3.0]])).tolist() == [[0, 3]]


@pytest.mark.parametrize("near", [2.9995, 3.0005, np.float32(3) * np.float32(0.99999994)])
def test_a_float_within_a_thousandth_of_an_integer_is_that_integer(near: float) -> None:
    assert ACDC.to_canonical(np.array([0.0, near, 2.0001])).tolist() == [0, 3, 2]


@pytest.mark.parametrize("stray", [4, -1, 255, 0.5, 2.99, 3.0011, np.nan, np.inf])
def test_a_value_outside_the_scheme_is_refused_by_file_value_and_scheme(stray: float) -> None:
    with pytest.raises(InputError, match=r"^patient001_gt\.nii\.gz: .*'acdc'"):
        ACDC.to_canonical(np.array([0.0, 1.0, stray]), source="patient001_gt.nii.gz")


def test_a_scheme_may_use_any_integers() -> None:
    scheme = LabelScheme("sparse", {Structure.BACKGROUND: 0, Structure.RV: 100, Structure.MYO: 200, Structure.LV: 50})
    assert scheme.to_canonical(np.array([200, 50, 100, 0])).tolist() == [2, 3, 1, 0]
    assert scheme.from_canonical(np.array([2, 3, 1, 0])).tolist() == [200, 50, 100, 0]
    assert scheme.describe() == "0 BACKGROUND, 50 LV, 100 RV, 200 MYO"


def test_schemes_go_by_their_names() -> None:
    assert scheme_named("mnms") is MNMS


def test_an_unknown_scheme_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="'monai'; known are acdc, mnms"):
        scheme_named("monai")


def test_a_scheme_goes_as_it_is_by_its_name_or_spelled_out() -> None:
    assert as_scheme(MNMS) is as_scheme("mnms") is MNMS
    assert as_scheme(" RV = 600, myo=200,lv=500").values == {
        Structure.BACKGROUND: 0,
        Structure.RV: 600,
        Structure.MYO: 200,
        Structure.LV: 500,
    }


@pytest.mark.parametrize("entry", ["", "monai", "la=1", "rv=0", "rv=-1", "rv=1.5", "rv=65536", "rv=", "rv=1,rv=2", "background=0"])
def test_an_order_that_is_not_understood_is_refused_with_an_example(entry: str) -> None:
    with pytest.raises(InputError, match=r"not understood at '.*'; .*rv=3,myo=2,lv=1"):
        as_scheme(entry)


def test_an_order_without_a_structure_is_refused_by_its_name() -> None:
    with pytest.raises(InputError, match="'rv=3,myo=2' has no LV"):
        as_scheme("rv=3,myo=2")


def test_an_integer_for_two_structures_is_refused_by_both() -> None:
    with pytest.raises(InputError, match="'rv=3,myo=2,lv=3' has 3 for both RV"):
        as_scheme("rv=3,myo=2,lv=3")
    with pytest.raises(InputError, match="'mine' has 0 for both BACKGROUND and MYO"):
        LabelScheme("mine", {Structure.BACKGROUND: 0, Structure.RV: 1, Structure.MYO: 0, Structure.LV: 3})
