"""Figures 2, 3 and 4: what they show, and that they are the same bytes every time."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from matplotlib.text import Text

from shortaxis.benchmark.figures.case_study import member_names, read_case, study_case
from shortaxis.benchmark.figures.cost import draw_cost, family_of, spread_apart
from shortaxis.benchmark.figures.draw import figure_2, figure_3, figure_4
from shortaxis.benchmark.figures.style import STRUCTURES, check_format, new_figure, save_figure, styled
from shortaxis.benchmark.figures.weights import draw_weights, sweeps_of
from shortaxis.benchmark.result import write_result
from shortaxis.benchmark.sweep import WEIGHTS, _labels, is_swept, sweep_weights, sweep_within
from shortaxis.benchmark.table import build_table
from shortaxis.datasets.dataset import Dataset
from shortaxis.ensemble.model_file import ModelSpec, read_model, save_model
from shortaxis.errors import InputError
from shortaxis.inference.predictor import Model, load_model
from shortaxis.metrics.bootstrap import Resampling
from shortaxis.reports.picture import OUTLINES
from shortaxis.training import load_recipe
from shortaxis.training.policies.weights_search import labels_of_mixtures

MEMBER = {"network": "unet", "options": {"widths": [4, 8]}}
GRID = {"kind": "physical", "spacing_mm": 2.0, "size": 32}


def spec_of(members: int, rule: str = "uncertainty", **options) -> ModelSpec:
    return ModelSpec(f"{members}unet", [MEMBER] * members, {"rule": rule, **options}, GRID, {})


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Untrained models of one and of two networks."""
    folder = tmp_path_factory.mktemp("models")
    for members in (1, 2):
        torch.manual_seed(members)
        spec = spec_of(members)
        save_model(folder / f"{members}.safetensors", spec.build(), spec)
    return folder


@pytest.fixture
def sweep():
    dsc = {name: [90 - 8 * (weight - 0.7) ** 2 for weight in WEIGHTS] for name in ("dsc_average", "dsc_rv", "dsc_myo", "dsc_lv", "ec")}
    return {"members": ["unet", "deeplabv3plus"], "weights": list(WEIGHTS), "protocols": {"reference": dsc}}


def text_of(figure) -> str:
    return " ".join(text.get_text() for text in figure.findobj(Text))


def test_structures_have_the_colours_that_they_have_on_pictures():
    assert list(STRUCTURES.values()) == [colour for _, _, colour in OUTLINES]


@pytest.mark.parametrize("suffix", [".svg", ".pdf", ".png"])
def test_equal_figures_are_equal_files_without_a_date(tmp_path, sweep, suffix):
    for name in ("one", "other"):
        save_figure(draw_weights({"rows/1unet-1d3p-fixed": [sweep]}), tmp_path / f"{name}{suffix}")
    content = (tmp_path / f"one{suffix}").read_bytes()
    assert content == (tmp_path / f"other{suffix}").read_bytes()
    assert b"CreationDate" not in content
    assert b"<dc:date>" not in content


def test_the_look_leaves_no_trace_and_other_endings_are_refused(tmp_path):
    import matplotlib as mpl  # noqa: PLC0415

    before = mpl.rcParams["svg.hashsalt"]
    with styled():
        assert mpl.rcParams["svg.hashsalt"] == "shortaxis"
    assert mpl.rcParams["svg.hashsalt"] == before
    for act in (lambda: check_format("a.jpg"), lambda: save_figure(new_figure(1, 1), tmp_path / "a.gif")):
        with pytest.raises(InputError, match=r"figures are written as .svg, .pdf, .png"):
            act()


