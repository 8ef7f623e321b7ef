"""The phantom as a whole."""

from __future__ import annotations

import time

import numpy as np
import pytest

import shortaxis
from shortaxis.errors import InputError
from shortaxis.labels import Structure
from shortaxis.phantom import GROUPS, make_phantom
from shortaxis.phantom.geometry import Heart
from shortaxis.phantom.groups import draw_patient
from shortaxis.phantom.scan import plan_scan
from shortaxis.phantom.torso import paint_torso

SMALL = {"matrix": (96, 96), "spacing": (9.0, 1.9, 1.9)}
EF_RANGE = {"NOR": (50, 75), "DCM": (10, 40), "HCM": (55, 80), "MINF": (15, 40), "RV": (50, 70)}


def median(phantom, structure: Structure, phase: int = 0) -> float:
    return float(np.median(phantom.study.pixels[phase][phantom.labels[phase] == structure]))


def test_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    one, same, other = (make_phantom(seed, n_phases=3, **SMALL) for seed in (5, 5, 6))
    assert one.study.pixels.tobytes() == same.study.pixels.tobytes()
    assert one.labels.tobytes() == same.labels.tobytes()
    assert one.study.affine.tobytes() == same.study.affine.tobytes()
    assert one.truth.edv == same.truth.edv
    assert one.study.pixels.tobytes() != other.study.pixels.tobytes()
    assert one.truth.edv != other.truth.edv


def test_a_phase_looks_the_same_alone_and_among_all() -> None:
    whole = make_phantom(2, n_phases=8, **SMALL)
    some = make_phantom(2, n_phases=8, phases=("ES", 5, "ED"), **SMALL)
    assert whole.study.end_systole == 3
    for index, phase in enumerate((3, 5, 0)):
        np.testing.assert_array_equal(some.study.pixels[index], whole.study.pixels[phase])
        np.testing.assert_array_equal(some.labels[index], whole.labels[phase])
        assert some.truth.lv_ml[index] == whole.truth.lv_ml[phase]
        assert some.study.phase_times[index] == whole.study.phase_times[phase]
    assert (some.study.end_systole, some.study.end_diastole) == (0, 2)
    assert some.truth.ef == whole.truth.ef


@pytest.mark.parametrize("group", GROUPS)
def test_study_holds_what_a_reader_would_give(group: str) -> None:
    phantom = make_phantom(1, group=group, n_phases=4, identifier="anna", **SMALL)
    study = phantom.study
    assert isinstance(study, shortaxis.Study)
    assert study.pixels.dtype == np.float32
    assert study.pixels.shape == phantom.labels.shape
    assert phantom.labels.dtype == np.uint8
    assert set(np.unique(phantom.labels)) == {0, 1, 2, 3}
    assert np.isfinite(study.pixels).all()
    assert (study.end_diastole, study.end_systole) == (0, 1)
    assert (study.subject.identifier, study.subject.group) == ("anna", group)
    assert study.subject.height_cm > study.subject.weight_kg
    assert study.phase_times[0] == 0
    assert 600 < 4 * study.phase_times[1] < 1100
    np.testing.assert_allclose(np.linalg.norm(study.affine[:3, :3], axis=0), study.spacing)


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("seed", range(3))
def test_ejection_fraction_by_voxels_is_in_the_range_of_the_group(group: str, seed: int) -> None:
    phantom = make_phantom(seed, group=group, phases=("ED", "ES"), matrix=(96, 96), spacing=(6.0, 1.9, 1.9))
    lowest, highest = EF_RANGE[group]
    assert lowest < phantom.truth.ef < highest
    diastole, systole = (phantom.labels == Structure.LV).sum(axis=(1, 2, 3)) * phantom.study.voxel_ml
    assert diastole == pytest.approx(phantom.truth.edv, rel=0.07)
    assert 100 * (1 - systole / diastole) == pytest.approx(phantom.truth.ef, abs=5)


def test_truth_hangs_together() -> None:
    truth = make_phantom(4, group="HCM", n_phases=5, **SMALL).truth
    assert truth.lv_ml[0] == truth.edv == truth.lv_ml.max()
    assert truth.lv_ml[2] == truth.esv == truth.lv_ml.min()
    assert truth.sv == truth.edv - truth.esv
    assert truth.ef == pytest.approx(100 * truth.sv / truth.edv)
    assert truth.rv_ml[0] == truth.rv_edv
    assert truth.rv_ml[2] == truth.rv_esv
    assert truth.rv_ef == pytest.approx(100 * truth.rv_sv / truth.rv_edv)
    assert truth.wall_thickness.shape == (5, 6)
    assert 130 < truth.lv_mass < 260


@pytest.mark.parametrize("group", GROUPS)
def test_fewer_slices_show_the_heart_at_end_systole(group: str) -> None:
    phantom = make_phantom(3, group=group, phases=("ED", "ES"), matrix=(96, 96), spacing=(5.0, 1.9, 1.9), n_slices=24)
    shown = phantom.labels.any(axis=(2, 3))
    assert shown[1].sum() < shown[0].sum()
    assert shown[1].argmax() > shown[0].argmax()
    assert not shown[:, -1].any()


