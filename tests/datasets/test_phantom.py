"""Virtual patients as a data set, and written as folders that other programs know."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from shortaxis.datasets import mnms, open_dataset
from shortaxis.datasets.phantom import phantom_cines, phantom_dataset, write_phantoms
from shortaxis.errors import InputError
from shortaxis.io import read

if TYPE_CHECKING:
    from pathlib import Path


def test_every_patient_gives_ed_and_es_and_the_groups_take_turns() -> None:
    data = phantom_dataset(6)
    assert len(data) == 12
    assert data.patients == tuple(f"phantom00{number}" for number in range(1, 7))
    assert list(data.groups.values()) == ["NOR", "DCM", "HCM", "MINF", "RV", "NOR"]
    assert [ref.phase for ref in data.refs[:2]] == ["ED", "ES"]
    assert [ref.name for ref in data.refs] == sorted(ref.name for ref in data.refs)


def test_frames_are_rendered_when_asked_for_and_the_same_each_time() -> None:
    ref = phantom_dataset(2, seed=3).refs[1]
    one, again = ref.load(), ref.load()
    assert (one.name, one.patient, one.phase, one.group) == (ref.name, ref.patient, "ES", "NOR")
    np.testing.assert_array_equal(one.image, again.image)
    np.testing.assert_array_equal(one.labels, again.labels)
    assert one.labels.max() == 3


def test_another_seed_gives_other_patients() -> None:
    one, other = (phantom_dataset(1, seed).refs[0].load() for seed in (0, 1))
    assert one.image.shape != other.image.shape or (one.image != other.image).any()


def test_frames_are_those_of_the_whole_cine() -> None:
    frame = phantom_dataset(1, seed=2).refs[1].load()
    cine = next(phantom_cines(1, seed=2, phases=(0, 7)))
    np.testing.assert_array_equal(frame.image, cine.study.pixels[cine.study.end_systole])
    np.testing.assert_array_equal(frame.labels, cine.labels[cine.study.end_systole])


@pytest.mark.parametrize("layout", ["acdc", "mnms", "nnunet"])
def test_written_folder_reads_back_as_it_was(tmp_path: Path, layout: str) -> None:
    n_phases = 20 if layout == "nnunet" else 2
    write_phantoms(tmp_path, 1, layout=layout, seed=4, n_phases=n_phases)
    data = open_dataset(f"{layout}:{tmp_path}")
    assert len(data) == 2
    assert data.groups == {"phantom400001": "NOR"}
    expected = next(phantom_cines(1, seed=4, n_phases=n_phases, phases=("ED", "ES")))
    frames = {frame.phase: frame for frame in data}
    for phase, index in (("ED", expected.study.end_diastole), ("ES", expected.study.end_systole)):
        np.testing.assert_array_equal(frames[phase].image, expected.study.pixels[index])
        np.testing.assert_array_equal(frames[phase].labels, expected.labels[index])
        np.testing.assert_allclose(frames[phase].spacing, expected.study.spacing, rtol=1e-6)


def test_cine_written_as_acdc_keeps_its_place_in_the_patient(tmp_path: Path) -> None:
    write_phantoms(tmp_path, 1, n_phases=2)
    study = read(tmp_path / "phantom001" / "phantom001_4d.nii.gz")
    expected = next(phantom_cines(1, n_phases=2)).study
    np.testing.assert_array_equal(study.pixels, expected.pixels)
    np.testing.assert_allclose(study.affine, expected.affine, atol=1e-4)


def test_every_fourth_patient_is_the_test_part_of_mnms(tmp_path: Path) -> None:
    write_phantoms(tmp_path, 4, layout="mnms", n_phases=2)
    parts = mnms.official_split(tmp_path)
    assert parts["train"] == ("phantom001", "phantom002", "phantom003")
    assert parts["test"] == ("phantom004",)


def test_unknown_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'bids'; known are acdc, mnms, nnunet"):
        write_phantoms(tmp_path, 1, layout="bids")


def test_no_patients_are_refused() -> None:
    with pytest.raises(InputError, match="at least 1 patient, not 0"):
        phantom_dataset(0)


def test_patients_of_two_seeds_bear_different_names() -> None:
    assert phantom_dataset(2).patients == ("phantom001", "phantom002")
    assert phantom_dataset(2, seed=1).patients == ("phantom100001", "phantom100002")
