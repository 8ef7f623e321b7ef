from __future__ import annotations

from dataclasses import replace

import pytest

from shortaxis.ensemble.model_file import file_sha256, read_model, save_model
from shortaxis.errors import InputError
from shortaxis.segmenting.opening import open_model


def test_a_model_is_told_by_its_name_and_its_bytes(tiny_model) -> None:
    assert open_model(tiny_model, "cpu").provenance == {"name": "tiny", "sha256": file_sha256(tiny_model)}


def test_what_a_reader_must_know_of_the_model_goes_with_every_result(tiny_model, tmp_path) -> None:
    """The published mistake: whoever reads an output made with it is told."""
    ensemble, spec = read_model(tiny_model)
    path = tmp_path / "mistaken.safetensors"
    save_model(path, ensemble, replace(spec, augmenting={"transforms": [{"kind": "as-published"}]}))
    assert "with its mistake" in open_model(path, "cpu").provenance["notice"]


def test_a_model_is_asked_in_as_many_views_as_wished_unless_it_brings_its_own(tiny_model, tmp_path) -> None:
    assert open_model(tiny_model, "cpu").model.augmenting.transforms == ()
    three = open_model(tiny_model, "cpu", views=3)
    assert len(three.model.augmenting.transforms) == 2
    assert three.provenance["views"] == "3"
    assert three.model.spec.build_augmenting() == three.model.augmenting
    ensemble, spec = read_model(tiny_model)
    path = tmp_path / "two.safetensors"
    save_model(path, ensemble, replace(spec, augmenting={"transforms": [{"kind": "flip"}]}))
    assert len(open_model(path, "cpu").model.augmenting.transforms) == 1
    with pytest.raises(InputError, match=r"two\.safetensors: .*2 views of its own"):
        open_model(path, "cpu", views=3)
