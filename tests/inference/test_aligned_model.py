"""A model with an aligned grid, its finder and networks made by hand: each knows the structures by their grey values."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from shortaxis import load_model, make_phantom
from shortaxis.ensemble import ModelSpec, StreamingEnsemble
from shortaxis.ensemble.model_file import read_model, save_model
from shortaxis.errors import InputError
from shortaxis.indices import structure_volumes
from shortaxis.inference import Model
from shortaxis.networks import NETWORKS
from shortaxis.preprocessing import HeartPose
from shortaxis.study import Study

GREY = (0.0, 100.0, 200.0, 300.0)


class Grey(nn.Module):
    """Labels by grey value: background is darkest, then RV, MYO and LV."""

    def __init__(self) -> None:
        super().__init__()
        self.steepness = nn.Parameter(torch.tensor(60.0))

    def forward(self, slices):
        low, high = slices.amin(), slices.amax()
        share = 3 * (slices - low) / (high - low)
        return torch.cat([-self.steepness * (share - at) ** 2 for at in range(4)], dim=1)


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    monkeypatch.setitem(NETWORKS, "grey", Grey)


def spec(**changes) -> ModelSpec:
    return ModelSpec(
        "by-grey-value",
        [{"network": "grey"}],
        {"rule": "fixed", "outer_softmax": False},
        {"kind": "aligned", "spacing_mm": 1.0, "size": 144, "fallback_size": 160},
        finder={"network": "grey", "spacing_mm": 4.0, "size": 48} | changes,
    )


def study(turn_deg: float = 0.0, centre=(8.0, -6.0)) -> Study:
    """Three slices of 150 x 150 pixels of 1.3 mm; the RV lies beside the LV, turned by so many degrees."""
    rows, columns = ((np.arange(150) - 74.5) * 1.3 for _ in range(2))
    down, right = np.meshgrid(rows - centre[0], columns - centre[1], indexing="ij")
    turn = np.deg2rad(190 + turn_deg)
    from_lv = np.hypot(down, right)
    plane = np.full((150, 150), GREY[0])
    plane[np.hypot(down + 34 * np.sin(turn), right - 34 * np.cos(turn)) < 20] = GREY[1]
    plane[from_lv < 30] = GREY[2]
    plane[from_lv < 20] = GREY[3]
    return Study(np.broadcast_to(plane, (1, 3, 150, 150)).astype(np.float32), (10.0, 1.3, 1.3))


def model() -> Model:
    described = spec()
    return Model(described.build().eval(), described)


def volumes(labels: np.ndarray) -> np.ndarray:
    return np.bincount(labels.ravel(), minlength=4)[1:] * 10 * 1.3**2 / 1000


def test_any_direction_gives_the_same_volumes():
    one = model()
    plain = volumes(one.segment(study()).labels)
    for degrees in (30, 77, 145, 180, 260):
        turned = volumes(one.segment(study(degrees)).labels)
        assert turned == pytest.approx(plain, rel=0.02)  # the circles themselves differ by as much in pixels


def oblique(plain: Study) -> Study:
    """The study with the affine of a real short-axis stack."""
    down, right = np.array([0.397, -0.345, -1.177]), np.array([-0.918, -0.904, -0.044])
    affine = np.eye(4)
    affine[:3, :3] = np.stack([np.cross(right, down), down, right], axis=1)
    affine[:3, :3] *= np.array(plain.spacing) / np.linalg.norm(affine[:3, :3], axis=0)
    return replace(plain, affine=affine)


def stored(plain: Study, turns: int, flip: bool) -> Study:
    """The study with its rows and columns stored in another way, and its affine to match."""
    pixels, affine = plain.pixels, plain.affine.copy()
    if flip:
        pixels, affine[:3, 2] = pixels[..., ::-1], -affine[:3, 2]
    for _ in range(turns):
        pixels = np.rot90(pixels, axes=(2, 3))
        # The new rows run against the old columns, the new columns along the old rows.
        affine[:3, 1], affine[:3, 2] = -affine[:3, 2].copy(), affine[:3, 1].copy()
    return replace(plain, pixels=np.ascontiguousarray(pixels), affine=affine)


def test_the_eight_ways_of_storing_a_picture_give_the_same_labels():
    one, plain = model(), oblique(study())
    labels = one.segment(plain).labels
    for turns in range(4):
        for flip in (False, True):

            def way(values, turns=turns, flip=flip):
                return np.ascontiguousarray(np.rot90(values[..., ::-1] if flip else values, turns, axes=(2, 3)))

            found = one.segment(stored(plain, turns, flip))
            assert found.pose.mirrored == flip
            assert (found.labels == way(labels)).mean() > 0.9999
            assert volumes(found.labels) == pytest.approx(volumes(labels), rel=0.001)


def test_the_pose_is_kept_and_sure():
    pose = model().segment(study(40)).pose
    assert pose.direction_deg == pytest.approx(230, abs=3)
    assert pose.certainty > 0.95


def test_where_the_pose_is_not_sure_the_picture_is_segmented_upright():
    one, plain = model(), study(90)
    aligned = one.segment(plain)
    one.finder.find = lambda *_, **__: HeartPose((60.0, 60.0), 10.0, certainty=0.5)
    upright = one.segment(plain)
    assert upright.pose.certainty == 0.5
    assert volumes(upright.labels) == pytest.approx(volumes(aligned.labels), rel=0.02)
    one.finder.find = lambda *_, **__: HeartPose((60.0, 60.0), 10.0, certainty=0.7)
    assert volumes(one.segment(plain).labels)[0] < 0.9 * volumes(aligned.labels)[0]  # laid beside the heart


def test_the_finder_travels_in_the_model_file(tmp_path):
    described = spec()
    ensemble = described.build()
    with torch.no_grad():
        ensemble.finder.steepness.fill_(31.0)
    save_model(tmp_path / "m.safetensors", ensemble, described)
    back, read = read_model(tmp_path / "m.safetensors")
    assert back.finder.steepness.item() == 31
    assert read.finder == described.finder


def test_a_finder_without_a_grid_is_refused():
    described = replace(spec(), finder={"network": "grey"})
    with pytest.raises(InputError, match="spacing_mm"):
        Model(described.build(), described)


def test_an_aligned_model_without_a_finder_is_refused():
    with pytest.raises(InputError, match="finder"):
        Model(StreamingEnsemble([Grey()], "fixed").eval(), replace(spec(), finder={}))


def test_a_grid_for_unsure_poses_that_no_network_takes_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(Grey, "multiple", 16, raising=False)
    described = replace(spec(), grid=spec().grid | {"fallback_size": 200})
    save_model(tmp_path / "m.safetensors", described.build(), described)
    with pytest.raises(InputError, match="multiples of 16"):
        read_model(tmp_path / "m.safetensors")


TRAINED = Path(__file__).parents[2] / "results" / "held-out-aligned.safetensors"


@pytest.mark.slow
@pytest.mark.skipif(not TRAINED.is_file(), reason="the results are not part of a source distribution")
def test_trained_networks_give_the_same_millilitres_however_a_study_is_stored():
    one = load_model(TRAINED)
    plain = make_phantom(4, phases=("ED",), n_slices=4, spacing=(16.0, 1.8, 1.8)).study
    expected = volumes_ml(one, plain)
    assert (expected > 20).all()
    for turns, flip in ((1, False), (2, False), (0, True), (3, True)):
        assert volumes_ml(one, stored(plain, turns, flip)) == pytest.approx(expected, rel=0.005)


def volumes_ml(one: Model, shown: Study) -> np.ndarray:
    return structure_volumes(one.segment(shown).labels[0], shown.spacing)[1:]
