"""Model files: what is written comes back, and what comes from anywhere cannot do harm."""

from __future__ import annotations

import hashlib
import json
import math
import pickle
import struct
import time
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from shortaxis.ensemble import Fixed, StreamingEnsemble
from shortaxis.ensemble.model_file import FORMAT, ModelSpec, file_sha256, read_model, read_spec, save_model
from shortaxis.errors import InputError
from shortaxis.networks import NETWORKS
from shortaxis.preprocessing import PhysicalGrid

UNET = {"network": "unet", "options": {"widths": [4, 6], "dropout": 0.1}}
SPEC = ModelSpec(
    name="tiny",
    members=[UNET, {"network": "unet", "options": {"widths": [3, 5]}}],
    pooling={"rule": "fixed", "weights": [0.7, 0.3], "outer_softmax": False},
    grid={"kind": "physical", "spacing_mm": 1.5, "size": 16},
    card={"recipe": "tiny", "scores": [0.1, None], "text": "µ and \u2028"},
)


@pytest.fixture
def ensemble() -> StreamingEnsemble:
    torch.manual_seed(0)
    ensemble = SPEC.build().train()
    ensemble(torch.randn(6, 1, 16, 16))  # moves the statistics of the normalisation off their start
    return ensemble.eval()


@pytest.fixture
def path(tmp_path, ensemble):
    path = tmp_path / "model.safetensors"
    save_model(path, ensemble, SPEC)
    return path


def rewrite(path, *, header=None, tensors=None, **fields) -> None:
    """Write the model anew with some fields of its header or its tensors changed."""
    known = {"format": FORMAT, "name": "tiny", "members": SPEC.members, "pooling": SPEC.pooling, "grid": SPEC.grid, "card": {}}
    text = json.dumps(known | fields) if header is None else header
    save_file(load_file(path) if tensors is None else tensors, path, metadata={"shortaxis": text})


