from __future__ import annotations

import json

import pytest
import torch
from safetensors import safe_open
from torch import nn

from shortaxis.ensemble import StreamingEnsemble, Uncertainty
from shortaxis.ensemble.augmenting import MOST_TURNED_VIEWS, Augmenting, build_augmenting, turned_views
from shortaxis.ensemble.description import describe_model
from shortaxis.ensemble.model_file import ModelSpec, read_model, read_spec, save_model
from shortaxis.ensemble.transforms import AsPublished, Flip, Gamma, QuarterTurn, Rotation
from shortaxis.errors import InputError

TABLE = {"transforms": [{"kind": "flip", "axis": "height"}, {"kind": "rotation", "degrees": 10.0}], "order": "views-first"}


class Pointwise(nn.Module):
    """Class scores from the grey value of the pixel alone: it says the same of every view."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.convolution = nn.Conv2d(1, 4, 1)

    def forward(self, slices: torch.Tensor) -> torch.Tensor:
        return self.convolution(slices)


class Leaning(Pointwise):
    """Scores that also depend on where the pixel lies, so that views differ."""

    def forward(self, slices: torch.Tensor) -> torch.Tensor:
        ramp = torch.linspace(-1, 1, slices.shape[-1])
        return self.convolution(slices + ramp)


def pair(kind: type[Pointwise], pooling="uncertainty") -> StreamingEnsemble:
    return StreamingEnsemble([kind(1), kind(2)], pooling).eval()


@pytest.fixture
def slices() -> torch.Tensor:
    return torch.randn((5, 1, 12, 12), generator=torch.Generator().manual_seed(0))


def test_without_transforms_the_ensemble_speaks_for_itself(slices) -> None:
    ensemble = pair(Leaning)
    for said, plain in zip(Augmenting()(ensemble, slices), ensemble(slices), strict=True):
        assert torch.equal(said, plain)


@pytest.mark.parametrize("order", ["members-first", "views-first"])
@torch.no_grad()
def test_networks_that_follow_every_view_say_the_same_with_and_without_them(slices, order) -> None:
    """Views that are brought back wrongly would be mixed up: this is the rule that the published code breaks."""
    ensemble = pair(Pointwise)
    views = Augmenting((Flip(), Flip("height"), QuarterTurn(1), QuarterTurn(3)), order)
    for said, plain in zip(views(ensemble, slices), ensemble(slices), strict=True):
        torch.testing.assert_close(said, plain)


@torch.no_grad()
def test_the_published_mistake_mixes_places_up(slices) -> None:
    ensemble = pair(Pointwise)
    said = Augmenting((AsPublished(),))(ensemble, slices).probabilities
    assert (said - ensemble(slices).probabilities).abs().max() > 0.05


@torch.no_grad()
def test_members_first_is_the_mean_of_the_pooled_views(slices) -> None:
    ensemble = pair(Leaning, Uncertainty(temperature=0.05))
    said = Augmenting((Flip(),))(ensemble, slices)
    plain, mirrored = ensemble(slices), ensemble(slices.flip(-1))
    torch.testing.assert_close(said.probabilities, (plain.probabilities + mirrored.probabilities.flip(-1)) / 2)
    torch.testing.assert_close(said.sigma, (plain.sigma + mirrored.sigma.flip(-1)) / 2)
    torch.testing.assert_close(said.omega, (plain.omega + mirrored.omega.flip(-1)) / 2)


@torch.no_grad()
def test_views_first_pools_the_means_of_each_member(slices) -> None:
    ensemble = pair(Leaning, Uncertainty(temperature=0.05))
    said = Augmenting((Flip(),), "views-first")(ensemble, slices)
    means = (ensemble(slices).members + ensemble(slices.flip(-1)).members.flip(-1)) / 2
    torch.testing.assert_close(said.members, means)
    torch.testing.assert_close(said.probabilities, ensemble.pool(means).probabilities)
    assert not torch.allclose(said.probabilities, Augmenting((Flip(),))(ensemble, slices).probabilities, atol=1e-4)


@torch.no_grad()
def test_a_rule_without_sigma_has_none_in_either_order(slices) -> None:
    for order in ("members-first", "views-first"):
        assert Augmenting((Gamma(1.5),), order)(pair(Leaning, "fixed"), slices).sigma is None


def test_the_table_of_a_recipe_becomes_the_views() -> None:
    assert build_augmenting(TABLE) == Augmenting((Flip("height"), Rotation(10.0)), "views-first")
    assert build_augmenting({}) == Augmenting()


def test_a_notice_is_passed_on() -> None:
    assert Augmenting((Flip(), AsPublished())).notice == AsPublished.notice
    assert Augmenting((Flip(),)).notice is None


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ({"transform": []}, "'transform' is not known; give 'transforms' and 'order'"),
        ({"transforms": {}}, "must be a list of tables that each have a 'kind'"),
        ({"transforms": ["flip"]}, "must be a list of tables that each have a 'kind'"),
        ({"transforms": [{"axis": "width"}]}, "must be a list of tables that each have a 'kind'"),
        ({"transforms": [], "order": "first"}, "the order must be 'members-first' or 'views-first'"),
        ({"transforms": [{"kind": "flip"}] * 16}, "16 transforms are too many; give at most 15"),
    ],
)
def test_an_unfit_table_is_refused_with_its_reason(table, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        build_augmenting(table)


def model_with(augmenting: dict) -> tuple[StreamingEnsemble, ModelSpec]:
    members = [{"network": "unet", "options": {"widths": [4, 8]}}]
    spec = ModelSpec("solo", members, {"rule": "fixed"}, {"kind": "physical", "spacing_mm": 2.0, "size": 32}, {}, augmenting)
    return spec.build(), spec


def test_a_model_file_keeps_the_views(tmp_path) -> None:
    path = tmp_path / "model.safetensors"
    save_model(path, *model_with(TABLE))
    assert read_model(path)[1].build_augmenting() == build_augmenting(TABLE)
    assert describe_model(path)["augmenting"] == TABLE


def test_a_model_without_views_has_no_entry_for_them_and_old_files_still_load(tmp_path) -> None:
    path = tmp_path / "model.safetensors"
    save_model(path, *model_with({}))
    with safe_open(path, framework="pt") as stream:
        assert "augmenting" not in json.loads(stream.metadata()["shortaxis"])
    assert read_spec(path).build_augmenting() == Augmenting()


def test_a_model_file_with_unfit_views_is_refused_by_its_name(tmp_path) -> None:
    path = tmp_path / "model.safetensors"
    save_model(path, *model_with({"transforms": [{"kind": "warp"}]}))
    with pytest.raises(InputError, match=r"model\.safetensors: .*'warp'"):
        read_model(path)


def test_turned_views_stay_close_to_the_frame_as_it_is() -> None:
    assert build_augmenting(turned_views(1)) == Augmenting()
    assert build_augmenting(turned_views(5)) == Augmenting((Rotation(10.0), Rotation(-10.0), Rotation(20.0), Rotation(-20.0)))
    assert max(turn["degrees"] for turn in turned_views(MOST_TURNED_VIEWS)["transforms"]) == 40.0


@pytest.mark.parametrize("number", [0, MOST_TURNED_VIEWS + 1])
def test_no_views_and_too_many_are_refused(number) -> None:
    with pytest.raises(InputError, match=f"views: {number} .*1 to 9"):
        turned_views(number)
