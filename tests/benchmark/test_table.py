"""Table 1 from results made by hand."""

from __future__ import annotations

import csv
import io
import json

import pytest
from msgspec.structs import replace
from rich.console import Console

from shortaxis.benchmark.comparable import notes_on
from shortaxis.benchmark.result import Shared
from shortaxis.benchmark.table import build_table, table_to_dict
from shortaxis.benchmark.table_formats import as_csv, as_latex, as_markdown, as_text
from shortaxis.errors import InputError
from shortaxis.metrics.bootstrap import Resampling
from shortaxis.metrics.protocols import PROTOCOLS

FEW = Resampling(rounds=200)


@pytest.fixture
def results(make_result):
    people = {"a": 0, "b": 1, "c": 2}
    better = dict.fromkeys(people, 0)
    return [
        *[make_result("rows/2unet-uncertainty", seed, better, members=2, updates=200, test=better) for seed in (0, 1)],
        *[make_result("rows/unet", seed, people, test=people) for seed in (0, 1)],
        make_result("beyond/soup", 0, people, test=people),
    ]


def table(results, protocols=("reference",), **options):
    return build_table(results, protocols, resampling=FEW, **options)


def test_rows_stand_in_the_papers_order_and_those_beyond_it_last(results):
    assert [line.row for line in table(results).parts[0].lines] == ["rows/unet", "rows/2unet-uncertainty", "beyond/soup"]


def test_the_paper_stands_beside_figures_of_its_own_protocol_alone(results):
    built = table(results, None, on="test")
    assert [part.protocol for part in built.parts] == list(PROTOCOLS)
    printed = {part.protocol: [bool(line.paper) for line in part.lines] for part in built.parts}
    assert printed == {"reference": [True, True, False], "paper": [False] * 3, "clinical": [False] * 3}
    assert built.parts[0].lines[1].paper["ec"] == 81.0


PAPERS_PATIENTS = "the paper's figures are of ACDC's test patients, and stand beside scores of these alone"


def test_the_paper_stands_beside_no_other_patients_than_its_own(results, make_result):
    others = [make_result(test={"x": 0}, test_data="mnms")]
    for built in (table(results, on="held-out"), table(others)):
        assert not any(line.paper for line in built.parts[0].lines)
        assert PAPERS_PATIENTS in built.notes
    assert PAPERS_PATIENTS not in table(results, on="test").notes
    assert PAPERS_PATIENTS not in table(results, ["clinical"]).notes


def test_the_papers_augmenting_figures_stand_beside_the_mistaken_row_and_a_dash_beside_the_sound_one(make_result):
    rows = ("rows/2unet-augmenting", "rows/2unet-augmenting-as-published")
    built = table([make_result(row, test={"x": 0, "y": 1}) for row in rows])
    sound, published = built.parts[0].lines
    assert (sound.paper, sound.mistaken, published.paper["dsc_average"], published.mistaken) == ({}, True, 69.90, False)
    told = "rows/2unet-augmenting: the paper's figures of this row were made with the mistake of its code; they belong to rows/2unet-augme"
    assert any(note.startswith(told) for note in built.notes)
    line = next(line for line in as_markdown(built).splitlines() if line.startswith("| rows/2unet-augmenting |"))
    assert line.endswith("| − | − | − | − | − |")
    assert r"\textcolor{gray}{-}" in as_latex(built)


def test_the_luck_of_the_seed_is_paired_between_rows_of_the_same_trainings_alone(make_result):
    def row(name, **parts):
        trained = [make_result(name, seed, dict.fromkeys("abc", moved)) for seed, moved in enumerate((0, 2, 1))]
        return [replace(result, recipe=result.recipe | parts) for result in trained]

    solo, views, other = row("rows/unet"), row("views", augmenting={"transforms": [1]}), row("other", loss={"end_weight": 3.0})
    built = table([*solo, *views, *other, *row("fewer", augmenting={})[:2]])
    found = {line.row: line.differences["dsc_average"] for line in built.parts[0].lines if line.differences}
    assert (found["views"].low, found["views"].high) == (0.0, 0.0)
    assert found["other"].low < -1.0 < 1.0 < found["other"].high
    assert found["fewer"].low < found["fewer"].high


def test_a_perfect_row_scores_100_and_differs_from_the_baseline_by_what_that_lacks(results):
    plain, perfect, _ = table(results).parts[0].lines
    assert perfect.figures["dsc_average"].value == 100.0
    assert perfect.differences["dsc_average"].value == pytest.approx(100.0 - plain.figures["dsc_average"].value)
    assert plain.differences == {}
    assert (perfect.trainings, perfect.patients) == (2, 3)


@pytest.mark.parametrize(
    ("asked", "found"), [(None, "rows/unet"), ("rows/2unet-uncertainty", "rows/2unet-uncertainty"), ("soup", "beyond/soup")]
)
def test_the_baseline_is_found_by_its_name_or_the_last_part_of_it(results, asked, found):
    assert table(results, baseline=asked).baseline == found


def test_without_a_single_unet_the_first_row_is_the_baseline(results):
    assert table(results[:2]).baseline == "rows/2unet-uncertainty"


