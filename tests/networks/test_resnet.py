"""Published weights of ResNet-34: what is taken over, and what is refused."""

from __future__ import annotations

import hashlib

import pytest
import torch
from safetensors.torch import save_file

from shortaxis.errors import InputError
from shortaxis.networks import build_network
from shortaxis.networks import resnet as module
from shortaxis.networks.resnet import ResNetEncoder

WIDTHS, BLOCKS = (4, 8, 8, 8), (1, 1, 1, 1)


def weights(seed: int = 0) -> dict[str, torch.Tensor]:
    """As a file for colour images has them, at a fraction of the size."""
    torch.manual_seed(seed)
    content = {name: torch.randn_like(value, dtype=torch.float32) for name, value in ResNetEncoder(WIDTHS, BLOCKS).state_dict().items()}
    content = {name: value for name, value in content.items() if not name.endswith("num_batches_tracked")}
    content["conv1.weight"] = torch.randn(4, 3, 7, 7)
    return content | {"fc.weight": torch.randn(10, 8), "fc.bias": torch.randn(10)}


@pytest.fixture(params=[".pth", ".safetensors"])
def file(request, tmp_path, monkeypatch):
    path = tmp_path / f"resnet{request.param}"
    save_file(weights(), path) if request.param == ".safetensors" else torch.save(weights(), path)
    digits = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    monkeypatch.setattr(module, "RESNET34", {digits: "a small ResNet"})
    return path


def test_encoder_takes_all_weights_and_sums_the_first_kernel_over_the_colours(file) -> None:
    network = build_network("resnet34-unet", widths=WIDTHS, blocks=BLOCKS, decoder=16)
    assert network.load_pretrained(file) == "a small ResNet"
    given = weights()
    own = network.encoder.features.state_dict()
    torch.testing.assert_close(own["conv1.weight"], given["conv1.weight"].sum(dim=1, keepdim=True))
    for name, value in given.items():
        if not name.startswith(("fc.", "conv1.")):
            assert torch.equal(own[name], value), name


def test_file_of_another_size_is_refused(file) -> None:
    with pytest.raises(InputError, match="do not fit"):
        ResNetEncoder(WIDTHS, (1, 2, 1, 1)).load_pretrained(file)


def test_file_whose_checksum_is_not_listed_is_refused(tmp_path) -> None:
    path = tmp_path / "resnet.pth"
    torch.save(weights(), path)
    with pytest.raises(InputError, match=hashlib.sha256(path.read_bytes()).hexdigest()[:8]):
        ResNetEncoder(WIDTHS, BLOCKS).load_pretrained(path)


def test_missing_and_damaged_files_are_refused(tmp_path, monkeypatch) -> None:
    with pytest.raises(InputError, match=r"no\.pth"):
        ResNetEncoder(WIDTHS, BLOCKS).load_pretrained(tmp_path / "no.pth")
    path = tmp_path / "damaged.pth"
    path.write_bytes(b"PK\x03\x04 not a zip")
    monkeypatch.setattr(module, "RESNET34", {hashlib.sha256(path.read_bytes()).hexdigest()[:8]: "damaged"})
    with pytest.raises(InputError, match="damaged"):
        ResNetEncoder(WIDTHS, BLOCKS).load_pretrained(path)


@pytest.mark.parametrize(("widths", "blocks"), [((4, 8, 8), (1, 1, 1)), ((4, 8, 8, 6), BLOCKS), (WIDTHS, (0, 1, 1, 1))])
def test_sizes_out_of_range_are_refused(widths, blocks) -> None:
    with pytest.raises(InputError, match="ResNet"):
        ResNetEncoder(widths, blocks)