class TestWeights:
    def test_the_ends_of_a_sweep_are_the_members_alone(self, models, discs):
        data = discs({"p1": 1})
        model = load_model(models / "2.safetensors")
        found = sweep_weights(model, data)["protocols"]["paper"]["dsc_average"]
        frame = next(iter(data))
        for index, position in ((-1, 0), (0, 1)):
            spec = spec_of(1, "fixed", outer_softmax=False)
            alone = spec.build()
            alone.members[0].load_state_dict(model.ensemble.members[position].state_dict())
            with torch.inference_mode():
                assert Model(alone, spec).segment_frame(frame.image, frame.spacing[1:]).labels.shape == frame.labels.shape
            from shortaxis.training.validation import validate  # noqa: PLC0415

            expected = validate(alone, spec, data)["results"]["paper"]["overall"]["dsc_average"]["value"]
            np.testing.assert_allclose(np.nan_to_num(found[index] or 0.0), np.nan_to_num(expected or 0.0))

    @pytest.mark.parametrize("outer", [False, True])
    def test_a_swept_mixture_has_the_labels_of_a_model_with_these_weights(self, discs, outer):
        torch.manual_seed(5)
        spec = ModelSpec("2unet", [MEMBER] * 2, {"rule": "fixed", "outer_softmax": outer}, GRID | {"spacing_mm": 3.0, "size": 16}, {})
        ensemble = spec.build()
        for member in ensemble.members:  # untrained networks say everything is one class
            for parameter in member.parameters():
                parameter.data.mul_(3.0)
        model = Model(ensemble, spec)
        mixtures = [(weight, 1 - weight) for weight in WEIGHTS]
        for frame in discs({"p1": 1}):
            swept = list(_labels(model, frame))
            assert len({labels.tobytes() for labels in swept}) > 2
            for labels, oracle in zip(swept, labels_of_mixtures(model, frame, mixtures), strict=True):
                np.testing.assert_array_equal(labels, oracle)
            own = model.segment_frame(frame.image, frame.spacing[1:]).labels  # without weights of its own it has 0.5 and 0.5
            np.testing.assert_array_equal(swept[5], own)

    @pytest.mark.parametrize(
        ("row", "swept"),
        [
            ("2unet-fixed", True),
            ("1unet-1d3p-fixed", True),
            ("2unet-bagging", False),
            ("1unet-1d3p-stacking", False),
            ("2unet-uncertainty", False),
            ("unet", False),
        ],
    )
    def test_only_rows_of_two_jointly_trained_members_under_fixed_pooling_are_swept(self, row, swept):
        assert is_swept(load_recipe(f"rows/{row}")) is swept

    def test_a_sweep_stops_at_its_limit(self, models, discs, monkeypatch):
        model, data = load_model(models / "2.safetensors"), discs({"p1": 1})
        assert sweep_within(model, data, 0.0) is None
        assert sweep_within(model, data, 600.0) == sweep_within(model, data, None)
        times = iter([0.0, 7.0])
        monkeypatch.setattr("shortaxis.benchmark.sweep.time", SimpleNamespace(monotonic=lambda: next(times)))
        assert sweep_within(model, data, 5.0) is None

    def test_other_models_and_empty_data_are_refused(self, models, discs):
        with pytest.raises(InputError, match="has 1 members; the weight of the first"):
            sweep_weights(load_model(models / "1.safetensors"), discs({"p1": 1}))
        with pytest.raises(InputError, match="holds no annotated frame to score"):
            sweep_weights(load_model(models / "2.safetensors"), Dataset("none", ()))

    def test_the_best_weight_is_marked_and_members_are_named(self, sweep, make_result):
        figure = draw_weights(sweeps_of([make_result("rows/1unet-1d3p-fixed", seed, weight_sweep=sweep) for seed in (0, 1)]))
        text = text_of(figure)
        assert "90.00" in text
        assert "1UNet + 1D3P" in text
        assert "Weight of UNet (the rest is D3P's)" in text
        assert "protocol reference" in text

    def test_two_rows_are_two_panels_in_the_papers_order(self, sweep, make_result):
        results = [
            make_result("rows/2unet-fixed", weight_sweep=sweep | {"members": ["unet", "unet"]}),
            make_result("rows/1unet-1d3p-fixed", weight_sweep=sweep),
        ]
        titles = [axes.get_title(loc="left") for axes in draw_weights(sweeps_of(results)).axes]
        assert titles == ["a)  1UNet + 1D3P", "b)  2UNet"]

    def test_a_curve_that_is_undefined_everywhere_has_no_best_weight(self, sweep):
        sweep["protocols"]["reference"]["dsc_average"] = [None] * len(WEIGHTS)
        assert "90.00" not in text_of(draw_weights({"a": [sweep]}))

    def test_what_is_not_there_is_refused(self, sweep, make_result, tmp_path):
        with pytest.raises(InputError, match=r"no result .*sweep"):
            sweeps_of([make_result()])
        with pytest.raises(InputError, match=r"not swept .*'clinical'"):
            draw_weights({"a": [sweep]}, protocol="clinical")
        for wrong in ({}, {"results": tmp_path, "model": tmp_path}, {"model": tmp_path}):
            with pytest.raises(InputError, match=r"--results.*--model"):
                figure_2(**wrong)

    def test_a_model_and_data_will_do(self, models, pack):
        text = text_of(figure_2(model=models / "2.safetensors", data=pack({"p1": 1}), everybody=True, device="cpu"))
        assert "2UNet" in text
        assert "[%], patients of discs.zip (n = 1)" in text

    def test_patients_that_the_model_was_trained_on_are_left_out(self, models, pack, tmp_path):
        ensemble, spec = read_model(models / "2.safetensors")
        save_model(tmp_path / "taught.safetensors", ensemble, replace(spec, card={"train_patients": ["p1"]}))
        text = text_of(figure_2(model=tmp_path / "taught.safetensors", data=pack({"p1": 1, "p2": 2, "p3": 3}), device="cpu"))
        assert "unseen patients of discs.zip (n = 2)" in text
        with pytest.raises(InputError, match="trained on every patient"):
            figure_2(model=tmp_path / "taught.safetensors", data=pack({"p1": 1}), device="cpu")

    def test_the_legend_lies_within_the_figure(self, sweep):
        for sweeps in ({"a": [sweep]}, {"a": [sweep], "b": [sweep]}):
            figure = draw_weights(sweeps)
            figure.draw_without_rendering()
            box = figure.legends[0].get_window_extent()
            assert 0 <= box.x0 < box.x1 <= figure.bbox.width


