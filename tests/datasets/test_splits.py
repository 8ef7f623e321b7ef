"""Splits: by patient, stratified, repeatable, and never with one heart on both sides."""

from __future__ import annotations

import warnings
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortaxis.datasets.acdc import read_acdc
from shortaxis.datasets.dataset import Dataset, FrameRef
from shortaxis.datasets.packed import read_packed, write_packed
from shortaxis.datasets.splits import Split, duplicate_patients, fingerprint, hold_out, k_fold, overlap, refuse_leaks
from shortaxis.errors import DataWarning, InputError
from shortaxis.study import Frame

GROUPS = ("DCM", "HCM", "MINF", "NOR", "RV")


def made(groups, twins=(), name="made"):
    """Two frames a patient; each pair of `twins` shares the pixels of its second frame."""
    image_of = {patient: patient for patient in groups}
    for one, other in twins:
        image_of[other] = image_of[one]
    refs = []
    for patient, group in groups.items():
        for phase, content in (("ED", f"{patient}-ED"), ("ES", f"{image_of[patient]}-ES")):
            frame = Frame(f"{patient}_{phase}", patient, phase, group, picture(content), np.zeros((2, 4, 5), np.uint8), (8, 1, 1))
            refs.append(FrameRef(frame.name, patient, phase, group, lambda frame=frame: frame))
    return Dataset(name, tuple(refs))


def picture(content):
    return np.random.default_rng(list(content.encode())).random((2, 4, 5), np.float32)


def numbered(n_per_group, groups=GROUPS):
    return {f"p{number:03d}": group for number, group in enumerate(group for group in groups for _ in range(n_per_group))}


acdc_like = made(numbered(20), twins=[("p074", "p076")])


def test_hold_out_takes_four_of_each_group():
    split = hold_out(acdc_like)
    assert Counter(acdc_like.groups[patient] for patient in split.held_out) == dict.fromkeys(GROUPS, 4)
    assert len(split.train) == 80
    assert set(split.train) | set(split.held_out) == set(acdc_like.patients)
    assert (split.seed, split.fold, split.of) == (0, None, None)


def test_each_seed_draws_its_own_split_again_and_again():
    assert hold_out(acdc_like, seed=3) == hold_out(acdc_like, seed=3)
    assert hold_out(acdc_like, seed=3).held_out != hold_out(acdc_like, seed=4).held_out
    backwards = Dataset("made", acdc_like.refs[::-1])
    assert hold_out(backwards, seed=3) == hold_out(acdc_like, seed=3)


def test_folds_part_the_patients_and_deal_each_group_evenly():
    splits = k_fold(acdc_like, 5, seed=1)
    held_out = [patient for split in splits for patient in split.held_out]
    assert sorted(held_out) == sorted(acdc_like.patients)
    assert [(split.fold, split.of, split.seed) for split in splits] == [(fold, 5, 1) for fold in range(5)]
    for split in splits:
        assert set(split.train) == set(acdc_like.patients) - set(split.held_out)
        assert set(Counter(acdc_like.groups[patient] for patient in split.held_out).values()) <= {3, 4, 5}
        assert 19 <= len(split.held_out) <= 21


@pytest.mark.filterwarnings("ignore::shortaxis.errors.DataWarning")
@settings(max_examples=30)
@given(
    groups=st.lists(st.sampled_from([*GROUPS, None]), min_size=5, max_size=30),
    pairs=st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29)), max_size=3),
    seed=st.integers(0, 99),
)
def test_no_split_ever_leaks(groups, pairs, seed):
    names = {f"p{number:02d}": group for number, group in enumerate(groups)}
    twins = [(f"p{a % len(groups):02d}", f"p{b % len(groups):02d}") for a, b in pairs]
    data = made(names, twins)
    n_hearts = len(data.patients) - sum(len(block) - 1 for block in duplicate_patients(data))
    for split in [hold_out(data, seed=seed), *k_fold(data, min(3, n_hearts), seed=seed)] if n_hearts > 1 else ():
        refuse_leaks(split, data)
        assert split.train
        assert split.held_out
        assert sorted(split.train + split.held_out) == list(data.patients)


def test_a_group_without_a_name_gives_a_fifth_and_says_so():
    with pytest.warns(DataWarning, match=r"^data set 'made': .*4 of each .*6 of 30"):
        assert len(hold_out(made(numbered(30, [None]))).held_out) == 6


def test_a_small_group_gives_at_most_half_and_is_named():
    data = made(numbered(3, ["NOR", "RV"]) | {f"q{number}": "DCM" for number in range(8)})
    with pytest.warns(DataWarning, match=r"1 of 3 in NOR, 1 of 3 in RV.*half") as caught:
        split = hold_out(data)
    assert Counter(data.groups[patient] for patient in split.held_out) == {"NOR": 1, "RV": 1, "DCM": 4}
    assert len(caught) == 1
    assert "DCM" not in str(caught[0].message)


def test_groups_of_one_are_drawn_from_together_and_said_to_be():
    with pytest.warns(DataWarning, match=r"1 of each .*1 of all 5;.* a fifth"):
        assert len(hold_out(made(numbered(1)), per_group=1).held_out) == 1


