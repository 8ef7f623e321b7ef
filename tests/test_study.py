"""What travels through the package is whole, or it is refused at once."""

from __future__ import annotations

import numpy as np
import pytest

from shortaxis.errors import InputError
from shortaxis.study import Frame, Segmentation, Study, Subject

SPACING = (10.0, 1.5, 2.0)


def a_study(shape: tuple[int, ...] = (3, 2, 4, 5), **facts: object) -> Study:
    return Study(np.zeros(shape, np.float32), **{"spacing": SPACING, **facts})


def test_phases_are_the_first_axis_and_slices_the_second() -> None:
    study = a_study()
    assert (study.n_phases, study.n_slices) == (3, 2)


def test_a_voxel_of_10_by_1_5_by_2_mm_holds_0_03_ml() -> None:
    assert a_study().voxel_ml == pytest.approx(0.03)


def test_nothing_is_known_unless_it_is_said() -> None:
    study = a_study()
    assert study.subject == Subject(None, None, None, None, None, None)
    assert study.end_diastole is study.end_systole is study.phase_times is None
    np.testing.assert_array_equal(study.affine, np.eye(4))


@pytest.mark.parametrize("shape", [(4, 5), (2, 4, 5), (1, 3, 2, 4, 5)])
def test_a_study_has_four_axes(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=rf"four axes \(T, D, H, W\), not {len(shape)}"):
        a_study(shape)


@pytest.mark.parametrize("shape", [(0, 3, 4, 5), (2, 0, 4, 5), (2, 3, 0, 5), (2, 3, 4, 0)])
def test_a_study_is_not_empty(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="at least one phase, slice, row and column"):
        a_study(shape)


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.0, 1.0, 1.0), (10.0, -1.5, 1.5), (np.nan, 1.0, 1.0), (np.inf, 1.0, 1.0)])
def test_spacing_is_three_positive_lengths(spacing: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="spacing must be three positive lengths"):
        a_study(spacing=spacing)


@pytest.mark.parametrize("name", ["end_diastole", "end_systole", "rv_end_diastole", "rv_end_systole"])
def test_a_named_phase_exists(name: str) -> None:
    for phase in (0, 2):
        assert getattr(a_study(**{name: phase}), name) == phase
    for phase in (-1, 3):
        with pytest.raises(InputError, match=f"{name} is phase {phase}, but the study has 3 phases"):
            a_study(**{name: phase})


def test_labels_have_the_shape_of_the_study() -> None:
    study = a_study()
    assert Segmentation(study, np.zeros((3, 2, 4, 5), np.uint8)).study is study
    with pytest.raises(InputError, match=r"\(3, 2, 5, 4\), the study \(3, 2, 4, 5\)"):
        Segmentation(study, np.zeros((3, 2, 5, 4), np.uint8))


@pytest.mark.parametrize(("image", "labels"), [((2, 4, 5), (2, 5, 4)), ((4, 5), (4, 5)), ((1, 2, 4, 5), (1, 2, 4, 5))])
def test_a_frame_is_an_image_and_labels_of_one_3d_shape(image: tuple[int, ...], labels: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"^patient001_frame01: image .*\(D, H, W\)"):
        Frame("patient001_frame01", "patient001", "ED", None, np.zeros(image), np.zeros(labels, np.uint8), SPACING)


def test_extents_and_gaps_must_fit_the_slices() -> None:
    assert a_study(slice_extents=(7.0, 9.0), gaps=(0,)).gaps == (0,)
    for facts in ({"slice_extents": (7.0,)}, {"slice_extents": (7.0, 0.0)}, {"gaps": (1,)}):
        with pytest.raises(InputError, match=next(iter(facts))):
            a_study(**facts)
