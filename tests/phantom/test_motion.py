"""The volume curve of one heartbeat."""

from __future__ import annotations

import numpy as np
import pytest

from shortaxis.phantom.motion import ejected_share, end_systole_phase


@pytest.mark.parametrize("n_phases", [2, 3, 12, 20, 25, 30])
def test_nothing_has_left_at_end_diastole_and_all_at_end_systole(n_phases: int) -> None:
    share = ejected_share(n_phases)
    systole = end_systole_phase(n_phases)
    assert share[0] == 0
    assert share[systole] == 1
    assert np.argmax(share) == systole
    assert share.min() >= 0
    assert share.max() <= 1


@pytest.mark.parametrize("n_phases", [12, 20, 30])
def test_ventricle_empties_until_end_systole_and_fills_after_it(n_phases: int) -> None:
    share = ejected_share(n_phases)
    systole = end_systole_phase(n_phases)
    assert (np.diff(share[: systole + 1]) > 0).all()
    assert (np.diff(share[systole:]) <= 1e-12).all()


def test_one_phase_is_end_diastole() -> None:
    assert ejected_share(1).tolist() == [0.0]
    assert end_systole_phase(1) == 0


def test_end_systole_comes_after_about_a_third_of_the_beat() -> None:
    assert end_systole_phase(30) == 11
    assert end_systole_phase(20) == 7