def test_a_hold_out_of_as_many_as_were_asked_for_says_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        hold_out(acdc_like)
        hold_out(made(numbered(5, [None])), per_group=1)


@pytest.mark.filterwarnings("ignore::shortaxis.errors.DataWarning")
def test_two_pairs_of_twins_still_give_a_hold_out():
    data = made(dict.fromkeys("abcd", "NOR"), twins=[("a", "b"), ("c", "d")])
    split = hold_out(data)
    assert {split.train, split.held_out} == {("a", "b"), ("c", "d")}


def test_twins_are_found_directly_and_through_others():
    data = made(dict.fromkeys("abcde"), twins=[("a", "c"), ("c", "e")])
    assert duplicate_patients(data) == [("a", "c", "e")]
    assert duplicate_patients(made(dict.fromkeys("abc"))) == []


def test_an_image_is_known_again_in_any_dtype_and_packed(tmp_path):
    data = made({"a": None})
    write_packed(data, tmp_path / "a.zip")
    frame = data.refs[0].load()
    whole = Frame("w", "w", None, None, np.rint(frame.image * 1000).astype(np.int16), frame.labels, frame.spacing)
    as_float = Frame("f", "f", None, None, whole.image.astype(np.float64), frame.labels, frame.spacing)
    assert fingerprint(whole) == fingerprint(as_float)
    assert fingerprint(read_packed(tmp_path / "a.zip").refs[0].load()) == fingerprint(frame)
    turned = Frame("t", "t", None, None, frame.image.reshape(2, 5, 4), frame.labels.reshape(2, 5, 4), frame.spacing)
    assert fingerprint(turned) != fingerprint(frame)


def test_overlap_pairs_by_name_and_by_image():
    train = made({"a": None, "b": None, "c": None}, twins=[("a", "b")], name="train")
    x_has_the_image_of_a = made({"a": None, "x": None}, twins=[("a", "x")]).select(["x"])
    same_name = made({"c": None}).refs
    other_image = tuple(
        FrameRef(ref.name, "c", None, None, lambda: Frame("c", "c", None, None, picture("z"), np.zeros((2, 4, 5), np.uint8), (8, 1, 1)))
        for ref in same_name
    )
    assert overlap(train, Dataset("test", x_has_the_image_of_a.refs + other_image)) == [("a", "x"), ("b", "x"), ("c", "c")]
    assert overlap(train, made({"y": None})) == []


class TestRefuseLeaks:
    def test_one_heart_under_two_names(self):
        split = Split(tuple(p for p in acdc_like.patients if p != "p076"), ("p076",), 0)
        with pytest.raises(InputError, match=r"p074 \(training\).* p076 \(held out\)"):
            refuse_leaks(split, acdc_like)

    def test_one_patient_on_both_sides(self):
        with pytest.raises(InputError, match=r"p001 \(training\) is on both sides"):
            refuse_leaks(Split(("p001", "p002"), ("p001",), 0), acdc_like)

    def test_a_patient_who_is_not_there(self):
        with pytest.raises(InputError, match="names p999, who is not in data set 'made'"):
            refuse_leaks(Split(("p001",), ("p999",), 0), acdc_like)

    def test_a_sound_split_passes(self):
        assert refuse_leaks(Split(("p001",), ("p074", "p076"), 0), acdc_like) is None


class TestJson:
    @pytest.mark.parametrize("split", [Split(("a", "b"), ("c",), 7), Split(("a",), ("b",), 0, 2, 5)])
    def test_a_split_comes_back_from_its_file(self, tmp_path, split):
        split.to_json(tmp_path / "split.json")
        assert Split.from_json(tmp_path / "split.json") == split

    def test_no_file(self, tmp_path):
        with pytest.raises(InputError, match=r"none\.json: the split cannot be read"):
            Split.from_json(tmp_path / "none.json")

    @pytest.mark.parametrize(
        "text", ["{", "[1, 2]", '{"train": ["a"]}', '{"train": 1, "held_out": [], "seed": 0}', '{"train": [], "held_out": [], "seed": "x"}']
    )
    def test_no_split(self, tmp_path, text):
        (tmp_path / "split.json").write_text(text)
        with pytest.raises(InputError, match=r"split\.json: is not a split"):
            Split.from_json(tmp_path / "split.json")


@pytest.mark.parametrize("per_group", [0, -1])
def test_holding_out_nobody_is_refused(per_group):
    with pytest.raises(InputError, match="per_group must be at least 1"):
        hold_out(acdc_like, per_group=per_group)


def test_one_heart_cannot_be_split():
    data = made({"a": None, "b": None}, twins=[("a", "b")])
    with pytest.raises(InputError, match=r"1 distinct patients.*at least 2"):
        hold_out(data)


@pytest.mark.parametrize("k", [1, 4])
def test_a_number_of_folds_that_cannot_be_is_refused(k):
    with pytest.raises(InputError, match=f"3 distinct patients.*{k} folds"):
        k_fold(made(dict.fromkeys("abc")), k)


@pytest.mark.data
def test_acdc_holds_one_heart_twice(acdc_root):
    data = read_acdc(acdc_root).select([f"patient{number:03d}" for number in range(70, 80)])
    assert duplicate_patients(data) == [("patient074", "patient076")]
