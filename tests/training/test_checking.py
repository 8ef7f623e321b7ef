"""A recipe that cannot be trained is refused when it is read, by the name of its file."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from shortaxis.ensemble.rules import POOLINGS
from shortaxis.errors import InputError
from shortaxis.networks import NETWORKS
from shortaxis.training import checking
from shortaxis.training.recipe import load_recipe

PAIR = '[[members]]\nnetwork = "unet"\ncount = 2\noptions = { widths = [4, 8] }\n'
ALONE = PAIR.replace("count = 2", "count = 1")


@pytest.fixture
def written(tmp_path):
    def write(text: str):
        path = tmp_path / "mine.toml"
        path.write_text(f'extends = "rows/base"\nname = "mine"\n{text}')
        return path

    return write


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[pooling]\nrule = "fixed"\nwieghts = [0.5, 0.5]', "wieghts"),
        ('[pooling]\nrule = "fxed"', "no pooling rule is called 'fxed'; known are"),
        ("[pooling]\nweights = [0.5, 0.5]", "[pooling] needs a name as its `rule`, not None"),
        ('[pooling]\nrule = "fixed"\nweights = [0.5, 0.3]', "must be non-negative and sum to one"),
        ('[pooling]\nrule = "fixed"\nname = "x"', "multiple values for argument 'name'"),
        (PAIR + '[pooling]\nrule = "fixed"\nweights = [0.5, 0.25, 0.25]', "fixed pooling has 3 weights for 2 members"),
        (PAIR + '[pooling]\nrule = "meta"\nbias = [0.0]', "meta pooling has"),
        ('[policy]\nkind = "bagin"', "no policy is called 'bagin'"),
        ("[policy]\nkind = []", "no policy is called []"),
        ('[policy]\nkind = "soup"\nbranch = 3', "policy 'soup' does not take the options"),
        (PAIR + ALONE + '[policy]\nkind = "bagging"', "bags members of several kinds"),
        (PAIR + '[policy]\nkind = "meta"\n[pooling]\nrule = "fixed"', 'its pooling must be rule = "meta"'),
        ('[loss]\nname = "dice"', "no loss is called 'dice'"),
        ('[loss]\ndiversity = "variance"', "no diversity term is called 'variance'"),
        (ALONE + '[loss]\ndiversity = "error-correlation"', "a diversity term needs at least two members"),
        ('[[members]]\nnetwork = "nunet"', "no network is called 'nunet'"),
        ('[[members]]\nnetwork = "unet"\noptions = { width = [4, 8] }', "network 'unet' does not take the options"),
        ('[[members]]\nnetwork = "unet"\noptions = { widths = [4, 999] }', "must be 1 to 256 channels"),
        ("[grid]\nsize = 64", "[grid] needs a name as its `kind`"),
        ('[grid]\nkind = "physical"\nsise = 64', "sise"),
        ("[augmenting]\nviews = 3", "augmenting: 'views' is not known"),
        (PAIR + '[pooling]\nrule = "uncertainty"\n[search]\nsteps = 3', "needs two or more members under the pooling 'fixed'"),
        (PAIR.replace("2", "9", 1) + '[pooling]\nrule = "fixed"\n[search]\nsteps = 101', "give fewer steps"),
    ],
)
def test_what_cannot_be_trained_is_refused_when_it_is_read_by_the_name_of_the_file(written, text, told):
    path = written(text)
    with pytest.raises(InputError, match=re.escape(told)) as caught:
        load_recipe(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("kind", ["stacking", "bagging", "meta"])
def test_members_that_are_trained_apart_have_no_diversity_term(written, kind):
    rule = "meta" if kind == "meta" else "fixed"
    path = written(f'{PAIR}[pooling]\nrule = "{rule}"\n[policy]\nkind = "{kind}"\n[loss]\ndiversity = "error-correlation"')
    with pytest.raises(InputError, match="trains its members apart"):
        load_recipe(path)
    path.write_text(path.read_text().partition("[loss]")[0])
    assert load_recipe(path).policy == {"kind": kind}


def test_weights_are_counted_against_the_members_that_a_recipe_inherits_them_for(tmp_path):
    path = tmp_path / "three.toml"
    path.write_text('extends = "rows/2unet-fixed"\n[pooling]\nrule = "fixed"\nweights = [0.5, 0.5]\n')
    assert load_recipe(path).pooling["weights"] == [0.5, 0.5]
    child = tmp_path / "child.toml"
    child.write_text('extends = "three.toml"\n[[members]]\nnetwork = "unet"\ncount = 3\n')
    with pytest.raises(InputError, match=r"child\.toml: .*2 weights for 3 members"):
        load_recipe(child)


@pytest.mark.parametrize("rule", sorted(POOLINGS))
def test_every_pooling_rule_is_taken_as_it_comes_for_any_number_of_members(written, rule):
    for count in (1, 3):
        assert load_recipe(written(f'{PAIR.replace("2", str(count), 1)}[pooling]\nrule = "{rule}"')).pooling == {"rule": rule}


def test_a_network_that_reads_values_as_it_is_built_is_taken(written, monkeypatch):
    class Falling(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rates = [rate.item() for rate in torch.linspace(0, 1, 3)]

    monkeypatch.setitem(NETWORKS, "falling", Falling)
    assert load_recipe(written('[[members]]\nnetwork = "falling"')).members[0].network == "falling"


def test_equal_members_are_built_once_without_storage(written, monkeypatch):
    places = []

    class Seen(nn.Module):
        def __init__(self, size: int) -> None:
            super().__init__()
            places.append(torch.empty(size).device.type)

    monkeypatch.setitem(NETWORKS, "seen", Seen)
    checking._try_network.cache_clear()
    path = written('[[members]]\nnetwork = "seen"\ncount = 50\noptions = { size = 4 }')
    assert load_recipe(path) == load_recipe(path)
    assert places == ["meta"]


def test_a_rule_of_one_s_own_may_look_at_neighbours_and_is_named_with_the_file_where_it_fails(written, monkeypatch):
    def smooth(members, mean, frame_of_slice):
        around = nn.functional.pad(members.flatten(0, 1), (2, 2, 2, 2), mode="reflect")
        return POOLINGS["fixed"]()(nn.functional.avg_pool2d(around, 5, stride=1).view_as(members), mean, frame_of_slice)

    monkeypatch.setitem(POOLINGS, "smooth", lambda: smooth)
    monkeypatch.setitem(POOLINGS, "wrong", lambda: lambda members, _mean, _frames: members[99])
    load_recipe(written(PAIR + '[pooling]\nrule = "smooth"'))
    with pytest.raises(InputError, match=r"mine\.toml: .*\(IndexError: .*options"):
        load_recipe(written(PAIR + '[pooling]\nrule = "wrong"'))