class TestCase:
    def test_everyone_has_a_column(self, models, discs):
        frame = next(iter(discs({"p1": 1})))
        ensemble, solo = (load_model(models / f"{members}.safetensors") for members in (2, 1))
        columns, prediction = study_case(frame, ensemble, [("UNet 1", solo)])
        assert [seen.name.partition("\n")[0] for seen in columns] == ["Image", "Truth", "UNet 1", "UNet 2", "UNet 1", "Ensemble"]
        np.testing.assert_array_equal(columns[-1].labels, prediction.labels)
        np.testing.assert_array_equal(columns[1].labels, frame.labels)

    def test_members_are_numbered_where_several_are_of_one_kind(self):
        spec = spec_of(2)
        assert member_names(spec) == ["UNet 1", "UNet 2"]
        mixed = ModelSpec("m", [MEMBER, {"network": "deeplabv3plus"}, {"network": "own"}], {}, {})
        assert member_names(mixed) == ["UNet", "D3P", "own"]

    def test_the_figure_names_slices_scores_and_maps(self, models, pack):
        figure = figure_3(model=models / "2.safetensors", solo=[models / "1.safetensors"], case=f"{pack({'p1': 1})}/p1_ED", device="cpu")
        text = text_of(figure)
        for word in ("slice 0", "end-slice DSC", "sigma", "omega", "UNet 1\nsolo", "p1_ED, end slices, by 2unet"):
            assert word in text

    def test_one_network_alone_has_no_maps(self, models, pack):
        text = text_of(figure_3(model=models / "1.safetensors", case=f"{pack({'p1': 1})}/p1_ED", device="cpu"))
        assert "omega" not in text

    def test_a_model_of_several_members_is_solo_under_its_own_name(self, models, pack):
        both = models / "2.safetensors"
        assert "2unet\nsolo" in text_of(figure_3(model=both, solo=[both], case=f"{pack({'p1': 1})}/p1_ED", device="cpu"))

    def test_a_case_that_is_not_there_is_refused(self, pack):
        with pytest.raises(InputError, match="write KIND:PATH/NAME"):
            read_case("patient")
        with pytest.raises(InputError, match=r"'p1_XX'.*p1_ED"):
            read_case(f"{pack({'p1': 1})}/p1_XX")

    def test_models_are_taken_from_results(self, models, pack, make_result, tmp_path):
        case = f"{pack({'p1': 1})}/p1_ED"
        jobs = {"rows/unet": 1, "rows/2unet-fixed": 2, "rows/2unet-uncertainty": 2}
        for row, members in jobs.items():
            folder = tmp_path / "out" / row / "seed-0"
            write_result(folder / "result.json", make_result(row, members=members))
            (folder / "run").mkdir()
            (folder / "run" / "model.safetensors").write_bytes((models / f"{members}.safetensors").read_bytes())
        text = text_of(figure_3(results=tmp_path / "out", case=case, device="cpu"))
        assert "UNet 1\nsolo" in text
        assert "Ensemble" in text
        assert "Ensemble" not in text_of(figure_3(results=tmp_path / "out", row="unet", case=case, device="cpu"))
        with pytest.raises(InputError, match=r"no finished job .*'d3p'"):
            figure_3(results=tmp_path / "out", row="d3p", case=case)
        (tmp_path / "empty").mkdir()
        with pytest.raises(InputError, match=r"no finished job .*ensemble"):
            figure_3(results=tmp_path / "empty", case=case)
        with pytest.raises(InputError, match="either from --results or from --model"):
            figure_3(results=tmp_path, model=models / "1.safetensors")


