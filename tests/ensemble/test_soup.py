"""Soups: means worked by hand on a linear model, and files whose start is known."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest
import torch
from torch import nn

from shortaxis.ensemble import LearnedTemperature, StreamingEnsemble, Uncertainty
from shortaxis.ensemble.model_file import ModelSpec, file_sha256, read_model, save_model
from shortaxis.ensemble.soup import soup, soup_of_files
from shortaxis.errors import InputError

SPEC = ModelSpec(
    "tiny",
    [{"network": "unet", "options": {"widths": [2, 4]}}],
    {"rule": "fixed", "outer_softmax": False},
    {"kind": "physical", "spacing_mm": 4.0, "size": 16},
)


def linear(weight: float, bias: float) -> StreamingEnsemble:
    layer = nn.Conv2d(1, 4, 1)
    nn.init.constant_(layer.weight, weight)
    nn.init.constant_(layer.bias, bias)
    return StreamingEnsemble([layer], "fixed")


def test_weights_are_the_mean_of_the_models() -> None:
    blend = soup([linear(1.0, 0.0), linear(2.0, 3.0), linear(6.0, 0.0)])
    assert blend.members[0].weight.flatten().tolist() == [3.0] * 4
    assert blend.members[0].bias.tolist() == [1.0] * 4
    assert not blend.training


def test_logits_of_a_linear_model_s_soup_are_the_mean_of_the_logits() -> None:
    torch.manual_seed(0)
    models = [StreamingEnsemble([nn.Conv2d(1, 4, 3, padding=1)], "fixed") for _ in range(3)]
    slices = torch.randn(2, 1, 5, 5)
    mean = torch.stack([model.members[0](slices) for model in models]).mean(dim=0)
    torch.testing.assert_close(soup(models).members[0](slices), mean)


def test_models_stay_as_they_were_and_one_alone_is_itself() -> None:
    model = linear(1.0, 2.0)
    blend = soup([model])
    with torch.no_grad():
        blend.members[0].weight.fill_(9.0)
    assert model.members[0].weight.flatten().tolist() == [1.0] * 4


def test_running_statistics_are_averaged_and_counters_are_the_first_s() -> None:
    models = [StreamingEnsemble([nn.BatchNorm2d(4)], "fixed") for _ in range(2)]
    for model, value in zip(models, (2, 4), strict=True):
        model.members[0].running_mean.fill_(value)
        model.members[0].num_batches_tracked.fill_(value)
    assert soup(models).members[0].running_mean.tolist() == [3.0] * 4
    assert soup(models).members[0].num_batches_tracked.item() == 2


def test_parameters_of_the_pooling_rule_are_averaged_as_well() -> None:
    models = [StreamingEnsemble([nn.Identity()], LearnedTemperature(Uncertainty())) for _ in range(2)]
    with torch.no_grad():
        models[1].pooling.log_temperature.fill_(0.5)
    assert soup(models).pooling.log_temperature.item() == 0.25


def test_nothing_and_different_members_are_refused() -> None:
    with pytest.raises(InputError, match="at least one model"):
        soup([])
    with pytest.raises(InputError, match="the same members"):
        soup([linear(1.0, 0.0), StreamingEnsemble([nn.Conv2d(1, 4, 3)], "fixed")])


class TestFiles:
    @pytest.fixture
    def start(self, tmp_path):
        return self.write(tmp_path / "start.safetensors", 0, {"train_patients": ["p1"]})

    def write(self, path, seed: int, card: dict, spec: ModelSpec = SPEC):
        torch.manual_seed(seed)
        save_model(path, spec.build(), replace(spec, card=card))
        return path

    def trained(self, start, seed: int, **card):
        origin = {"file": start.name, "sha256": file_sha256(start)}
        return self.write(start.with_name(f"{seed}.safetensors"), seed, {"start_from": origin, "recipe": {"name": "r"}} | card)

    def test_mean_of_the_files_is_written_with_the_patients_of_all(self, start, tmp_path) -> None:
        paths = [
            self.trained(start, 1, train_patients=["p1", "p2"], held_out_patients=["p3", "p4"], validation={"dsc": 1.0}),
            self.trained(start, 2, train_patients=["p3"], held_out_patients=["p4"]),
        ]
        card = soup_of_files(paths, tmp_path / "soup.safetensors", half=False)
        blend, spec = read_model(tmp_path / "soup.safetensors")
        assert spec.card == card
        assert card["train_patients"] == ["p1", "p2", "p3"]
        assert card["held_out_patients"] == ["p4"]
        assert card["soup"] == [{"file": path.name, "sha256": file_sha256(path)} for path in paths]
        assert "validation" not in card
        states = [read_model(path)[0].state_dict() for path in paths]
        for name, value in blend.state_dict().items():
            torch.testing.assert_close(value.double(), (states[0][name].double() + states[1][name].double()) / 2)

    def test_float16_is_half_as_large(self, start, tmp_path) -> None:
        paths = [self.trained(start, 1), self.trained(start, 2)]
        sizes = []
        for half in (True, False):
            soup_of_files(paths, tmp_path / "soup.safetensors", half=half)
            sizes.append((tmp_path / "soup.safetensors").stat().st_size)
        assert sizes[0] < sizes[1]

    def test_the_start_itself_may_be_among_them(self, start, tmp_path) -> None:
        card = soup_of_files([start, self.trained(start, 1)], tmp_path / "soup.safetensors")
        assert [entry["file"] for entry in card["soup"]] == ["start.safetensors", "1.safetensors"]

    def test_the_start_may_lack_layers_that_the_others_keep_as_they_are(self, start, tmp_path) -> None:
        deep = replace(SPEC, members=[member | {"network": "depth-unet"} for member in SPEC.members])
        origin = {"start_from": {"file": start.name, "sha256": file_sha256(start)}, "recipe": {"name": "deep"}}
        trained = self.write(tmp_path / "deep.safetensors", 1, origin, deep)
        for order in ([start, trained], [trained, start]):
            card = soup_of_files(order, tmp_path / "soup.safetensors", half=False, facts={"licence": "mine"})
            blend, spec = read_model(tmp_path / "soup.safetensors")
            assert (card["recipe"], card["licence"]) == ({"name": "deep"}, "mine")
            assert spec.members == deep.members
            theirs, before = read_model(trained)[0].state_dict(), read_model(start)[0].state_dict()
            for name, value in blend.state_dict().items():
                if not value.is_floating_point():
                    continue
                expected = (theirs[name] + before[name]) / 2 if name in before else theirs[name]
                torch.testing.assert_close(value, expected)

    def test_the_start_may_have_a_start_of_its_own_whatever_the_order(self, start, tmp_path) -> None:
        child = self.trained(start, 1)
        grandchildren = [self.trained(child, seed) for seed in (2, 3)]
        for order in permutations([child, *grandchildren]):
            assert len(soup_of_files(order, tmp_path / "soup.safetensors")["soup"]) == 3
        for order in permutations([start, *grandchildren]):
            with pytest.raises(InputError, match="was not trained from the same start"):
                soup_of_files(order, tmp_path / "no.safetensors")

    def test_others_than_the_start_must_not_lack_layers(self, start, tmp_path) -> None:
        deep = replace(SPEC, members=[member | {"network": "depth-unet"} for member in SPEC.members])
        origin = {"start_from": {"file": start.name, "sha256": file_sha256(start)}}
        paths = [self.write(tmp_path / "deep.safetensors", 1, origin, deep), self.trained(start, 2)]
        with pytest.raises(InputError, match=r"2\.saf.*differs .*deep\.saf.*in members"):
            soup_of_files(paths, tmp_path / "soup.safetensors")

    @pytest.mark.parametrize("card", [{}, {"start_from": {"file": "x", "sha256": "0"}}, {"start_from": "x"}])
    def test_models_of_different_starts_are_refused(self, start, tmp_path, card: dict) -> None:
        stranger = self.write(tmp_path / "stranger.safetensors", 5, card)
        with pytest.raises(InputError, match=r"same start.*--start-from"):
            soup_of_files([self.trained(start, 1), stranger], tmp_path / "soup.safetensors")
        assert not (tmp_path / "soup.safetensors").exists()

    def test_two_models_of_unknown_start_are_refused(self, start, tmp_path) -> None:
        with pytest.raises(InputError, match="was not trained from the same start"):
            soup_of_files([start, self.write(tmp_path / "b.safetensors", 2, {})], tmp_path / "soup.safetensors")

    def test_models_of_another_architecture_are_refused(self, start, tmp_path) -> None:
        other = self.write(tmp_path / "other.safetensors", 1, {}, replace(SPEC, pooling={"rule": "uncertainty"}))
        with pytest.raises(InputError, match=r"other\.saf.*differs .*start\.safetensors"):
            soup_of_files([start, other], tmp_path / "soup.safetensors")

    def test_one_file_is_no_soup(self, start, tmp_path) -> None:
        with pytest.raises(InputError, match="at least two model files"):
            soup_of_files([start], tmp_path / "soup.safetensors")
