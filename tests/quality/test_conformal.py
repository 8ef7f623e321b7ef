from __future__ import annotations

import numpy as np
import pytest

from shortaxis.errors import InputError
from shortaxis.quality import conformal_half_width


def test_the_half_width_is_the_right_order_statistic():
    # n = 20, level 0.9: rank ceil(18.9) = 19 of the sorted errors.
    assert conformal_half_width(np.zeros(20), np.arange(1, 21)) == 19
    # n = 9, level 0.9: rank exactly 9.
    assert conformal_half_width(np.zeros(9), np.arange(1, 10)) == 9


def test_unknown_values_do_not_count():
    truth = np.append(np.zeros(9), np.nan)
    assert conformal_half_width(truth, np.arange(1, 11)) == 9


def test_too_few_patients_are_refused_with_the_number_needed():
    with pytest.raises(InputError, match=r"8 held-out .*too few .*90%.*at least 9"):
        conformal_half_width(np.zeros(8), np.ones(8))


def test_coverage_of_new_patients_holds_over_many_draws():
    rng = np.random.default_rng(0)
    errors = rng.standard_t(3, (2000, 21))
    held = [abs(row[-1]) <= conformal_half_width(np.zeros(20), row[:-1]) for row in errors]
    # The guarantee is at least 90 %; with 20 patients it is 19/21 = 90.5 % exactly.
    assert np.mean(held) == pytest.approx(19 / 21, abs=0.02)


def test_nine_patients_are_just_enough_for_90_percent():
    assert conformal_half_width(np.zeros(9), np.arange(9)) == 8