class TestCost:
    @pytest.mark.parametrize(
        ("changes", "family"),
        [
            ({}, "single"),
            ({"members": 2, "recipe": {"pooling": {"rule": "fixed"}}}, "fixed"),
            ({"members": 2, "recipe": {"pooling": {"rule": "uncertainty"}}}, "uncertainty"),
            ({"members": 2, "recipe": {"pooling": {"rule": "entropy"}}}, "other"),
            ({"members": 2, "policy": "bagging"}, "apart"),
            ({"members": 2, "recipe": {"augmenting": {"order": "views-first"}}}, "augmenting"),
        ],
    )
    def test_rows_fall_into_families(self, make_result, changes, family):
        assert family_of(make_result(**changes)) == family

    def test_every_row_is_named_and_the_axes_say_what_they_show(self, make_result, tmp_path):
        for row, shift in (("rows/unet", 1), ("rows/2unet-fixed", 0)):
            for seed in (0, 1):
                result = make_result(row, seed, {"a": shift, "b": seed})
                write_result(tmp_path / row / str(seed) / "result.json", result)
        text = text_of(figure_4(tmp_path))
        for word in ("unet", "2unet-fixed", "GFLOPs a slice", "protocol reference", "held-out patients", "M parameters"):
            assert word in text

    def test_a_row_far_below_the_others_does_not_press_them_together(self, make_result):
        results = [make_result(row, held_out={"a": shift}) for row, shift in (("rows/a", 0), ("rows/b", 1), ("rows/c", 8))]
        table = build_table(results, ["paper"], resampling=Resampling(rounds=0))
        figure = draw_cost(table, results)
        scores = {line.row: line.figures["dsc_average"].value for line in table.parts[0].lines}
        low, high = figure.axes[0].get_ylim()
        assert scores["rows/c"] < scores["rows/b"] - 10 < low < scores["rows/b"] < scores["rows/a"] <= high <= 100
        assert f"c: {scores['rows/c']:.1f}" in text_of(figure)
        assert [line.get_ydata()[0] for line in figure.axes[0].lines if line.get_marker() == "v"] == [low]

    def test_the_size_of_a_marker_is_read_off_round_numbers(self, make_result):
        sizes = {"rows/a": 275_000, "rows/b": 550_000}
        results = [make_result(row, held_out={"a": 1}, parameters=size) for row, size in sizes.items()]
        text = text_of(draw_cost(build_table(results, ["paper"], resampling=Resampling(rounds=0)), results))
        assert "0.2 M parameters" in text
        assert "0.5 M parameters" in text

    def test_the_legend_of_all_families_fits_into_the_figure(self, make_result):
        kinds = [
            {"members": 1},
            {"members": 2, "recipe": {"pooling": {"rule": "fixed"}}},
            {"members": 2, "recipe": {"pooling": {"rule": "uncertainty"}}},
            {"members": 2, "policy": "bagging"},
            {"members": 2, "recipe": {"augmenting": {"order": "views-first"}}},
            {"members": 2, "recipe": {"pooling": {"rule": "entropy"}}},
        ]
        results = [make_result(f"rows/{place}", held_out={"a": 1}, **kind) for place, kind in enumerate(kinds)]
        figure = draw_cost(build_table(results, ["paper"], resampling=Resampling(rounds=0)), results)
        figure.canvas.draw()
        [legend] = figure.legends
        assert len(legend.get_texts()) == len(kinds)
        assert legend.get_window_extent().width < 0.9 * figure.bbox.width  # letters are wider in other formats and resolutions

    def test_a_table_without_a_dsc_is_refused(self, make_result):
        results = [make_result(held_out={"a": 0})]
        table = build_table(results, ["paper"], resampling=Resampling(rounds=0))
        line = table.parts[0].lines[0]
        object.__setattr__(line.figures["dsc_average"], "value", np.nan)
        with pytest.raises(InputError, match=r"no row .*'paper'"):
            draw_cost(table, results)

    @pytest.mark.parametrize(
        ("values", "places"),
        [([], []), ([1.0, 5.0], [1.0, 5.0]), ([1.0, 1.0, 1.0], [-1.0, 1.0, 3.0]), ([0.0, 3.0, 3.0], [0.0, 2.0, 4.0])],
    )
    def test_labels_are_moved_apart_around_where_they_were(self, values, places):
        assert spread_apart(values, 2.0) == pytest.approx(places)
