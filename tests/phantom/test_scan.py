"""The voxel grid and its place in the patient."""

from __future__ import annotations

import numpy as np
import pytest

from shortaxis.errors import InputError
from shortaxis.phantom.geometry import Heart
from shortaxis.phantom.groups import GROUPS, draw_patient
from shortaxis.phantom.scan import MARGIN, Scan, plan_scan


def planned(group: str = "NOR", seed: int = 0, **options) -> tuple[Heart, Scan]:
    rng = np.random.default_rng(seed)
    heart = Heart(draw_patient(rng, group), slope=(0.0, 0.1))
    return heart, plan_scan(rng, heart, **options)


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("seed", range(12))
def test_the_whole_ventricle_lies_in_a_usual_stack(group: str, seed: int) -> None:
    heart, scan = planned(group, seed)
    assert 6 <= scan.shape[0] <= 18
    assert 5 <= scan.spacing[0] <= 10
    assert 1.0 <= scan.spacing[1] <= 1.9
    assert scan.first <= 0
    assert scan.z[-1, 0, 0] + scan.spacing[0] / 2 > heart.length - 0.5 * scan.spacing[0]


@pytest.mark.parametrize("n_slices", range(6, 19))
def test_slices_asked_for_are_given_at_a_usual_distance(n_slices: int) -> None:
    _, scan = planned(n_slices=n_slices)
    assert scan.shape[0] == n_slices
    assert 5 <= scan.spacing[0] <= 10


def test_several_in_plane_spacings_occur() -> None:
    assert len({planned(seed=seed)[1].spacing[1] for seed in range(30)}) >= 6


@pytest.mark.parametrize("seed", range(10))
def test_affine_is_oblique_right_handed_and_as_long_as_the_spacing(seed: int) -> None:
    _, scan = planned(seed=seed)
    axes = scan.affine[:3, :3] / scan.spacing
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-12)
    assert np.linalg.det(axes) == pytest.approx(1)
    assert (np.abs(axes) < 0.999).all()
    assert scan.affine[3].tolist() == [0, 0, 0, 1]


def test_slices_run_towards_the_apex_and_rows_towards_the_feet() -> None:
    _, scan = planned()
    apexward, down, right = (scan.affine[:3, :3] / scan.spacing).T
    assert apexward[0] < 0  # to the left of the patient
    assert apexward[1] > 0  # to the front
    assert down[2] < -0.6  # to the feet
    assert right[1] < 0  # to the back


@pytest.mark.parametrize("group", GROUPS)
def test_ventricles_keep_clear_of_the_edge(group: str) -> None:
    heart, scan = planned(group, matrix=(100, 100), spacing=(8, 1.9, 1.9))
    up, down, left, right = heart.extent()
    assert -scan.y[0, 0] >= up + MARGIN - 0.01
    assert scan.y[-1, 0] >= down + MARGIN - 0.01
    assert -scan.x[0, 0] >= left + MARGIN - 0.01
    assert scan.x[0, -1] >= right + MARGIN - 0.01


def test_matrix_that_cannot_hold_the_heart_is_refused_with_the_size_needed() -> None:
    with pytest.raises(InputError, match=r"\(60, 200\) is too small.*: axis H .*?(\d+) voxels") as error:
        planned(matrix=(60, 200), spacing=(8, 1.5, 1.5))
    needed = int(str(error.value).split("at least ")[1].split()[0])
    assert planned(matrix=(needed, 200), spacing=(8, 1.5, 1.5))[1].shape[1] == needed


@pytest.mark.parametrize("options", [{"n_slices": 0}, {"matrix": (0, 100)}, {"spacing": (8, -1, 1)}, {"spacing": (np.nan, 1, 1)}])
def test_numbers_that_are_not_positive_are_refused(options: dict) -> None:
    with pytest.raises(InputError, match="must be positive"):
        planned(**options)


def test_window_holds_the_voxels_within_reach() -> None:
    scan = Scan((8, 2, 1), (3, 40, 80), 0, (40, 30), 8)
    rows, columns = scan.window(10, 4, 5, 6)
    assert scan.y[rows, 0].tolist() == list(range(-10, 5, 2))
    assert scan.x[0, columns].tolist() == list(range(-5, 7))
