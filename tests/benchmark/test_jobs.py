"""Jobs on tiny networks and bright discs: they train, score, resume, accumulate, and fail alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from shortaxis.benchmark import describing, jobs
from shortaxis.benchmark.experiment import open_experiment
from shortaxis.benchmark.jobs import run_job, run_jobs
from shortaxis.benchmark.provenance import UNKNOWN, Provenance
from shortaxis.benchmark.result import Shared, read_result
from shortaxis.errors import InputError
from shortaxis.metrics.protocols import PROTOCOLS

PEOPLE = {f"p{index}": index for index in range(5)}


@pytest.fixture
def start(row_file, pack, tmp_path):
    """Open an experiment of one tiny row."""
    data = pack(PEOPLE)

    def open_(rows=None, **options):
        options = {"per_group": 2, "device": "cpu"} | options
        return open_experiment(rows or [row_file()], data, tmp_path / "out", **options)

    return open_


@pytest.fixture(autouse=True)
def code(monkeypatch):
    """The state of the code that jobs are made by, whatever that of this clone is."""
    state = {"now": Provenance("abc", modified=False)}
    for module in (jobs, describing):
        monkeypatch.setattr(module, "provenance", lambda: state["now"])
    return state


def only(experiment):
    (job,) = experiment.jobs()
    return job


def test_a_job_leaves_one_result_with_everything_in_it(start, row_file, tmp_path):
    experiment = start([row_file("2unet-fixed", count=2)], seeds=[3], sweep=True)
    result = run_job(only(experiment), experiment)
    assert read_result(tmp_path / "out" / "2unet-fixed" / "seed-3" / "result.json") == result
    assert (result.row, result.seed, result.policy, result.complete, result.members) == ("2unet-fixed", 3, "joint", True, 2)
    assert result.recipe["seed"] == 3
    assert result.steps == result.total_steps == result.updates // 2 > 0
    assert set(result.train_patients) | set(result.held_out_patients) == set(PEOPLE)
    assert set(result.held_out.patients) == set(result.held_out_patients)
    assert set(result.held_out.protocols) == set(PROTOCOLS)
    assert len(result.held_out.protocols["paper"].cases) == result.held_out.frames == 4
    assert result.slices == 2 * 3 * 6  # two epochs of six frames of three slices
    assert min(result.parameters, result.flops, result.train_seconds + 1, result.held_out.inference_seconds) > 0
    assert result.weight_sweep["members"] == ["unet", "unet"]
    assert result.weight_sweep["protocols"]["paper"]["dsc_average"][5] == pytest.approx(
        result.held_out.protocols["paper"].overall["dsc_average"]["value"]
    )


def test_a_finished_job_is_not_repeated_and_other_seeds_are_added(start, monkeypatch):
    first = run_jobs(start())
    assert [outcome.state for outcome in first] == ["done"]
    bytes_before = first[0].path.read_bytes()
    second = run_jobs(start(seeds=[0, 1]))
    assert [(outcome.job, outcome.state) for outcome in second] == [("unet/seed-0", "kept"), ("unet/seed-1", "done")]
    assert first[0].path.read_bytes() == bytes_before


def test_a_kept_job_of_code_that_may_be_another_by_now_says_so(start, code, monkeypatch):
    told = ("the code that made it may not be the code of now; remove its folder to have it run anew",)
    assert [run_jobs(start())[0].notes for _ in range(2)] == [(), ()]
    code["now"] = Provenance("def", modified=False)
    assert run_jobs(start())[0].notes == told
    for seed, now in enumerate((Provenance("def", modified=True), Provenance(UNKNOWN, None)), start=1):
        code["now"] = now
        assert [run_jobs(start(seeds=[seed]))[0].notes for _ in range(2)] == [(), told]
    code["now"] = Provenance(None, None)  # an installed package has a version alone
    assert [run_jobs(start(seeds=[3]))[0].notes for _ in range(2)] == [(), ()]
    for name, now in (("__version__", "99"), ("loaded_plugins", lambda: [{"plugin": "own.py"}])):
        with monkeypatch.context() as changed:
            changed.setattr(jobs, name, now)
            assert run_jobs(start(seeds=[3]))[0].notes == told


def test_a_job_cut_short_is_scored_said_to_be_incomplete_and_goes_on(start):
    experiment = start(minutes_per_job=0.0)
    (cut,) = run_jobs(experiment)
    result = read_result(cut.path)
    assert (cut.state, result.complete) == ("unfinished", False)
    assert 0 < result.steps < result.total_steps
    assert result.held_out is not None
    (done,) = run_jobs(start())
    assert done.state == "done"
    assert read_result(done.path).complete


def test_members_trained_apart_that_are_not_all_begun_leave_a_result_without_scores(start, row_file, pack):
    rows = [row_file("2unet-bagging", count=2, more='[policy]\nkind = "bagging"\n')]
    (cut,) = run_jobs(start(rows, minutes_per_job=0.0, test=pack({"q9": 9}, "test")))
    result = read_result(cut.path)
    assert (cut.state, result.held_out, result.test, result.members) == ("unfinished", None, None, 2)
    (done,) = run_jobs(start(rows))
    whole = read_result(done.path)
    assert whole.policy == "bagging"
    assert whole.updates == whole.total_steps  # each step changes one network


def test_test_patients_are_scored_with_and_without_those_that_were_trained_on(start, pack):
    experiment = start(test=pack({"q9": 9, "twin": 0}, "test"))
    assert experiment.shared == (Shared("p0", "twin"),)
    result = run_job(only(experiment), experiment)
    trained = "p0" in result.train_patients
    assert result.shared == ([Shared("p0", "twin")] if trained else [])
    assert (result.test.protocols["paper"].without_shared is not None) == trained


def test_all_patients_train_where_none_is_held_out(start, pack):
    experiment = start(per_group=None, test=pack({"q9": 9, "twin": 0}, "test"))
    result = run_job(only(experiment), experiment)
    assert set(result.train_patients) == set(PEOPLE)
    assert result.held_out is None
    paper = result.test.protocols["paper"]
    assert paper.overall["dsc_average"]["n"] == 4
    assert paper.without_shared["dsc_average"]["n"] == 2


def test_a_finished_job_gets_its_test_scores_later_without_training_again(start, pack, monkeypatch):
    run_jobs(start())
    monkeypatch.setattr("shortaxis.benchmark.jobs.train", lambda *_a, **_k: pytest.fail("trained again"))
    tested = start(test=pack({"q9": 9}, "test"))
    assert [outcome.state for outcome in run_jobs(tested)] == ["done"]
    assert [outcome.state for outcome in run_jobs(tested)] == ["kept"]
    (other,) = run_jobs(start(test=pack({"q8": 8}, "other")))
    assert "was scored on other test patients" in other.error


@pytest.mark.parametrize(
    ("change", "told"), [({"budget": "steps=3"}, "(budget: 'recipe' there, 'steps=3' here)"), ({"per_group": 1}, "(train_patients: [")]
)
def test_a_folder_of_another_experiment_is_refused(start, change, told):
    run_jobs(start())
    (outcome,) = run_jobs(start(**change))
    assert outcome.state == "failed"
    assert told in outcome.error


def test_one_job_that_fails_does_not_stop_the_others(start, row_file, monkeypatch, tmp_path):
    real = jobs.train

    def fail_once(recipe, *arguments, **options):
        if recipe.name == "bad":
            raise ZeroDivisionError("a bug")
        return real(recipe, *arguments, **options)

    monkeypatch.setattr(jobs, "train", fail_once)
    told = []
    rows = [row_file("bad"), row_file("good")]
    outcomes = run_jobs(start(rows), on_outcome=told.append)
    assert [(outcome.job, outcome.state) for outcome in outcomes] == [("bad/seed-0", "failed"), ("good/seed-0", "done")]
    assert told == outcomes
    assert "ZeroDivisionError: a bug" in outcomes[0].error
    assert "Traceback" in (tmp_path / "out" / "bad" / "seed-0" / "error.txt").read_text()
    assert outcomes[0].to_dict()["path"] is None
    monkeypatch.setattr(jobs, "train", real)
    assert [outcome.state for outcome in run_jobs(start(rows))] == ["done", "kept"]
    assert not (tmp_path / "out" / "bad" / "seed-0" / "error.txt").exists()


def test_a_budget_in_steps_is_the_length_of_the_schedule(start):
    experiment = start(budget="steps=7")
    assert run_job(only(experiment), experiment).total_steps == 7


def test_a_budget_in_minutes_becomes_steps_once_and_stays(start, monkeypatch, tmp_path):
    monkeypatch.setattr("shortaxis.benchmark.budgets.training_speed", lambda *_a, **_k: SimpleNamespace(steps=10, seconds=6.0))
    experiment = start(budget="minutes=0.05")
    assert run_job(only(experiment), experiment).total_steps == 5  # 3 s at 0.6 s a step
    monkeypatch.setattr("shortaxis.benchmark.budgets.training_speed", lambda *_a, **_k: pytest.fail("measured again"))
    assert [outcome.state for outcome in run_jobs(start(budget="minutes=0.05", seeds=[0, 1]))] == ["kept", "done"]
    assert json.loads((tmp_path / "out" / "unet" / "seed-1" / "job.json").read_text())["recipe"]["schedule"]["steps"] == 5
    assert json.loads((tmp_path / "out" / "unet" / "seed-0" / "job.json").read_text())["recipe"]["schedule"]["steps"] == 5


def test_a_damaged_budget_is_named_with_its_remedy(start, monkeypatch, tmp_path):
    monkeypatch.setattr("shortaxis.benchmark.budgets.training_speed", lambda *_a, **_k: SimpleNamespace(steps=10, seconds=6.0))
    (tmp_path / "out" / "unet").mkdir(parents=True)
    for damage in (b'{"asked": {}', b'{"asked": {}, "steps": "many"}', b'{"asked": {}, "steps": 0}', b'{"asked": {"\xff": 1}, "steps": 1}'):
        (tmp_path / "out" / "unet" / "budget.json").write_bytes(damage)
        (outcome,) = run_jobs(start(budget="minutes=0.05"))
        assert outcome.state == "failed"
        assert "budget.json: " in outcome.error
        assert "Traceback" not in outcome.error


def test_a_damaged_record_of_a_job_is_named_with_its_remedy(start, tmp_path):
    run_jobs(start())
    for damage in (b'{"asked": {}', b'{"asked": {}}'):
        (tmp_path / "out" / "unet" / "seed-0" / "job.json").write_bytes(damage)
        (outcome,) = run_jobs(start())
        assert outcome.state == "failed"
        assert "job.json: " in outcome.error
        assert "Traceback" not in outcome.error


def test_another_budget_in_minutes_is_measured_anew_and_folds_of_a_policy_are_paid_from_it(start, row_file, monkeypatch):
    monkeypatch.setattr("shortaxis.benchmark.budgets.training_speed", lambda *_a, **_k: SimpleNamespace(steps=10, seconds=6.0))
    meta = '[policy]\nkind = "meta"\nfolds = 2\nfold_share = 0.5\n'
    rows = [
        row_file("2unet-meta", count=2, rule="meta", more=meta),
        row_file("2unet-bagging", count=2, more='[policy]\nkind = "bagging"\n'),
    ]
    for path in map(Path, rows[:1]):
        path.write_text(path.read_text().replace("outer_softmax = false\n", ""))
    for minutes, steps in ((1.0, {"2unet-meta": 50, "2unet-bagging": 100}), (2.0, {"2unet-meta": 100, "2unet-bagging": 200})):
        experiment = start(rows, budget=f"minutes={minutes}")
        found = {job.row.name: jobs.settle(job, experiment, experiment.out / job.place).schedule.steps for job in experiment.jobs()}
        assert found == steps


def test_a_job_with_a_test_score_is_final_though_it_was_cut_short(start, pack, monkeypatch):
    limited = start(minutes_per_job=0.0, test=pack({"q9": 9}, "test"))
    (cut,) = run_jobs(limited)
    result = read_result(cut.path)
    assert (cut.state, result.complete, result.test is not None) == ("unfinished", False, True)
    content = cut.path.read_bytes()
    monkeypatch.setattr(jobs, "train", lambda *_a, **_k: pytest.fail("trained on"))
    monkeypatch.setattr(jobs, "score_model", lambda *_a, **_k: pytest.fail("scored again"))
    for again in (limited, start(test=limited.test and pack({"q9": 9}, "test")), start()):
        (kept,) = run_jobs(again)
        assert (kept.state, kept.path.read_bytes()) == ("kept", content)
        (note,) = kept.notes
        assert f"final at step {result.steps} of {result.total_steps}" in note


def test_the_limit_is_of_the_job_and_not_of_the_call(start, pack, monkeypatch):
    given = []
    real = jobs.train

    def train(*arguments, **options):
        given.append(options["minutes"])
        return real(*arguments, **options | {"minutes": 0.0})

    monkeypatch.setattr(jobs, "train", train)
    monkeypatch.setattr(jobs, "spent", lambda _run: (60.0 * len(given), 0))
    assert [run_jobs(start(minutes_per_job=2.0))[0].state for _ in range(3)] == ["unfinished"] * 3
    assert given == pytest.approx([1.6, 0.6], abs=0.1)  # a fifth is kept for scoring, and the third call has nothing left
    (spent,) = run_jobs(start(minutes_per_job=2.0))
    assert "its limit is spent at step" in spent.notes[0]
    (scored,) = run_jobs(start(minutes_per_job=2.0, test=pack({"q9": 9}, "test")))
    assert read_result(scored.path).test is not None
    assert len(given) == 2


def test_held_out_patients_are_scored_once_and_weights_swept_on_request_alone(start, row_file, tmp_path, monkeypatch):
    rows = [row_file("2unet-fixed", count=2)]
    (done,) = run_jobs(start(rows))
    assert read_result(done.path).weight_sweep is None
    assert not (tmp_path / "out" / "2unet-fixed" / "seed-0" / "run" / "validation.json").exists()
    monkeypatch.setattr(jobs, "train", lambda *_a, **_k: pytest.fail("trained on"))
    monkeypatch.setattr(jobs, "score_model", lambda *_a, **_k: pytest.fail("scored again"))
    (skipped,) = run_jobs(start(rows, sweep=True, minutes_per_job=0.0))
    assert skipped.state == "kept"
    assert "--minutes-per-job" in " ".join(skipped.notes)
    (swept,) = run_jobs(start(rows, sweep=True))
    assert read_result(swept.path).weight_sweep is not None
    assert swept.notes == ()


def test_only_those_are_named_as_trained_on_who_were(start, row_file):
    search = '[search]\npatients = "aside"\nshare = 0.5\nsteps = 3\n'
    bagging = '[policy]\nkind = "bagging"\n'
    rows = [row_file("2unet-search", count=2, more=search), row_file("2unet-bagging", count=2, more=bagging)]
    searched, bagged = (
        outcome.path for outcome in sorted(run_jobs(start(rows, per_group=1)), key=lambda outcome: outcome.job, reverse=True)
    )
    aside = json.loads((searched.parent / "run" / "run.json").read_text())["search"]["patients"]
    given = set(PEOPLE) - set(read_result(searched).held_out_patients)
    assert aside
    assert set(read_result(searched).train_patients) == given - set(aside)
    stages = json.loads((bagged.parent / "run" / "run.json").read_text())["stages"]
    assert set(read_result(bagged).train_patients) == {patient for stage in stages for patient in stage["patients"]}


def test_what_the_data_lack_is_said(start, discs, pack):
    experiment = start(test=pack({"q9": 9}, "test"))
    assert experiment.remarks() == []
    bare = discs(PEOPLE)
    bare = replace(bare, refs=tuple(replace(ref, group=None, phase=None) for ref in bare.refs))
    (remark,) = replace(experiment, data=bare).remarks()
    assert "'discs'" in remark
    assert "ED and ES" in remark


def test_folds_hold_every_patient_out_once(start):
    experiment = start(per_group=None, fold="all", folds=2)
    held_out = [split.held_out for split in experiment.splits]
    assert sorted(held_out[0] + held_out[1]) == sorted(PEOPLE)
    assert [job.place for job in experiment.jobs()] == ["unet/seed-0-fold-0", "unet/seed-0-fold-1"]
    assert len(start(per_group=None, fold="1,1", folds=2).splits) == 1


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"seeds": []}, "give whole numbers from 0 on"),
        ({"seeds": [1, 1]}, "each once"),
        ({"per_group": None}, "nothing would be scored; hold patients out"),
        ({"fold": "0"}, "--fold and --hold-out each say"),
        ({"per_group": None, "fold": "2", "folds": 2}, "folds are counted from 0 to 1"),
        ({"per_group": None, "fold": "one"}, "folds are counted from 0 to 4"),
        ({"budget": "much"}, "is not understood"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_trained(start, options, told):
    with pytest.raises(InputError, match=told):
        start(**options)


def test_a_recipe_that_failed_before_it_trained_may_be_mended(start, row_file, tmp_path):
    path = row_file()
    good = (tmp_path / "unet.toml").read_text()
    (tmp_path / "unet.toml").write_text(good.replace("slices = 12", "slices = 2"))
    (failed,) = run_jobs(start([path]))
    assert "only 2 slots" in failed.error
    (tmp_path / "unet.toml").write_text(good)
    assert [outcome.state for outcome in run_jobs(start([path]))] == ["done"]


def test_a_job_at_a_scale_says_so_and_is_not_mixed_with_others(start, tmp_path):
    experiment = start(["rows/unet"], scale="small", budget="steps=1")
    result = run_job(only(experiment), experiment)
    assert (result.scale, result.edge, result.recipe["grid"]["size"], result.complete) == ("small", 112, 112, True)
    assert read_result(tmp_path / "out" / "rows" / "unet" / "seed-0" / "result.json") == result
    other = start(["rows/unet"], budget="steps=1")
    (outcome,) = run_jobs(other)
    assert outcome.state == "failed"
    assert "(recipe.members[0].options.widths" in outcome.error