@pytest.mark.parametrize("group", GROUPS)
def test_tissues_have_the_contrast_of_a_bssfp_cine(group: str) -> None:
    phantom = make_phantom(7, group=group, phases=("ED",))
    blood, right, muscle = (median(phantom, structure) for structure in (Structure.LV, Structure.RV, Structure.MYO))
    assert 0.25 < muscle / blood < 0.5
    assert 0.7 < right / blood < 1.1
    pixels = phantom.study.pixels[0]
    assert np.percentile(pixels, 50) < 0.25 * blood  # lung and air fill most of the picture
    assert np.percentile(pixels, 2) < 0.06 * blood  # air
    assert np.percentile(pixels, 99.5) > 0.9 * blood  # fat near the coil


def test_right_ventricle_is_to_the_left_of_the_left_in_the_picture() -> None:
    for seed, group in enumerate(GROUPS):
        labels = make_phantom(seed, group=group, phases=("ED",), **SMALL).labels[0]
        middle = labels[len(labels) // 2]
        assert np.nonzero(middle == Structure.RV)[1].mean() + 8 < np.nonzero(middle == Structure.LV)[1].mean()


def test_slices_run_from_base_to_apex() -> None:
    areas = (make_phantom(0, phases=("ED",), **SMALL).labels[0] > 0).sum(axis=(1, 2))
    assert areas[:4].max() > 2 * areas[-3:].max()


@pytest.mark.parametrize("n_slices", [6, 9, 12, 15, 18])
@pytest.mark.parametrize("group", ["NOR", "DCM"])
def test_slice_counts_of_acdc_can_be_had(group: str, n_slices: int) -> None:
    study = make_phantom(1, group=group, n_slices=n_slices, phases=("ED",), matrix=(140, 140)).study
    assert study.n_slices == n_slices


def test_one_slice_can_be_had() -> None:
    assert make_phantom(1, n_slices=1, phases=("ED",), **SMALL).study.n_slices == 1


def test_one_phase_has_no_end_systole() -> None:
    study = make_phantom(1, n_phases=1, **SMALL).study
    assert (study.n_phases, study.end_diastole, study.end_systole) == (1, 0, None)


def test_edges_are_soft_because_voxels_hold_parts_of_two_tissues() -> None:
    phantom = make_phantom(1, phases=("ED",), noise=0, **SMALL)
    blood, muscle = median(phantom, Structure.LV), median(phantom, Structure.MYO)
    middle = phantom.study.pixels[0, 5]
    between = (middle > muscle + 0.3 * (blood - muscle)) & (middle < muscle + 0.7 * (blood - muscle))
    assert between[phantom.labels[0, 5] >= Structure.MYO].mean() > 0.05


def test_noise_can_be_switched_off_and_up() -> None:
    quiet, loud = (make_phantom(1, phases=("ED",), noise=noise, matrix=(160, 150), spacing=(10, 1.9, 1.9)) for noise in (0, 0.1))
    corner = (0, slice(None), slice(70, 100), slice(-8, None))
    scale = median(quiet, Structure.LV)
    assert quiet.study.pixels[corner].mean() < 0.01 * scale
    assert loud.study.pixels[corner].mean() > 0.03 * scale


def test_body_lies_in_air_and_holds_lung_fat_and_organs() -> None:
    rng = np.random.default_rng(2)
    heart = Heart(draw_patient(rng, "NOR"), (0, 0))
    scan = plan_scan(rng, heart, spacing=(10, 1.9, 1.9), matrix=(160, 160))
    body = paint_torso(rng, heart, scan)
    assert body.shape == scan.shape
    assert (body[:, 80, :3] == 0).all()  # air in front of the chest
    assert (body[:, 80, -3:] == 0).all()  # and behind the back
    assert (body < -0.5).mean() > 0.05  # fat, in opposed phase
    assert ((body > 0.03) & (body < 0.12)).mean() > 0.1  # lung
    assert ((body > 0.18) & (body < 0.45)).mean() > 0.05  # muscle and organs
    lung = (body > 0.03) & (body < 0.12)
    assert lung[:, scan.y[:, 0] < -50].mean() > lung[:, scan.y[:, 0] > 70].mean()


@pytest.mark.parametrize("phases", [(), (20,), (-1,), ("diastole",)])
def test_phase_that_does_not_exist_is_refused(phases: tuple) -> None:
    with pytest.raises(InputError, match=r"phases must .*0 to 19, 'ED' or 'ES'"):
        make_phantom(phases=phases, **SMALL)


def test_no_phases_are_refused() -> None:
    with pytest.raises(InputError, match="n_phases must be at least 1, not 0"):
        make_phantom(n_phases=0)


def test_one_frame_is_cheap() -> None:
    def seconds() -> float:
        start = time.process_time()
        make_phantom(0, phases=("ED",), n_slices=10, matrix=(160, 160), spacing=(10.0, 1.6, 1.6))
        return time.process_time() - start

    assert min(seconds() for _ in range(3)) < 0.6
