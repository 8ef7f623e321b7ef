"""Rules that the command's tests do not reach."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shortaxis.errors import InputError
from shortaxis.segmenting import plan_studies, refuse_collisions


def touch(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.mark.parametrize(
    ("name", "labels", "indices"),
    [
        ("a.nii.gz", "a.nii.gz", "a.indices.json"),
        ("a.nii", "a.nii", "a.indices.json"),
        ("a.b.nii.gz", "a.b.nii.gz", "a.b.indices.json"),
        ("A.NII.GZ", "A.nii.gz", "A.indices.json"),
        ("a.hdr", "a.nii.gz", "a.indices.json"),
        ("a.img.gz", "a.nii.gz", "a.indices.json"),
        ("a_gt.nii.gz", "a_gt.nii.gz", "a_gt.indices.json"),
    ],
)
def test_outputs_of_a_file_keep_its_name(tmp_path, name, labels, indices):
    touch(tmp_path / name)
    (study,) = plan_studies([tmp_path / name])
    assert [image.labels for image in study.images] == [Path(labels)]
    assert study.indices == Path(indices)
    assert study.problem is None


def test_a_folder_gives_its_images_in_order_and_neither_labels_nor_hidden_nor_other_files(tmp_path):
    touch(*(tmp_path / name for name in ("b.nii", "a.nii.gz", "a_gt.nii.gz", ".hidden.nii", "notes.txt", "sub/c.nii")))
    assert [study.name for study in plan_studies([tmp_path])] == ["a", "b"]


def test_frames_of_several_patients_in_one_folder_are_plain_files(tmp_path):
    touch(tmp_path / "patient001_frame01.nii.gz", tmp_path / "patient002_frame01.nii.gz")
    studies = plan_studies([tmp_path])
    assert [study.images[0].acdc for study in studies] == [None, None]


def test_a_folder_that_cannot_be_read_is_a_problem_of_its_own(tmp_path, monkeypatch):
    def refuse(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    (study,) = plan_studies([tmp_path])
    assert "Permission denied" in str(study.problem)


def test_a_name_that_is_not_utf_8_is_a_problem_of_its_own(tmp_path):
    touch(tmp_path / "a.nii", Path(os.fsdecode(os.fsencode(tmp_path) + b"/M\xfcller.nii")))
    bad, good = sorted(plan_studies([tmp_path]), key=lambda study: study.problem is None)
    assert (good.name, good.problem) == ("a", None)
    assert (bad.name, bad.images) == ("M?ller", ())
    assert str(bad.problem).startswith(f"{tmp_path}/M?ller.nii: its name is not UTF-8")


def test_two_endings_of_one_name_collide(tmp_path):
    touch(tmp_path / "a.nii", tmp_path / "a.nii.gz")
    with pytest.raises(InputError, match=r"a\.nii and .*a\.nii\.gz would both"):
        refuse_collisions(plan_studies([tmp_path]), tmp_path / "out")


def test_an_image_named_like_a_map_of_another_collides_with_it(tmp_path):
    touch(tmp_path / "a.nii.gz", tmp_path / "a.sigma.nii.gz")
    with pytest.raises(InputError, match=r"a\.sigma\.nii\.gz"):
        refuse_collisions(plan_studies([tmp_path]), tmp_path / "out")


def test_a_link_to_an_input_in_the_output_folder_is_seen(tmp_path):
    touch(tmp_path / "a.nii.gz")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.nii.gz").hardlink_to(tmp_path / "a.nii.gz")
    with pytest.raises(InputError, match="overwritten"):
        refuse_collisions(plan_studies([tmp_path / "a.nii.gz"]), tmp_path / "out")