def test_what_is_not_there_is_refused(results):
    with pytest.raises(InputError, match=r"'nobody'.*rows/unet"):
        table(results, baseline="nobody")
    with pytest.raises(InputError, match="no protocol is called 'mine'"):
        table(results, ["mine"])
    with pytest.raises(InputError, match=r"test patients.*--test"):
        table([replace(result, test=None) for result in results], on="test")


def test_scores_on_test_patients_alone_need_not_be_asked_for(make_result):
    results = [make_result(test={"x": 0, "y": 1})]
    assert table(results).on == "test"
    with pytest.raises(InputError, match=r"held-out patients.*--hold-out"):
        table(results, on="held-out")


def test_test_patients_that_were_trained_on_are_named_and_left_out_in_a_part_of_their_own(make_result):
    built = table([make_result(test={"x": 0, "b": 3}, shared=[Shared("t1", "b")])])
    together, without = built.parts
    assert (together.patients, without.patients) == ("test patients", "test patients without b")
    assert (together.lines[0].patients, without.lines[0].patients) == (2, 1)
    assert without.lines[0].figures["dsc_average"].value == 100.0 > together.lines[0].figures["dsc_average"].value
    assert any("patient b " in note and note.endswith(" t1") for note in built.notes)


def test_the_training_patients_twins_do_not_concern_held_out_patients(make_result):
    built = table([make_result(held_out={"a": 0}, test={"x": 0, "b": 1}, shared=[Shared("t1", "b")])])
    assert len(built.parts) == 1
    assert not any("images of" in note for note in built.notes)


def test_costs_are_those_of_the_row(results):
    cost = table(results).costs["rows/2unet-uncertainty"]
    assert (cost.parameters, cost.flops, cost.edge, cost.train_seconds, cost.steps) == (2_000_000, 16_000_000_000, 224, 60.0, 100)
    assert cost.milliseconds_per_slice == pytest.approx(50.0)  # 0.25 s a frame of five slices


class TestNotes:
    def test_matched_rows_of_three_seeds_need_none(self, make_result):
        rows = {row: [make_result(row, seed) for seed in range(3)] for row in ("rows/unet", "rows/d3p")}
        assert notes_on(rows, "rows/unet") == []

    @pytest.mark.parametrize(
        ("changes", "note"),
        [
            ({"recipe": {"augmentation": {"flip": False}}}, "rows/d3p is not matched with rows/unet: other augmentation"),
            ({"updates": 50}, "other number of steps a network (50 against 100)"),
            ({"updates_besides": 40}, "other training (40 steps of networks besides the model)"),
            ({"train_patients": ["t9"]}, "other training patients (1 against 2)"),
            ({"recipe": {"precision": "float32"}}, "precision"),
            ({"recipe": {"schedule": {"steps": 100, "decay": "constant"}}}, "decay of the learning rate"),
            ({"recipe": {"schedule": {"steps": 100, "warmup_steps": 5}}}, "warm-up"),
            ({"recipe": {"schedule": {"epochs": 10, "warmup_epochs": 1.0}}}, "warm-up"),
            ({"complete": False, "steps": 7}, "the limit of the job cut training short at step 7 of 100"),
            ({"hardware": "H100"}, "times were taken on different hardware and do not compare: CPU; H100"),
            ({"notice": "weights were chosen by the held-out patients"}, "rows/d3p: weights were chosen by the held-out patients"),
        ],
    )
    def test_what_keeps_rows_from_being_compared_is_said(self, make_result, changes, note):
        rows = {
            "rows/unet": [make_result(seed=seed) for seed in range(3)],
            "rows/d3p": [make_result("rows/d3p", seed, **changes) for seed in range(3)],
        }
        assert any(note in found for found in notes_on(rows, "rows/unet"))

    def test_a_warm_up_of_the_same_share_of_another_length_is_no_mismatch(self, make_result):
        schedules = {"a": {"steps": 2000, "warmup_steps": 50}, "b": {"steps": 333, "warmup_steps": 8}}
        rows = {row: [make_result(row, recipe={"schedule": schedule})] * 3 for row, schedule in schedules.items()}
        assert notes_on(rows, "a") == []

    def test_patients_of_another_fold_are_no_mismatch(self, make_result):
        rows = {"a": [make_result(fold=0)] * 3, "b": [make_result(fold=1, train_patients=["t3"])] * 3}
        assert notes_on(rows, "a") == []

    def test_few_or_unequally_many_trainings_are_said(self, make_result):
        notes = notes_on({"a": [make_result()] * 3, "b": [make_result()]}, "a")
        assert notes[0] == "b has 1 training, a 3 trainings"
        assert ["fewer than three" in note for note in notes] == [False, True]

    def test_results_of_several_recipes_in_one_row_are_said(self, make_result):
        mixed = [make_result(), make_result(recipe={"grid": {"size": 9}}), make_result()]
        assert any("different recipes" in note for note in notes_on({"a": mixed}, "a"))

    def test_patients_of_one_training_alone_are_seen_though_they_are_not_of_the_first(self, make_result):
        rows = {"a": [make_result(seed=seed) for seed in range(3)], "b": [make_result("b", seed) for seed in range(3)]}
        rows["b"][2] = make_result("b", 2, train_patients=["t9"])
        assert any(note.endswith("training patients (1 against 2)") for note in notes_on(rows, "a"))

    def test_results_of_several_states_of_the_code_are_said(self, make_result):
        rows = {"a": [make_result(seed=seed, commit="1234567890", modified=False) for seed in range(3)]}
        assert notes_on(rows, "a") == []
        rows["a"][1] = make_result(seed=1)
        rows["a"][2] = make_result(seed=2, commit="1234567890", modified=True)
        several, modified = notes_on(rows, "a")
        assert "(1234567, version 0.1.0)" in several
        assert modified.endswith("rows/unet, seed 2")

    def test_a_plugin_that_changed_between_results_is_said(self, make_result):
        def noted(*hashes):
            made = [
                make_result(seed=seed, plugins=[{"plugin": "own.py", "sha256": told}] if told else []) for seed, told in enumerate(hashes)
            ]
            return [note for note in notes_on({"a": made}, "a") if "plug-in" in note]

        assert noted("a", "a", None) == []
        (note,) = noted("a", "b", None)
        assert "plug-in own.py" in note

    def test_a_mean_or_difference_of_other_patients_than_one_would_think_is_said(self, make_result):
        def built(row, baseline=("abc", "abc")):
            scored = {"rows/unet": baseline, "b": row}
            made = [make_result(name, seed, dict.fromkeys(who, 0)) for name, each in scored.items() for seed, who in enumerate(each)]
            notes = table(made).notes
            return [note for note in notes if "different patients" in note or "difference" in note]

        assert built(["abc", "abc"]) == []
        spread, rests = built(["abc", "abd"])
        assert spread.startswith("b: ")
        assert "different patients" in spread
        assert "the 2 patients" in rests
        assert built(["ab", "ab"]) == [rests]
        (without,) = built(["de"])
        assert "without a difference" in without

    def test_results_of_different_sizes_are_refused_by_name(self, make_result):
        made = [make_result("a", 0, {"x": 0}, scale="small"), make_result("a", 1, {"x": 0}), make_result("b", 0, {"x": 0})]
        with pytest.raises(InputError, match=r"'small': a; .*recipe: a and b"):
            table(made)


