"""`pretrained` in a recipe: which networks take it, and what the record says."""

from __future__ import annotations

import msgspec
import pytest
import torch
from safetensors.torch import save_file

from shortaxis.errors import InputError
from shortaxis.training.pretraining import check_pretrained, describe_pretrained, load_pretrained
from shortaxis.training.recipe import Members, load_recipe
from shortaxis.training.run import spec_of


def recipe_of(**member):
    return msgspec.structs.replace(load_recipe("rows/unet"), members=[Members(**member)])


def test_a_network_without_published_weights_refuses_them() -> None:
    with pytest.raises(InputError, match=r"'unet'.*transunet"):
        check_pretrained(Members(network="unet", pretrained="weights.pth"))
    check_pretrained(Members(network="transunet", pretrained="weights.npz"))


def test_random_weights_are_told_where_there_could_be_others() -> None:
    assert describe_pretrained(recipe_of(network="transunet")) == ["none"]
    assert describe_pretrained(recipe_of(network="unet")) == []


def test_a_missing_file_is_refused_before_the_data_are_read() -> None:
    member = {"network": "swin-unet", "options": {"width": 4, "depths": [1], "heads": [1]}, "pretrained": "nowhere.pth"}
    with pytest.raises(InputError, match=r"nowhere\.pth"):
        describe_pretrained(recipe_of(**member))


def test_every_member_of_a_group_starts_from_the_file_and_the_model_does_not_name_it(tmp_path) -> None:
    path = str(tmp_path / "swin.safetensors")
    options = {"width": 4, "depths": [1], "heads": [1], "window": 2}
    recipe = recipe_of(network="swin-unet", options=options, count=2, pretrained=path)
    ensemble = spec_of(recipe).build()
    own = ensemble.members[0].state_dict()
    names = {"patch_embed.proj.weight": "embed.weight", "patch_embed.proj.bias": "embed.bias"}
    names |= {
        f"{a}.{part}": f"{b}.{part}" for a, b in (("patch_embed.norm", "embed_norm"), ("norm", "norm")) for part in ("weight", "bias")
    }
    block = (
        ("norm1", "attention_norm"),
        ("norm2", "perceptron_norm"),
        ("attn.qkv", "attention.project"),
        ("attn.proj", "attention.combine"),
    )
    for a, b in (*block, ("mlp.fc1", "perceptron.0"), ("mlp.fc2", "perceptron.3")):
        names |= {f"layers.0.blocks.0.{a}.{part}": f"down.0.0.{b}.{part}" for part in ("weight", "bias")}
    names["layers.0.blocks.0.attn.relative_position_bias_table"] = "down.0.0.position.table"
    save_file({name: torch.full_like(own[of], 0.25) for name, of in names.items()}, path)
    load_pretrained(ensemble, recipe)
    assert all(bool((member.embed.weight == 0.25).all()) for member in ensemble.members)
    assert "swin.safetensors" in describe_pretrained(recipe)[0]
    assert "pretrained" not in str(spec_of(recipe).members)
