"""Jobs on tiny networks and bright discs: they train, score, resume, accumulate, and fail alone."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from shortaxis.benchmark import jobs
from shortaxis.benchmark.experiment import open_experiment
from shortaxis.benchmark.jobs import run_job, run_jobs
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


def only(experiment):
    (job,) = experiment.jobs()
    return job


def test_a_job_leaves_one_result_with_everything_in_it(start, row_file, tmp_path):
    experiment = start([row_file("2unet-fixed", count=2)], seeds=[3])
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


def test_members_trained_apart_that_are_not_all_begun_leave_a_result_without_scores(start, row_file):
    rows = [row_file("2unet-bagging", count=2, more='[policy]\nkind = "bagging"\n')]
    (cut,) = run_jobs(start(rows, minutes_per_job=0.0))
    result = read_result(cut.path)
    assert (cut.state, result.held_out, result.members) == ("unfinished", None, 2)
    (done,) = run_jobs(start(rows))
    whole = read_result(done.path)
    assert whole.policy == "bagging"
    assert whole.updates == whole.total_steps  # each step changes one network
    assert whole.weight_sweep is not None


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
    ("change", "told"), [({"budget": "steps=3"}, "another budget"), ({"per_group": 1}, "another train patients and another held out")]
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
    monkeypatch.setattr("shortaxis.benchmark.jobs.training_speed", lambda *_a, **_k: SimpleNamespace(steps=10, seconds=6.0))
    experiment = start(budget="minutes=0.05")
    assert run_job(only(experiment), experiment).total_steps == 5  # 3 s at 0.6 s a step
    monkeypatch.setattr("shortaxis.benchmark.jobs.training_speed", lambda *_a, **_k: pytest.fail("measured again"))
    assert run_jobs(start(budget="minutes=0.05"))[0].state == "kept"
    assert json.loads((tmp_path / "out" / "unet" / "seed-0" / "job.json").read_text())["recipe"]["schedule"]["steps"] == 5


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
    assert "a frame has 3 slices, but a batch only 2 slots" in failed.error
    (tmp_path / "unet.toml").write_text(good)
    assert [outcome.state for outcome in run_jobs(start([path]))] == ["done"]
