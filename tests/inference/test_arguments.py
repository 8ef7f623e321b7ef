"""Wrong arguments from Python are named with their remedy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from shortaxis.ensemble import StreamingEnsemble
from shortaxis.errors import InputError
from shortaxis.inference import load_model
from shortaxis.inference.arguments import as_device, check_frame, check_study
from shortaxis.networks import UNet
from shortaxis.phantom import make_phantom


@pytest.mark.parametrize("device", ["cuda", "cuda:1", torch.device("cuda:1")])
def test_a_device_that_is_not_there_is_refused(monkeypatch, device):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    with pytest.raises(InputError, match="'cpu'"):
        load_model(device=device)


@pytest.mark.parametrize("device", ["gpu", "", None, 3.5])
def test_a_device_that_is_none_is_refused(device):
    with pytest.raises(InputError, match="cuda:N"):
        as_device(device)


def test_devices_that_are_there_are_taken(monkeypatch):
    assert as_device("auto").type in {"cpu", "cuda"}
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert as_device("cuda:1") == torch.device("cuda:1")


@pytest.mark.parametrize(
    ("given", "remedy"),
    [
        ("cine.nii.gz", r"sa\.read"),
        (Path("cine.nii.gz"), r"sa\.read"),
        (np.zeros((1, 2, 3, 4)), r"sa\.Study"),
        (torch.zeros(3), r"sa\.Study"),
        (None, r"sa\.read"),
    ],
)
def test_a_model_says_how_what_it_was_given_becomes_a_study(given, remedy):
    with pytest.raises(InputError, match=remedy):
        check_study(given)


def test_the_released_model_makes_these_checks():
    model = load_model()
    with pytest.raises(InputError, match=r"sa\.read"):
        model.segment("cine.nii.gz")
    with pytest.raises(InputError, match="spacing"):
        model.segment_frame(np.zeros((2, 8, 8), np.float32), (1.0, 2.0, 3.0))


def test_a_frame_has_three_axes_and_its_spacing_two():
    study = make_phantom(0, phases=("ED",), n_slices=3, spacing=(12.0, 8.0, 8.0)).study
    check_study(study)
    check_frame(study.pixels[0], study.spacing[1:])
    with pytest.raises(InputError, match=r"study\.pixels"):
        check_frame(study.pixels, study.spacing[1:])


class TestEnsemble:
    @pytest.fixture(scope="class")
    @classmethod
    def pair(cls):
        return StreamingEnsemble([UNet((4, 8)), UNet((4, 8))])

    @pytest.mark.parametrize("shape", [(), (32,), (32, 32), (3, 32, 32), (1, 3, 1, 32, 32)])
    def test_slices_of_another_rank_are_refused(self, pair, shape):
        with pytest.raises(InputError, match=r"\(B, 1, H, W\)"):
            pair(torch.zeros(shape))

    @pytest.mark.parametrize("slices", [np.zeros((2, 1, 32, 32), np.float32), torch.zeros(2, 1, 32, 32, dtype=torch.long)])
    def test_so_are_arrays_and_whole_numbers(self, pair, slices):
        with pytest.raises(InputError, match="float tensor"):
            pair(slices)

    @pytest.mark.parametrize(
        "words", [{"frame_of_slice": torch.zeros(3, dtype=torch.long)}, {"frame_of_slice": [0, 0]}, {"valid": torch.ones(2, 1)}]
    )
    def test_frames_and_marks_are_one_value_a_slice(self, pair, words):
        with pytest.raises(InputError, match=next(iter(words))):
            pair(torch.zeros(2, 1, 32, 32), **words)

    def test_members_to_be_pooled_have_five_axes(self, pair):
        with pytest.raises(InputError, match=r"\(N, B, C, H, W\)"):
            pair.pool(torch.zeros(2, 4, 32, 32))
