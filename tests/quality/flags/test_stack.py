from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from shortaxis.io.dicom.reader import DicomSource
from shortaxis.labels import Structure
from shortaxis.quality.flags import study_flags
from shortaxis.quality.flags.stack import _off_centreline


def only(segmentation, name):
    """The one flag of this name."""
    (flag,) = [flag for flag in study_flags(segmentation) if flag.name == name]
    return flag


def shown(labels, structure=Structure.LV):
    """Slices of the first phase that show a structure."""
    return np.flatnonzero((labels[0] == structure).any(axis=(1, 2)))


def test_a_whole_heart_has_no_flag(whole):
    assert study_flags(whole) == []


def test_a_whole_heart_has_no_flag_from_apex_to_base_either(whole, with_labels):
    turned = np.diag([-1.0, 1.0, 1.0, 1.0])
    assert study_flags(with_labels(whole, whole.labels[:, ::-1], affine=whole.study.affine @ turned)) == []


@pytest.mark.parametrize("slices", [1, 4])
def test_too_few_slices(healthy, with_labels, names, slices):
    middle = shown(healthy.labels)[2]
    few = with_labels(healthy, healthy.labels[:, middle : middle + slices])
    assert "too_few_slices" in names(few)
    flag = only(few, "too_few_slices")
    assert (flag.value, flag.limit, flag.unit) == (slices, 5, "slices")
    said = {1: "1 slice of 1 shows", 4: "4 slices of 4 show"}[slices]
    assert flag.message.startswith(f"{said} the LV cavity at end-diastole")


def test_five_slices_are_enough(healthy, with_labels, names):
    first = shown(healthy.labels)[-1] - 4
    assert "too_few_slices" not in names(with_labels(healthy, healthy.labels[:, first:]))


@pytest.mark.parametrize(("distance", "flagged"), [(12.0, []), (12.5, ["slices_far_apart"])])
def test_slices_far_apart(healthy, with_labels, names, distance, flagged):
    assert [name for name in names(with_labels(healthy, spacing=(distance, 1.8, 1.8))) if "slices" in name] == flagged


def test_a_single_slice_is_not_apart_from_anything(healthy, with_labels, names):
    assert "slices_far_apart" not in names(with_labels(healthy, healthy.labels[:, 3:4], spacing=(20.0, 1.8, 1.8)))


def dicom(study, positions):
    return replace(study, source=DicomSource(Path("study"), (), positions, (), "TriggerTime", None, ()))


def even_positions(study):
    return np.arange(study.n_slices)[:, None] * study.affine[:3, 0] + study.affine[:3, 3]


def test_a_slice_that_was_left_out_is_a_gap(healthy):
    kept = [index for index in range(healthy.study.n_slices) if index != 4]
    study = replace(healthy.study, pixels=healthy.study.pixels[:, kept])
    study = dicom(study, even_positions(healthy.study)[kept])
    flag = only(replace(healthy, study=study, labels=healthy.labels[:, kept]), "gap_in_stack")
    assert flag.value == pytest.approx(16.0)
    assert flag.limit == pytest.approx(12.0)
    assert "slices 4 and 5 are 16.0 mm apart" in flag.message


@pytest.mark.parametrize(("kept", "between", "mm"), [([3, 4, 6], "2 and 3", 16), ([3, 5, 6], "1 and 2", 16), ([3, 4, 5], None, 8)])
def test_of_two_distances_the_smaller_is_usual(healthy, kept, between, mm):
    study = replace(healthy.study, pixels=healthy.study.pixels[:, kept])
    study = dicom(study, even_positions(healthy.study)[kept])
    found = {flag.name: flag for flag in study_flags(replace(healthy, study=study, labels=healthy.labels[:, kept]))}
    assert ("gap_in_stack" in found) is (between is not None)
    if between is not None:
        assert found["gap_in_stack"].message.startswith(f"slices {between} are {mm:.1f} mm apart where 8.0 mm is usual")


def test_positions_that_are_a_little_uneven_are_no_gap(healthy):
    positions = even_positions(healthy.study)
    positions[4:] += 0.4 * healthy.study.affine[:3, 0]
    assert study_flags(replace(healthy, study=dicom(healthy.study, positions))) == []


def test_positions_of_another_number_of_slices_are_not_used(healthy):
    assert study_flags(replace(healthy, study=dicom(healthy.study, even_positions(healthy.study)[::2]))) == []


def test_two_slices_have_no_usual_distance(healthy, with_labels, names):
    assert "gap_in_stack" not in names(with_labels(healthy, healthy.labels[:, 2:4]))


def test_a_stack_that_begins_below_the_base(healthy, with_labels):
    flag = only(with_labels(healthy, healthy.labels[:, shown(healthy.labels)[0] + 3 :]), "base_not_covered")
    assert "slice 1, the most basal one" in flag.message
    assert flag.limit == 70 < flag.value <= 100


def with_basal_sections(healthy, with_labels, es, lv, rv):
    """A stack whose most basal slice is the middle one at end-systole, with so much of the largest section of each cavity, in %."""
    labels = healthy.labels.copy()
    middle = int((labels[es] == Structure.LV).sum(axis=(1, 2)).argmax())
    labels = labels[:, [middle, *range(middle, labels.shape[1])]]
    for structure, share in ((Structure.LV, lv), (Structure.RV, rv)):
        sections = (labels[es] == structure).sum(axis=(1, 2))
        rows, columns = np.nonzero(labels[es, 0] == structure)
        # An outer strip of the cavity becomes wall, so that the ring stays closed.
        gone = np.argsort(rows)[: max(0, len(rows) - round(share / 100 * sections.max()))]
        labels[es, 0, rows[gone], columns[gone]] = Structure.MYO if structure is Structure.LV else Structure.BACKGROUND
    return with_labels(healthy, labels)


