"""Temporal consistency, on a small round heart that beats: LV, wall and RV are discs whose radii follow the phase."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from shortaxis.ensemble import StreamingEnsemble, Uncertainty
from shortaxis.ensemble.model_file import ModelSpec
from shortaxis.indices import find_phases, structure_volumes, volume_curves
from shortaxis.inference import Model
from shortaxis.inference.temporal import LEAST_PHASES, Overlaps, Steadier, contradictions
from shortaxis.labels import FOREGROUND, Structure
from shortaxis.phantom.geometry import Heart
from shortaxis.phantom.groups import GROUPS, draw_patient
from shortaxis.phantom.masks import draw_masks
from shortaxis.phantom.motion import ejected_share
from shortaxis.phantom.scan import plan_scan
from shortaxis.preprocessing.grid import PhysicalGrid, StretchedGrid
from shortaxis.study import Study

SIZE, DEPTH, PHASES, MM = 48, 9, 12, 2.0
ES = 5
BG, RV, MYO, LV = Structure


def disc(y: float, x: float, radius: float) -> np.ndarray:
    rows, columns = np.mgrid[:SIZE, :SIZE]
    return np.hypot(rows - y, columns - x) < radius


def beating(phases: int = PHASES, es: int = ES) -> np.ndarray:
    """uint8 (T, 9, 48, 48): base first; slice 0 is beyond the valve plane, and at ES, for that one phase, slice 1 is too."""
    labels = np.zeros((phases, DEPTH, SIZE, SIZE), np.uint8)
    for phase, frame in enumerate(labels):
        far = min((phase - es) % phases, (es - phase) % phases) / (phases / 2)
        for slice_ in range(2 if phase == es else 1, DEPTH):
            scale = 1.05 - slice_ / 25
            for structure, at, radius in ((RV, 12, 6 + 2 * far), (MYO, 30, 13), (LV, 30, 7 + 3 * far)):
                frame[slice_][disc(24, at, radius * scale)] = structure
    return labels


def study(labels: np.ndarray, **known) -> Study:
    return Study(np.broadcast_to(np.float32(0), labels.shape), (8.0, MM, MM), **known)


def mend(labels: np.ndarray, *, clean: bool = True, **known):
    """Labels after mending, and the repairs; each phase is sure of its own labels."""
    steadier = Steadier(study(labels, **known), StretchedGrid(SIZE))
    for frame in labels:
        steadier.take(np.eye(4, dtype=np.float32)[frame].transpose(3, 0, 1, 2))
    mended = labels.copy()
    return mended, steadier.mend(mended, clean=clean)


def places(repairs) -> set[tuple[int, int, str]]:
    return {(repair.phase, repair.slice, repair.structure.name) for repair in repairs}


def test_a_beating_heart_stays_as_it_is():
    labels = beating()
    mended, repairs = mend(labels)
    assert repairs == ()
    assert np.array_equal(mended, labels)


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("phases", [LEAST_PHASES, 25])
def test_nothing_in_the_exact_masks_of_a_phantom_is_a_contradiction(group, phases):
    rng = np.random.default_rng(3)
    heart = Heart(draw_patient(rng, group), (0.03, 0.06))
    scan = plan_scan(rng, heart, spacing=(10.0, 2.2, 2.2), matrix=(110, 100))
    labels = draw_masks(heart, scan, [heart.state(share) for share in ejected_share(phases)])
    overlaps = Overlaps(labels, 2.2**2)
    for interior in (True, False):
        assert contradictions(overlaps, Study(np.broadcast_to(np.float32(0), labels.shape), scan.spacing), interior=interior) == []


@pytest.mark.parametrize("phase", range(PHASES))
def test_a_structure_that_vanishes_inside_comes_back_at_any_phase(phase):
    labels = beating()
    whole = labels[phase, 5] == RV
    labels[phase, 5][whole] = BG
    mended, (repair,) = mend(labels)
    assert (repair.phase, repair.slice, repair.structure, repair.before_mm2) == (phase, 5, RV, 0.0)
    found = mended[phase, 5] == RV
    assert repair.after_mm2 == found.sum() * MM**2
    # Sure neighbours that are split leave a pixel out: what comes back is the section that both show.
    assert np.array_equal(found, (labels[phase - 1, 5] == RV) & (labels[(phase + 1) % PHASES, 5] == RV))
    mended[phase, 5][found] = labels[phase, 5][found]
    assert np.array_equal(mended, labels)


def test_a_structure_that_doubles_loses_its_double():
    labels = beating()
    extra = disc(42, 24, 6)
    labels[2, 4][extra] = LV
    labels[2, 4, 36:, 30:] = np.where(disc(42, 34, 7)[36:, 30:], LV, labels[2, 4, 36:, 30:])
    mended, repairs = mend(labels)
    assert places(repairs) == {(2, 4, "LV")}
    assert np.array_equal(mended[2, 4] == LV, (labels[1, 4] == LV) & (labels[3, 4] == LV))


def test_a_mask_of_the_right_size_in_the_wrong_place_goes_back():
    labels = beating()
    labels[3, 5] = np.roll(labels[3, 5], 14, axis=0)
    mended, repairs = mend(labels)
    assert {place[:2] for place in places(repairs)} == {(3, 5)}
    for part in FOREGROUND:
        back, true = mended[3, 5] == part, beating()[3, 5] == part
        assert 2 * (back & true).sum() > 0.9 * (back.sum() + true.sum())


def test_a_small_flicker_is_let_be():
    labels = beating()
    labels[2, 4][disc(46, 6, 2.2)] = RV
    assert mend(labels, clean=False)[1] == ()


@pytest.mark.parametrize(("phase", "touched"), [(2, True), (0, False), (PHASES - 1, False), (ES, False), (ES + 1, False), (8, True)])
def test_near_the_ends_of_a_structure_ed_and_es_are_spared(phase, touched):
    """ED is phase 11, which lies half a beat from ES."""
    labels = beating()
    labels[phase, 7:][labels[phase, 7:] == RV] = BG
    assert places(mend(labels)[1]) == ({(phase, 7, "RV"), (phase, 8, "RV")} if touched else set())


def test_phases_that_the_study_names_are_spared_too():
    labels = beating()
    labels[2, 7:][labels[2, 7:] == RV] = BG
    assert mend(labels, end_diastole=2)[1] == ()


def test_a_bad_es_is_mended_up_to_its_ends():
    labels = beating()
    labels[ES, 5:] = BG
    mended, repairs = mend(labels)
    assert {(ES, slice_, part.name) for slice_ in range(5, DEPTH) for part in FOREGROUND} <= places(repairs)
    lv_ml = (mended == LV).sum(axis=(1, 2, 3))
    assert lv_ml.argmin() in {ES - 1, ES, ES + 1}
    assert lv_ml[ES] > 0.9 * lv_ml[ES - 1]


def test_beside_a_bad_phase_good_ones_stay():
    """Slice 1 is empty at ES, so an empty phase 7 leaves phase 6 alone between two empty neighbours."""
    labels = beating()
    labels[7] = BG
    mended, repairs = mend(labels)
    assert {repair.phase for repair in repairs} == {7}
    kept = np.arange(PHASES) != 7
    assert np.array_equal(mended[kept], labels[kept])
    assert (mended[7] == LV).sum() > 0.8 * (beating()[7] == LV).sum()


@pytest.mark.parametrize(("phases", "es", "mended"), [(24, 9, True), (12, 5, False)])
def test_two_bad_phases_in_a_row_are_seen_in_a_long_cine(phases, es, mended):
    labels = beating(phases, es)
    for phase in (2, 3):
        labels[phase, 5][labels[phase, 5] == RV] = BG
    assert places(mend(labels)[1]) == ({(2, 5, "RV"), (3, 5, "RV")} if mended else set())


def test_an_open_cine_has_no_neighbours_across_its_ends():
    labels = beating(24, 10)[:12]  # from nearly ED to just behind ES
    for phase in (0, 4, 11):
        labels[phase, 5][labels[phase, 5] == RV] = BG
    assert places(mend(labels)[1]) == {(4, 5, "RV")}


@pytest.mark.parametrize("phase", [0, PHASES - 1])
def test_a_bad_phase_at_the_seam_does_not_open_the_circle(phase):
    labels = beating()
    labels[phase] = BG
    assert (phase, 5, "LV") in places(mend(labels)[1])


def test_islands_that_come_with_a_repair_go_unless_they_are_wanted():
    labels = beating()
    labels[3, 5][labels[3, 5] == RV] = BG
    for phase in (2, 4):
        labels[phase, 5][disc(44, 4, 3)] = RV
    assert not (mend(labels)[0][3, 5] == RV)[44, 4]
    assert (mend(labels, clean=False)[0][3, 5] == RV)[44, 4]


def test_outside_the_grid_there_is_background():
    """A grid of 64 mm on images of 96 mm, whose edge would otherwise be repeated."""
    labels = beating()
    labels[:, :, :, 24:][labels[:, :, :, 24:] == MYO] = LV
    grid = PhysicalGrid(MM, 32)
    inside = np.s_[:, :, 8:40, 8:40]
    steadier = Steadier(study(labels), grid)
    for frame in labels:
        steadier.take(np.eye(4, dtype=np.float32)[frame[:, 8:40, 8:40]].transpose(3, 0, 1, 2))
    seen = np.zeros_like(labels)
    seen[inside] = labels[inside]
    seen[3, 5][seen[3, 5] == LV] = BG
    assert steadier.mend(seen)
    assert not seen[3, 5, :, 40:].any()
    assert (seen[3, 5, :, 39] == LV).any()


def test_labels_without_a_heart_have_nothing_to_mend():
    assert mend(np.zeros((PHASES, 3, SIZE, SIZE), np.uint8))[1] == ()


def test_memory_is_three_bytes_a_grid_pixel():
    steadier = Steadier(study(beating()), StretchedGrid(SIZE))
    steadier.take(np.full((4, DEPTH, SIZE, SIZE), 0.25, np.float32))
    assert sum(said.nbytes for said in steadier._said) == 3 * DEPTH * SIZE * SIZE


class Levels(nn.Module):
    """Tells the classes apart by the nearest of four grey values, which normalisation has moved."""

    def __init__(self, levels: list[float]) -> None:
        super().__init__()
        self.levels = levels

    def forward(self, slices: torch.Tensor) -> torch.Tensor:
        return -20 * (slices - slices.new_tensor(self.levels)[:, None, None]) ** 2


def flickering() -> tuple[Model, Study]:
    """A cine in whose phase 3 the RV of slice 5 is not seen, and a model that sees the rest."""
    labels = beating()
    pixels = labels * np.float32(100) + np.random.default_rng(0).normal(0, 1, labels.shape).astype(np.float32)
    levels = [float((100 * k - pixels[3].mean()) / pixels[3].std()) for k in range(4)]
    part = pixels[3, 5]
    part[labels[3, 5] == RV] = 0
    ensemble = StreamingEnsemble([Levels(levels)], Uncertainty(outer_softmax=False))
    return Model(ensemble, ModelSpec("test", [], {}, {"kind": "stretched", "size": SIZE})), Study(pixels, (8.0, MM, MM))


def test_a_model_mends_a_cine_unless_told_not_to():
    model, cine = flickering()
    steady, raw = (model.segment(cine, temporal=temporal) for temporal in (True, False))
    # Without slice 5 the RV below it was an island: cleaning took it away, and it comes back too.
    assert places(steady.repairs) == {(3, slice_, "RV") for slice_ in range(5, DEPTH)}
    assert raw.repairs == ()
    differing = np.argwhere(steady.labels != raw.labels)
    assert {(phase, slice_) for phase, slice_, _, _ in differing.tolist()} == {(3, slice_) for slice_ in range(5, DEPTH)}
    assert (steady.labels[3, 5] == RV).sum() > 0.8 * (beating()[3, 5] == RV).sum()


def test_a_short_cine_is_taken_phase_by_phase():
    model, cine = flickering()
    few = Study(cine.pixels[: LEAST_PHASES - 1], cine.spacing)
    assert model.segment(few).repairs == ()


def test_phases_are_reported_as_each_alone_is():
    model, cine = flickering()
    said = []
    model.segment(cine, on_phase=lambda phase, result: said.append(result.labels))
    assert np.array_equal(np.stack(said), model.segment(cine, temporal=False).labels)


@pytest.mark.parametrize(("structure", "touched"), [(RV, False), (LV, True)])
def test_the_rv_is_spared_where_it_is_said_to_turn(structure, touched):
    """The RV turns two phases after the LV: at its own ES its last slices may be empty for one phase, those of the LV may not."""
    labels, phase = beating(), ES + 3
    late = np.roll(labels, 3, axis=0) == RV
    labels[labels == RV] = BG
    labels[late] = RV
    labels[phase, 7:][labels[phase, 7:] == structure] = BG
    assert bool(mend(labels, rv_end_systole=phase)[1]) is touched


@pytest.mark.parametrize("temporal", [True, False])
def test_ed_and_es_are_the_extremes_of_the_labels_as_they_are_in_the_end(temporal):
    """The RV of phase 3 is lost to two thirds. Repaired, it is no ES of the RV any more."""
    model, cine = flickering()
    found = model.segment(cine, temporal=temporal)
    ml = structure_volumes(found.labels, cine.spacing)
    curves = volume_curves(found)
    assert (curves.end_diastole, curves.end_systole) == find_phases(ml[:, LV])
    assert (curves.rv_end_diastole, curves.rv_end_systole) == find_phases(ml[:, RV])
    assert (int(ml[:, RV].argmin()) == ES) is temporal
    assert curves.rv_esv_own == ml[curves.rv_end_systole, RV]