class TestFormats:
    @pytest.fixture
    def built(self, results):
        return table(results, None, on="test")

    def test_text_fits_the_width_of_a_file(self, built):
        console = Console(width=100, record=True, file=io.StringIO())
        console.print(*as_text(built))
        text = console.export_text()
        assert "…" not in text
        for word in (
            "Protocol reference, test patients",
            "paper 81.00",
            "Δ +",
            "100.00 ± 0.00",
            "LVEF bias",
            "2unet-",
            "Note: rows/unet",
        ):
            assert word in text

    def test_markdown_has_tables_of_equal_width(self, built):
        blocks = [block for block in as_markdown(built).split("\n\n") if block.startswith("|")]
        assert len(blocks) == 7  # figures and differences of three protocols, and the costs
        for block in blocks:
            assert len({line.count(" | ") for line in block.splitlines()}) == 1

    def test_markdown_has_the_papers_columns_under_its_protocol_only(self, built):
        heads = [line for line in as_markdown(built).splitlines() if line.startswith("| Row | Trainings")]
        assert ["(paper)" in head for head in heads] == [True, False, False]

    def test_latex_is_balanced_and_escapes_nothing_twice(self, built):
        text = as_latex(built)
        assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 6  # figures and differences of three protocols
        for block in text.split("\n\n")[:-1]:
            columns = block.split(r"\begin{tabular}{")[1].split("}")[0]
            rows = [line for line in block.splitlines() if line.endswith(r"\\")]
            assert {line.count("&") + 1 for line in rows} == {len(columns)}
            assert "−" not in "".join(rows)
        assert r"$100.00 \pm 0.00$" in text
        assert r"\quad 2 trainings, 3 patients & {\scriptsize $100.00$ to $100.00$}" in text
        assert "% Difference to rows/unet" in text

    def test_the_legend_in_markdown_keeps_its_marks(self, built):
        assert "\n* \\* the interval leaves zero out; \\*\\* also" in as_markdown(built)

    def test_csv_holds_every_figure_in_full(self, built):
        rows = list(csv.DictReader(io.StringIO(as_csv(built))))
        assert len(rows) == 3 * (5 + 5 + 8)
        perfect = next(row for row in rows if row["row"] == "rows/2unet-uncertainty" and row["figure"] == "ec")
        assert (float(perfect["value"]), float(perfect["paper"]), perfect["protocol"]) == (100.0, 81.0, "reference")
        baseline = next(row for row in rows if row["row"] == "rows/unet")
        assert baseline["difference"] == baseline["mark"] == ""

    def test_the_json_form_is_json(self, built):
        content = json.loads(json.dumps(table_to_dict(built), allow_nan=False))
        assert [part["protocol"] for part in content["parts"]] == list(PROTOCOLS)
        assert content["costs"]["rows/unet"]["steps"] == 100