def refused(path, sentence: str | None = None) -> None:
    with pytest.raises(InputError, match=sentence) as caught:
        read_model(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message


class TestRoundTrip:
    def test_float32_comes_back_bit_for_bit(self, path, ensemble) -> None:
        restored, spec = read_model(path)
        assert spec == SPEC
        assert spec.build_grid() == PhysicalGrid(1.5, 16)
        assert restored.pooling == Fixed((0.7, 0.3), outer_softmax=False)
        assert not restored.training
        slices = torch.randn(3, 1, 16, 16)
        assert torch.equal(restored(slices).probabilities, ensemble(slices).probabilities)

    def test_float16_is_rounded_and_half_as_large(self, path, ensemble, tmp_path) -> None:
        half = tmp_path / "half.safetensors"
        save_model(half, ensemble, SPEC, torch.float16)
        restored, _ = read_model(half)
        for name, value in ensemble.state_dict().items():
            found = restored.state_dict()[name]
            assert found.dtype == value.dtype
            assert torch.equal(found, value.half().to(value.dtype) if value.is_floating_point() else value)
        sizes = [sum(value.nbytes for value in load_file(file).values() if value.is_floating_point()) for file in (half, path)]
        assert sizes[0] * 2 == sizes[1]

    def test_spec_is_read_without_the_weights(self, path) -> None:
        assert read_spec(path) == SPEC

    def test_model_that_is_not_finite_is_not_written(self, path, ensemble) -> None:
        before = path.read_bytes()
        with torch.no_grad():
            next(ensemble.parameters()).view(-1)[0] = 1e6
        with pytest.raises(InputError, match="NaN or infinity"):
            save_model(path, ensemble, SPEC, torch.float16)
        assert path.read_bytes() == before
        assert list(path.parent.iterdir()) == [path]

    def test_what_the_pooling_rule_has_learned_travels_with_the_members(self, tmp_path) -> None:
        path = tmp_path / "learned.safetensors"
        spec = ModelSpec("learned", [UNET, UNET], {"rule": "learned-temperature", "of": "entropy", "temperature": 0.5}, SPEC.grid)
        ensemble = spec.build()
        with torch.no_grad():
            ensemble.pooling.log_temperature.fill_(0.25)
        save_model(path, ensemble, spec)
        assert "pooling.log_temperature" in load_file(path)
        restored, _ = read_model(path)
        assert restored.pooling.temperature.item() == pytest.approx(0.5 * math.exp(2.5))
        slices = torch.randn(3, 1, 16, 16)
        assert torch.equal(restored(slices).probabilities, ensemble.eval()(slices).probabilities)

    def test_sha256_is_that_of_the_bytes(self, path) -> None:
        assert file_sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest()


class Pooling(torch.nn.Module):
    """A network of one's own that does not say what `multiple` it needs: one pixel is too few."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.head = torch.nn.Conv2d(1, width, 1)

    def forward(self, slices):
        return torch.nn.functional.interpolate(self.head(torch.nn.functional.max_pool2d(slices, 2)), scale_factor=2.0)


class TestOwnNetwork:
    def test_that_states_no_multiple_is_read(self, tmp_path, monkeypatch) -> None:
        monkeypatch.setitem(NETWORKS, "own", Pooling)
        spec = ModelSpec("own", [{"network": "own"}, UNET], {"rule": "uncertainty"}, SPEC.grid)
        save_model(tmp_path / "own.safetensors", spec.build(), spec)
        assert isinstance(read_model(tmp_path / "own.safetensors")[0].members[0], Pooling)

    @pytest.mark.parametrize(
        ("changes", "sentence"),
        [
            ({"members": [{"network": "own"}]}, "no network is called 'own'; known are"),
            ({"members": [{"options": {}}]}, "lacks the name 'network'"),
            ({"pooling": {"rule": "own"}}, "no pooling rule is called 'own'; known are"),
            ({"members": [UNET, UNET]}, r"does not fit its ModelSpec \(first: members\.1\..*describe it as it is"),
        ],
    )
    def test_or_rule_that_could_not_be_read_again_is_not_written(self, tmp_path, ensemble, changes: dict, sentence: str) -> None:
        path = tmp_path / "own.safetensors"
        with pytest.raises(InputError, match=rf"own\.safetensors: .*{sentence}"):
            save_model(path, ensemble, replace(SPEC, **changes))
        assert not path.exists()


class TestNotAModel:
    def test_missing_file(self, tmp_path) -> None:
        refused(tmp_path / "none.safetensors", "no such model file")

    def test_folder(self, tmp_path) -> None:
        refused(tmp_path, "no such model file")

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"{}",
            b"\x00" * 64,
            struct.pack("<Q", 2**63) + b"{}",
            struct.pack("<Q", 10**8) + b"{}",
            struct.pack("<Q", 2) + b"[]",
            struct.pack("<Q", 4) + b"\xff\xfe\xfd\xfc",
        ],
    )
    def test_other_bytes(self, tmp_path, content: bytes) -> None:
        path = tmp_path / "model.safetensors"
        path.write_bytes(content)
        refused(path, "not a safetensors file, or damaged")

    def test_tensor_that_claims_more_bytes_than_the_file_has(self, tmp_path) -> None:
        path = tmp_path / "model.safetensors"
        header = json.dumps({"a": {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4 * 10**12]}}).encode()
        path.write_bytes(struct.pack("<Q", len(header)) + header)
        refused(path, "not a safetensors file, or damaged")

    def test_pickle_is_never_run(self, tmp_path) -> None:
        path = tmp_path / "model.safetensors"

        class Evil:
            def __reduce__(self):
                return (open, (str(tmp_path / "harm"), "w"))

        path.write_bytes(pickle.dumps(Evil()))
        refused(path, "not a safetensors file, or damaged")
        torch.save({"members.0": Evil()}, path)
        refused(path, "not a safetensors file, or damaged")
        assert not (tmp_path / "harm").exists()

    @pytest.mark.parametrize("keep", [0.0, 0.01, 0.5, 0.999])
    def test_truncated_copy(self, path, keep: float) -> None:
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * keep)])
        refused(path, "not a safetensors file, or damaged")

    @pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
    def test_weights_of_another_program(self, path, metadata) -> None:
        save_file(load_file(path), path, metadata=metadata)
        refused(path, "not a model of this package")

    def test_checkpoint_of_a_run(self, path) -> None:
        save_file(load_file(path), path, metadata={"shortaxis-checkpoint": "{}"})
        refused(path, "is the checkpoint of a run")


class TestHostileHeader:
    @pytest.mark.parametrize(
        "text",
        [
            "",
            "null",
            "[]",
            "{",
            '"a"',
            "3",
            "[" * 200_000,
            '{"format": 1}',
            '{"format": "1"}',
            '{"format": 1e999}',
            '{"format": NaN}',
            "\x00",
        ],
    )
    def test_description_that_is_none(self, path, text: str) -> None:
        rewrite(path, header=text)
        refused(path, "description is damaged")

    def test_deeply_nested_field(self, path) -> None:
        rewrite(
            path,
            header=json.dumps({"format": 1, "name": "a", "members": [], "pooling": {}, "grid": {}})[:-1] + ', "card": ' + '{"a":' * 100_000,
        )
        refused(path, "description is damaged")

    @pytest.mark.parametrize(
        "fields",
        [
            {"name": 3},
            {"members": {}},
            {"members": "unet"},
            {"members": [3]},
            {"members": [{}]},
            {"members": [UNET | {"network": []}]},
            {"members": [UNET | {"options": [4, 6]}]},
            {"pooling": "fixed"},
            {"grid": [16]},
            {"card": None},
        ],
    )
    def test_field_of_another_type(self, path, fields: dict) -> None:
        rewrite(path, **fields)
        refused(path, "description is damaged")

    @pytest.mark.parametrize(
        ("fields", "sentence"),
        [
            ({"members": []}, "at least one member"),
            ({"members": [{"network": "vnet"}]}, "no network is called 'vnet'"),
            ({"pooling": {}}, "lacks the name 'rule'"),
            ({"pooling": {"rule": ["fixed"]}}, "lacks the name 'rule'"),
            ({"pooling": {"rule": "vote"}}, "no pooling rule is called 'vote'"),
            ({"pooling": {"rule": "fixed", "weights": [1.0]}}, "1 weights for 2 members"),
            ({"grid": {"size": 16}}, "lacks the name 'kind'"),
            ({"grid": {"kind": "polar"}}, "no grid is called 'polar'"),
            ({"grid": {"kind": "physical", "size": 10**9}}, "size must be a whole number"),
            ({"grid": {"kind": "physical", "size": 16.5}}, "size must be a whole number"),
            ({"grid": {"kind": "physical", "size": "16"}}, "size must be a whole number"),
            ({"grid": {"kind": "physical", "size": 16, "spacing_mm": -1}}, "spacing_mm must be"),
            ({"grid": {"kind": "stretched", "size": 17}}, "multiples of 2"),
        ],
    )
    def test_name_or_value_that_does_not_fit(self, path, fields: dict, sentence: str) -> None:
        rewrite(path, **fields)
        refused(path, sentence)

    @pytest.mark.parametrize(
        "options",
        [
            {"widths": [4, 6], "patch": 10**6},
            {"widths": [4, 6], "patch": 10**40},
            {"widths": [4, 6], "classes": 10**12},
            {"widths": [4, 6], "classes": 10**40},
            {"widths": [4, 6], "dropout": 10**400 / 10**399},
            {"widths": [10**6, 10**6]},
            {"widths": [4] * 5000},
            {"widths": [[4]]},
            {"widths": None},
            {"self": 1},
        ],
    )
    def test_network_that_no_memory_holds_is_refused_at_once(self, path, options: dict) -> None:
        rewrite(path, members=[{"network": "unet", "options": options}, SPEC.members[1]])
        begun = time.process_time()
        refused(path)
        assert time.process_time() - begun < 5

    def test_endless_members_are_refused_at_once(self, path) -> None:
        rewrite(path, members=[UNET] * 5_000)
        begun = time.process_time()
        refused(path, "which no ensemble needs")
        assert time.process_time() - begun < 5

    def test_other_number_of_classes(self, tmp_path) -> None:
        path = tmp_path / "model.safetensors"
        spec = ModelSpec("two", [{"network": "unet", "options": {"widths": [4], "classes": 2}}], {"rule": "fixed"}, SPEC.grid)
        save_model(path, spec.build(), spec)
        refused(path, "2 classes apart, this version needs 4")

    def test_network_that_fails_when_it_runs_is_told_in_one_sentence(self, tmp_path, monkeypatch) -> None:
        class Broken(torch.nn.Conv2d):
            def __init__(self) -> None:
                super().__init__(1, 4, 1)

            def forward(self, slices):
                return slices.missing

        monkeypatch.setitem(NETWORKS, "broken", Broken)
        path = tmp_path / "model.safetensors"
        spec = ModelSpec("broken", [{"network": "broken"}], {"rule": "fixed"}, SPEC.grid)
        save_model(path, spec.build(), spec)
        refused(
            path, r"network 'broken' cannot work on slices of 16x16 pixels \(AttributeError: 'Tensor' object has no attribute 'missing'\)"
        )

    def test_augmenting_that_fails_when_it_runs_is_told_in_one_sentence(self, path, monkeypatch) -> None:
        class Broken:
            def __call__(self, ensemble, slices):
                msg = "no such view\nat all"
                raise KeyError(msg)

        monkeypatch.setattr(ModelSpec, "build_augmenting", lambda self: Broken())
        rewrite(path, augmenting={"transforms": [{"kind": "flip"}]})
        refused(path, r"it describes no ensemble that can be built here \(KeyError: 'no such view")

    def test_format_of_a_later_version_is_told_whatever_its_fields(self, path) -> None:
        rewrite(path, header='{"format": 2, "networks": {}}')
        refused(path, r"model format 2 is not known to this version \(it reads 1\); update shortaxis")


class TestHostileWeights:
    @pytest.mark.parametrize("member", [{"network": "unet", "options": {"widths": [4, 8]}}, {"network": "deeplabv3plus"}])
    def test_another_architecture(self, path, member: dict) -> None:
        rewrite(path, members=[member, SPEC.members[1]])
        refused(path, r"do not fit the architecture in its header \(first: members\.0\.")

    def test_missing_and_surplus_tensors(self, path) -> None:
        tensors = load_file(path)
        tensors["members.9.down"] = tensors.pop("members.0.head.weight")
        rewrite(path, tensors=tensors)
        refused(path, r"first: members\.0\.head\.weight, 2 in all")

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
    def test_number_that_is_not_finite(self, path, value: float) -> None:
        tensors = load_file(path)
        tensors["members.1.head.bias"][2] = value
        rewrite(path, tensors=tensors)
        refused(path, "NaN or infinity")

    def test_weights_in_another_precision_are_taken(self, path, ensemble) -> None:
        rewrite(path, tensors={name: value.double() if value.is_floating_point() else value for name, value in load_file(path).items()})
        restored, _ = read_model(path)
        assert all(torch.equal(value, ensemble.state_dict()[name]) for name, value in restored.state_dict().items())