@pytest.mark.parametrize(("lv", "rv", "flagged"), [(75, 80, True), (65, 80, False), (75, 55, True), (75, 45, False), (55, 55, False)])
def test_the_base_is_judged_by_a_limit_of_its_own_for_each_ventricle(healthy, with_labels, names, es, lv, rv, flagged):
    """70 % of the largest LV section and 50 % of the largest RV section."""
    assert ("base_not_covered" in names(with_basal_sections(healthy, with_labels, es, lv, rv))) == flagged


def test_the_base_may_be_the_last_slice(healthy, with_labels):
    turned = healthy.study.affine @ np.diag([-1.0, 1.0, 1.0, 1.0])
    labels = healthy.labels[:, shown(healthy.labels)[0] + 3 :][:, ::-1]
    assert f"slice {labels.shape[1]}, the most basal one" in only(with_labels(healthy, labels, affine=turned), "base_not_covered").message


@pytest.mark.parametrize("change", ["small RV", "open ring"])
def test_a_basal_slice_that_shows_the_valve_plane_covers_the_base(healthy, with_labels, names, es, change):
    labels = healthy.labels[:, shown(healthy.labels)[0] + 3 :].copy()
    slice_ = labels[es, 0]
    if change == "small RV":
        slice_[slice_ == Structure.RV] = Structure.BACKGROUND
    else:
        middle = int(np.argwhere(slice_ == Structure.LV)[:, 0].mean())
        slice_[middle][slice_[middle] == Structure.MYO] = Structure.BACKGROUND
    assert "base_not_covered" not in names(with_labels(healthy, labels))


def test_without_es_nothing_is_said_about_the_base(healthy, with_labels, names):
    first = with_labels(healthy, healthy.labels[:1, shown(healthy.labels)[0] + 3 :], phase_times=None)
    assert "base_not_covered" not in names(first)


def test_a_stack_that_ends_above_the_apex(healthy, with_labels):
    flag = only(with_labels(healthy, healthy.labels[:, : shown(healthy.labels)[-1] - 2]), "apex_not_covered")
    assert "the most apical one, shows" in flag.message
    assert flag.limit == 35 < flag.value < 100


def test_one_slice_shifted_in_its_plane_at_all_phases(healthy):
    healthy.labels[:, 5] = np.roll(healthy.labels[:, 5], 6, axis=-1)
    flag = only(healthy, "motion_between_slices")
    assert "the LV of slice 6 lies" in flag.message
    assert flag.value == pytest.approx(6 * 1.8, abs=1.5)


def test_a_slice_shifted_at_ed_only_is_no_breath_hold(healthy, names):
    healthy.labels[0, 5] = np.roll(healthy.labels[0, 5], 6, axis=-1)
    assert "motion_between_slices" not in names(healthy)


def test_images_whose_origins_are_shifted_along_with_their_content_are_not(healthy, names):
    """The heart lies where it lay; only the field of view of a slice was moved."""
    healthy.labels[:, 5] = np.roll(healthy.labels[:, 5], 6, axis=-1)
    positions = even_positions(healthy.study)
    positions[5] -= 6 * healthy.study.affine[:3, 2]
    assert study_flags(replace(healthy, study=dicom(healthy.study, positions))) == []


def test_a_straight_or_bent_line_has_no_outlier_and_one_outlier_does_not_bend_it():
    along = np.arange(9) * 8.0
    line = np.stack([3 + 0.2 * along, 0.01 * along**2], axis=1)
    assert np.abs(_off_centreline(along, line)).max() < 1e-6
    line[4] += (6.0, -8.0)
    assert _off_centreline(along, line)[4] == pytest.approx([6, -8], abs=0.8)


@pytest.mark.parametrize("structure", ["LV", "RV", "MYO"])
def test_a_structure_that_was_not_found(healthy, structure):
    healthy.labels[healthy.labels == Structure[structure]] = Structure.BACKGROUND
    flag = study_flags(healthy)[0]
    assert flag.name == f"no_{structure.lower()}"
    assert flag.message.startswith(f"no {structure} was found at")
    assert (flag.value, flag.limit) == (None, None)


def test_labels_without_a_heart(healthy, names):
    healthy.labels[...] = Structure.BACKGROUND
    assert names(healthy) == ["no_rv", "no_myo", "no_lv"]


def test_a_hole_in_the_middle_of_a_structure(healthy, es):
    part = healthy.labels[es, 5]
    part[part == Structure.RV] = Structure.BACKGROUND
    assert [flag.name for flag in study_flags(healthy)] == ["empty_slice_within"]
    assert only(healthy, "empty_slice_within").message.endswith(": RV in slice 6 at end-systole")


def test_of_many_holes_three_are_named(healthy, es):
    healthy.labels[es, 5:7] = Structure.BACKGROUND
    flag = only(healthy, "empty_slice_within")
    assert flag.value == 6
    assert flag.message.endswith("and 3 more")


@pytest.mark.parametrize("side", ["top", "left"])
def test_a_heart_cut_by_the_border(healthy, with_labels, side):
    rows, columns = (np.flatnonzero(healthy.labels.any(axis=axes)) for axes in ((0, 1, 3), (0, 1, 2)))
    part = np.s_[:, :, rows[0] + 2 :] if side == "top" else np.s_[..., columns[0] + 2 :]
    flag = only(with_labels(healthy, healthy.labels[part]), "cut_by_border")
    assert 0 < flag.value < healthy.study.n_slices
    assert f"in {flag.value:.0f} of {healthy.study.n_slices} slices" in flag.message
